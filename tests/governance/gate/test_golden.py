"""The golden set: grows by what passed, stays bounded, the same everywhere, and never lets a delivery judge itself."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.gate import golden as module
from governance.gate.golden import GoldenUnusable, grow, judge_sets, table_sha256


def test_a_first_release_is_judged_on_what_it_held_out() -> None:
    sets = judge_sets(None, _held_out("d1", 5))
    assert list(sets) == ["new"] and sets["new"].num_rows == 5
    assert judge_sets(None, _held_out("d1", 0)) == {}


def test_the_next_release_is_judged_on_golden_and_on_the_new_delivery_apart() -> None:
    golden = grow(None, _held_out("d1", 5), "a.b@1")
    sets = judge_sets(golden, pa.concat_tables([_held_out("d1", 5), _held_out("d2", 3)]))
    assert {name: set(table["delivery"].to_pylist()) for name, table in sets.items()} == {
        "golden": {"d1"},
        "new": {"d2"},
    }


def test_a_retrain_without_a_new_delivery_is_judged_on_golden_alone() -> None:
    golden = grow(None, _held_out("d1", 5), "a.b@1")
    assert list(judge_sets(golden, _held_out("d1", 5))) == ["golden"]


def test_a_resent_record_keeps_the_label_that_passed() -> None:
    first = _held_out("d1", 5)
    again = first.set_column(4, "label", pa.array(["poison"] * 5))
    grown = grow(grow(None, first, "a.b@1"), again, "a.b@2")
    assert set(grown["label"].to_pylist()) == {"card"} and set(grown["origin"].to_pylist()) == {"a.b@1"}


def test_a_delivery_whose_rows_were_all_dropped_by_the_limit_is_still_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 10)
    golden = grow(None, _held_out("tiny", 1), "a.b@1")
    for number in range(2, 9):
        golden = grow(golden, _held_out(f"big{number}", 200), f"a.b@{number}")
    assert golden.num_rows == 10 and "tiny" not in golden["delivery"].to_pylist()
    assert "new" not in judge_sets(_through_parquet(golden), _held_out("tiny", 1))


def test_the_rows_kept_do_not_depend_on_order_or_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 20)
    one, two = _held_out("d1", 50), _held_out("d2", 50)
    there = grow(grow(None, one, "a.b@1"), two, "a.b@1")
    back = grow(None, pa.concat_tables([two, one]).take(list(range(99, -1, -1))), "a.b@1")
    assert there.num_rows == 20 and there.equals(back) and table_sha256(there) == table_sha256(_through_parquet(back))


def test_one_changed_cell_changes_the_digest() -> None:
    table = _held_out("d1", 5)
    changed = table.set_column(5, "group", pa.array([None, "F", "F", "F", ""]))
    other = table.set_column(5, "group", pa.array([None, "F", "F", "F", None]))
    assert len({table_sha256(each) for each in (table, changed, other)}) == 3


def test_rows_that_cannot_be_judged_are_named() -> None:
    with pytest.raises(GoldenUnusable, match="lack the column 'label'"):
        judge_sets(None, _held_out("d1", 3).drop_columns(["label"]))
    with pytest.raises(GoldenUnusable, match="1 evaluation rows have no text"):
        judge_sets(None, _held_out("d1", 3).set_column(3, "text", pa.array(["a", None, "c"])))
    with pytest.raises(GoldenUnusable, match="which deliveries it has seen"):
        judge_sets(_held_out("d1", 3), _held_out("d2", 3))


def _held_out(delivery: str, rows: int) -> pa.Table:
    columns = {
        "record_id": [f"{delivery}-{row:04}" for row in range(rows)],
        "subject_id": [f"{delivery}-s{row // 2}" for row in range(rows)],
        "delivery": [delivery] * rows,
        "text": [f"text {row}" for row in range(rows)],
        "label": ["card"] * rows,
        "group": ["F"] * rows,
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _through_parquet(table: pa.Table) -> pa.Table:
    file = io.BytesIO()
    pq.write_table(table, file)
    return pq.read_table(io.BytesIO(file.getvalue()))
