"""Every delivered record ends in rows.parquet or in quarantine.parquet, and nothing half-written is seen."""

import json
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from assets.normalization.normalize import EmptyDelivery, TooManyBadRows, normalize
from assets.normalization.records import UnusableFile
from governance.contracts.source import SourceFile
from governance.tenants import Contract

CONTRACT = Contract.model_validate(
    {
        "quarantine_share": 0.5,
        "fields": {
            "user": {"type": "string", "path": "actor.id", "aliases": ["userId"]},
            "text": {"type": "string", "min_length": 3, "aliases": ["message"]},
            "size": {"type": "integer", "required": False, "maximum": 100},
        },
    }
)


def quiet(_: str) -> None:
    pass


def delivered(tmp_path: Path, rows: list[Any], name: str = "a.jsonl", delivery: str = "d1") -> SourceFile:
    path = tmp_path / f"{delivery}-{len(list(tmp_path.iterdir()))}"
    path.write_bytes(b"".join((row if isinstance(row, bytes) else orjson.dumps(row)) + b"\n" for row in rows))
    return SourceFile(delivery, name, path)


def test_a_row_says_where_it_came_from_and_keeps_what_was_not_declared(tmp_path: Path) -> None:
    rows = [
        {"actor": {"id": 7, "team": "x"}, "text": "hello", "size": "12", "tags": ["a"]},
        b'{"userId": "8", "message": "later", "text": null}',
    ]
    done = normalize([delivered(tmp_path, rows, "été 1.jsonl")], CONTRACT, tmp_path / "out", quiet)
    assert (done.rows, done.quarantined) == (2, 0)
    first, second = pq.read_table(tmp_path / "out/rows.parquet").to_pylist()
    extras = json.loads(first.pop("extras"))
    assert extras == {"actor.team": "x", "tags": ["a"]}
    assert first == {"user": "7", "text": "hello", "size": 12, "delivery": "d1", "file": "été 1.jsonl", "row": 1}
    assert (second["user"], second["text"], second["size"], second["extras"]) == ("8", "later", None, "{}")


def test_both_of_two_names_for_a_column_are_kept(tmp_path: Path) -> None:
    file = delivered(tmp_path, [{"userId": "1", "text": "first", "message": "second"}])
    normalize([file], CONTRACT, tmp_path / "out", quiet)
    (row,) = pq.read_table(tmp_path / "out/rows.parquet").to_pylist()
    assert (row["text"], json.loads(row["extras"])) == ("first", {"message": "second"})


def test_bad_rows_are_set_aside_with_file_row_rule_and_beginning(tmp_path: Path) -> None:
    rows = [{"userId": "1", "text": "fine"}] * 4 + [
        b"{",
        {"userId": "1", "text": "no", "size": 900},
        {"text": "x" * 9000},
    ]
    done = normalize([delivered(tmp_path, rows)], CONTRACT, tmp_path / "out", quiet)
    assert (done.rows, done.quarantined) == (4, 3)
    assert done.faults == {"json": 1, "text: min_length": 1, "user: required": 1}
    bad = pq.read_table(tmp_path / "out/quarantine.parquet").to_pylist()
    assert [(row["file"], row["row"], row["rule"]) for row in bad] == [
        ("a.jsonl", 5, "json"),
        ("a.jsonl", 6, "text: min_length"),
        ("a.jsonl", 7, "user: required"),
    ]
    assert "maximum" in bad[1]["message"], "a row's second fault must be told too"
    assert "actor.id or user or userId" in bad[2]["message"]
    assert len(bad[2]["raw"]) == 2048


@pytest.mark.parametrize(
    "line",
    [
        b'{"userId": "1", "text": "abc", "x": ' + b"[" * 300 + b"]" * 300 + b"}",
        b'{"userId": "1", "text": "abc", "x": ' + b'{"x":' * 900 + b"1" + b"}" * 901,
        b'{"text": ' + b'{"x":' * 900 + b"1" + b"}" * 901,
        b"[" * 5000 + b"]" * 5000,
        b'{"userId": "1", "text": "lone \\ud83d surrogate"}',
        b'{"userId": 123456789012345678901234567890, "text": "abc"}',
        b'{"userId": "1", "text": "abc", "size": 1e400}',
        b'{"userId": "1", "text": "abc", "size": NaN}',
        b'{"userId": "1", "text": ["abc"], "size": true}',
    ],
)
def test_hostile_json_is_set_aside(tmp_path: Path, line: bytes) -> None:
    done = normalize([delivered(tmp_path, [line, {"userId": "1", "text": "fine"}])], CONTRACT, tmp_path / "out", quiet)
    assert (done.rows, done.quarantined) == (1, 1), pq.read_table(tmp_path / "out/rows.parquet").to_pylist()


def test_parquet_of_every_type_is_read(tmp_path: Path) -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    columns = {
        "actor": pa.array([{"id": 7}]),
        "text": pa.array(["hello"]).dictionary_encode(),
        "size": pa.array([12.0]),
        "ns": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns")),
        "zoned": pa.array([now], pa.timestamp("us", tz="Asia/Kolkata")),
        "time": pa.array([now.time()]),
        "duration": pa.array([timedelta(1)]),
        "decimal": pa.array([Decimal("1.50")]),
        "bytes": pa.array([b"\xff"]),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "null": pa.nulls(1),
    }
    pq.write_table(pa.table(columns), tmp_path / "x")
    done = normalize([SourceFile("d", "x.parquet", tmp_path / "x")], CONTRACT, tmp_path / "out", quiet)
    assert done.rows == 1
    types = {path: list(field["types"]) for path, field in done.schema["deliveries"][0]["fields"].items()}
    assert (types["actor.id"], types["ns"], types["decimal"]) == (["integer"], ["timestamp"], ["number"])
    (row,) = pq.read_table(tmp_path / "out/rows.parquet").to_pylist()
    assert json.loads(row["extras"])["zoned"].startswith("2026-01-02T")


