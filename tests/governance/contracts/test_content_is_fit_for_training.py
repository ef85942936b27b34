"""The checks on a whole dataset see what they are for: a broken table, useless content, labels that are none."""

import socket
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governance.contracts.expectations import Expectations, expectations, slim_table
from governance.contracts.labels import UnusableLabels, check_labels
from governance.contracts.row_model import arrow_schema
from governance.contracts.rows_check import contract_failures
from governance.tenants import Model

MODEL = Model.model_validate(
    {
        "dataset": "notes",
        "base": "minilm",
        "text": ["title", "note"],
        "label": "urgency",
        "subject": "person",
        "contract": {
            "fields": {
                "person": {"type": "string"},
                "title": {"type": "string", "required": False},
                "note": {"type": "string", "min_length": 5, "max_length": 100},
                "urgency": {"type": "string", "one_of": ["high", "low", "none"]},
                "age": {"type": "integer", "required": False, "minimum": 0, "maximum": 120},
                "born": {"type": "date", "required": False},
                "at": {"type": "timestamp", "required": False},
            }
        },
    }
)


def table(rows: int = 40, **changed: Any) -> pa.Table:
    """A good table, with whole columns replaced."""
    made = [
        {
            "person": f"p{i // 2}",
            "title": None if i % 3 else "a title",
            "note": f"note number {i}",
            "urgency": ("high", "low")[i % 2],
            "age": None if i % 5 else i,
            "born": None,
            "at": None,
            "delivery": "d1",
            "file": "a.csv",
            "row": i + 2,
            "extras": "{}",
        }
        for i in range(rows)
    ]
    good = pa.Table.from_pylist(made, schema=arrow_schema(MODEL.contract))
    for name, values in changed.items():
        place = good.schema.get_field_index(name)
        nullable = good.schema.field(name).nullable or values.null_count > 0
        good = good.set_column(place, pa.field(name, values.type, nullable=nullable), values)
    return good


def written(tmp_path: Path, content: pa.Table) -> Path:
    pq.write_table(content, tmp_path / "rows.parquet")
    return tmp_path / "rows.parquet"


def test_a_good_table_breaks_nothing(tmp_path: Path) -> None:
    assert contract_failures(written(tmp_path, table()), MODEL.contract) == []


@pytest.mark.parametrize(
    ("column", "values", "failures"),
    [
        ("note", pa.array(["ok"] * 3 + ["long enough"] * 37), 3),
        ("urgency", pa.array(["low", "LOW"] * 20), 20),
        ("age", pa.array([121, -1] + [None] * 38, pa.int64()), 1),
        ("person", pa.array([None] + ["p"] * 39, pa.string()), 1),
        ("age", pa.array([1.5] * 40), 1),
    ],
)
def test_value_checks_really_run(tmp_path: Path, column: str, values: pa.Array, failures: int) -> None:
    found = contract_failures(written(tmp_path, table(**{column: values})), MODEL.contract)
    assert {failure["column"] for failure in found} == {column}
    assert found[0]["failures"] >= failures
    assert found[0]["example"] in ("d1/a.csv:2", "d1/a.csv:3", "the whole column")


def test_a_missing_and_an_unknown_column_are_told(tmp_path: Path) -> None:
    content = table().drop_columns(["age"]).append_column("weight", pa.array([1] * 40))
    found = contract_failures(written(tmp_path, content), MODEL.contract)
    assert {failure["column"] for failure in found} == {"age", "weight"}


def judged(tmp_path: Path, content: pa.Table) -> Expectations:
    return expectations(written(tmp_path, content), MODEL, tmp_path / "docs")


def failing(outcome: Expectations) -> set[tuple[str, str]]:
    return {(row["expectation"], row["column"]) for row in outcome.results if not row["success"]}


def test_good_content_passes_and_its_pages_call_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a check of content opened a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    outcome = judged(tmp_path, table())
    assert outcome.success, failing(outcome)
    pages = list((tmp_path / "docs").rglob("*.html"))
    assert outcome.docs_index in pages
    assert len(pages) >= 3
    for page in pages:
        content = page.read_text()
        assert 'src="http' not in content
        assert "url('http" not in content
        assert 'stylesheet" href="http' not in content
        assert "note number" not in content, "the text of a row must not be in pages that anyone may read"


@pytest.mark.parametrize(
    ("content", "column"),
    [
        (table(rows=0), ""),
        (table(urgency=pa.array(["low"] * 40)), "label"),
        (table(urgency=pa.array([f"class {i}" for i in range(40)])), "label"),
        (table(note=pa.array([" "] * 4 + ["long enough"] * 36), title=pa.nulls(40, pa.string())), "text_length"),
        (table(person=pa.array([None] + ["p", "q", "r"] * 13)), "person"),
        (table(person=pa.array(["p"] * 40)), "person"),
        (table(note=pa.array(["the same"] * 40), person=pa.array(["p", "q"] * 20)), "person_and_text"),
    ],
    ids=["no rows", "one class", "no classes", "blank texts", "nobody's rows", "one person", "said again"],
)
def test_useless_content_fails(tmp_path: Path, content: pa.Table, column: str) -> None:
    outcome = judged(tmp_path, content)
    assert not outcome.success
    assert column in {name for _, name in failing(outcome)}


def test_the_slim_table_joins_the_text_columns_and_holds_no_text(tmp_path: Path) -> None:
    slim = slim_table(written(tmp_path, table(rows=4)), MODEL)
    assert list(slim["text_length"]) == [len("a title note number 0"), 13, 13, len("a title note number 3")]
    assert "note" not in slim.to_csv()
    assert slim["person"].nunique() == 2


def test_labels_are_counted(tmp_path: Path) -> None:
    assert check_labels(written(tmp_path, table(rows=5)), MODEL) == {"high": 3, "low": 2}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (pa.array(["low"] * 40), "only the class 'low' in 40 rows"),
        (pa.nulls(40, pa.string()), "no value at all"),
        (pa.array([f"{i}.5" for i in range(40)]), "40 different values in 40 rows"),
    ],
)
def test_labels_without_classes_are_refused(tmp_path: Path, values: pa.Array, told: str) -> None:
    with pytest.raises(UnusableLabels, match=told):
        check_labels(written(tmp_path, table(urgency=values)), MODEL)


def test_a_label_of_the_wrong_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnusableLabels, match=r"'born'.*declared as date"):
        check_labels(written(tmp_path, table()), MODEL.model_copy(update={"label": "born"}))