def test_too_many_bad_rows_stop_the_build_and_none_of_them_is_lost(tmp_path: Path) -> None:
    rows = [{"userId": "1", "text": "fine"}] * 3 + [{"userId": "1"}] * 4
    out = tmp_path / "out"
    with pytest.raises(TooManyBadRows) as stopped:
        normalize([delivered(tmp_path, rows)], CONTRACT, out, quiet)
    for part in ("4 of 7", "57.14%", "50.00%", "'text: required' 4", "d1/a.jsonl:4", str(out / "quarantine.parquet")):
        assert part in str(stopped.value)
    assert pq.read_table(stopped.value.quarantine).num_rows == 4
    assert sorted(path.name for path in out.iterdir()) == ["quarantine.parquet", "schema.json"]


def test_no_good_row_at_all_is_no_dataset_whatever_share_is_allowed(tmp_path: Path) -> None:
    anything = CONTRACT.model_copy(update={"quarantine_share": 1.0})
    with pytest.raises(TooManyBadRows):
        normalize([delivered(tmp_path, [b"{"])], anything, tmp_path / "out", quiet)


def test_an_empty_delivery_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmptyDelivery, match="deliver"):
        normalize([], CONTRACT, tmp_path / "out", quiet)


def test_a_refused_file_leaves_nothing_half_written(tmp_path: Path) -> None:
    files = [delivered(tmp_path, [{"userId": "1", "text": "fine"}]), delivered(tmp_path, [{}], "a.parquet")]
    with pytest.raises(UnusableFile, match=r"a\.parquet"):
        normalize(files, CONTRACT, tmp_path / "out", quiet)
    assert list((tmp_path / "out").iterdir()) == []


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [delivered(tmp_path, [{"userId": str(i), "text": f"text {i}", "x": i} for i in range(500)] + [b"{"])]
    for out in ("one", "two"):
        normalize(files, CONTRACT, tmp_path / out, quiet)
    for name in ("rows.parquet", "quarantine.parquet", "schema.json"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


leaves = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(max_size=20)
)
keys = st.sampled_from(["actor", "id", "text", "message", "userId", "size", "actor.id", ""]) | st.text(max_size=5)
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4))
objects = st.dictionaries(keys, values, max_size=6) | st.fixed_dictionaries(
    {"userId": st.integers(0, 9), "text": st.text(min_size=3, max_size=30)}, optional={"size": leaves, "z": values}
)
UTF_16 = (b"\xff\xfe", b"\xfe\xff")  # a file that begins so is refused by name: test_readers_survive_bad_files.py
lines = (
    objects | values | st.binary(max_size=30).filter(lambda line: b"\n" not in line and not (line + b"\n").isspace())
)


@settings(max_examples=80, deadline=None)
@given(rows=st.lists(lines, min_size=1, max_size=12))
def test_rows_and_quarantine_together_are_what_was_delivered(rows: list[Any], tmp_path_factory: Any) -> None:
    assume(not (isinstance(rows[0], bytes) and rows[0].startswith(UTF_16)))
    tmp_path = tmp_path_factory.mktemp("rows")
    good = {"userId": "1", "text": "a good row"}
    anything = CONTRACT.model_copy(update={"quarantine_share": 1.0})
    interleaved = [row for bad in rows for row in (bad, good)]
    done = normalize([delivered(tmp_path, interleaved)], anything, tmp_path / "out", quiet)
    kept = pq.read_table(tmp_path / "out/rows.parquet").to_pylist()
    aside = pq.read_table(tmp_path / "out/quarantine.parquet").to_pylist()
    assert (done.rows, done.quarantined) == (len(kept), len(aside))
    assert sorted(row["row"] for row in kept + aside) == list(range(1, len(interleaved) + 1))
    assert {row["row"] for row in kept} >= set(range(2, len(interleaved) + 1, 2)), "a good row was lost with a bad one"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_delivery(tmp_path: Path) -> None:
    line = orjson.dumps({"userId": "1", "text": "word " * 60, "nested": {"a": [1, 2], "b": "c" * 80}}) + b"\n"
    program = """
        import sys
        from pathlib import Path
        from assets.normalization.normalize import normalize
        from benchmarks.report import peak_rss_mb
        from governance.contracts.source import SourceFile
        from tests.assets.normalization.test_normalize_loses_nothing import CONTRACT, quiet
        normalize([SourceFile("d", "a.jsonl", Path(sys.argv[1]))], CONTRACT, Path(sys.argv[2]), quiet)
        print(peak_rss_mb())
    """
    peaks = []
    for copies in (20_000, 60_000):
        path = tmp_path / str(copies)
        with path.open("wb") as file:
            for _ in range(copies // 1000):
                file.write(line * 1000)
        command = [sys.executable, "-c", textwrap.dedent(program), str(path), str(tmp_path / f"out{copies}")]
        peaks.append(float(subprocess.run(command, capture_output=True, check=True, text=True).stdout))
    assert peaks[1] < peaks[0] * 1.15, peaks
