"""Every broken file costs what is broken in it: one row where that can be told, the file by name where not."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.normalization import csv_rows
from assets.normalization.json_values import split_objects
from assets.normalization.readers import read_records
from assets.normalization.records import LIMIT, Fault, UnusableFile
from governance.contracts.source import SourceFile


def read(tmp_path: Path, name: str, body: bytes) -> list[tuple[int, Any]]:
    """Row number and content of each record; of a fault, its rule."""
    path = tmp_path / "bytes"  # a file is known by its delivered name, not by where it lies
    path.write_bytes(body)
    records = read_records(SourceFile("2026-01", name, path))
    return [(r.row, r.content.rule if isinstance(r.content, Fault) else r.content) for r in records]


def refusal(tmp_path: Path, name: str, body: bytes) -> str:
    with pytest.raises(UnusableFile) as refused:
        read(tmp_path, name, body)
    assert name in str(refused.value)
    assert "2026-01" in str(refused.value)
    return str(refused.value)


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_a_broken_line_costs_only_itself(tmp_path: Path) -> None:
    body = b'\xef\xbb\xbf{"a": 1}\n\n{"a": \n["a"]\n{"a": "caf\xe9"}\r\n{"a": 2}'
    assert read(tmp_path, "x.jsonl", body) == [
        (1, {"a": 1}),
        (3, "json"),
        (4, "not an object"),
        (5, "invalid UTF-8"),
        (6, {"a": 2}),
    ]


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_the_row_after_a_line_that_is_too_long_is_read(tmp_path: Path, name: str) -> None:
    first, good = (b'{"a": "1"}\n', b'{"a": "2"}\n') if name == "x.jsonl" else (b"a\n", b"2\n")
    records = read(tmp_path, name, first + b'{"a": "' + b"x" * (LIMIT + 5_000_000) + b'"}\n' + good)
    assert records[-2:] == [(2, "line too long (limit 16 MB)"), (3, {"a": "2"})]


def test_an_array_gives_its_objects_one_by_one(tmp_path: Path) -> None:
    rows = [{"a": i, "b": {"c": ["]", '}"{', "\\", '\\"', "é"]}} for i in range(3)]
    for indent in (None, 2):
        assert [r for _, r in read(tmp_path, "x.json", json.dumps(rows, indent=indent).encode())] == rows


@pytest.mark.parametrize("size", range(1, 40))
def test_no_place_of_a_chunk_border_changes_what_is_read(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"a": '\\"}{[', "b": {"c": ["\\\\", "x" * 7]}}, {"a": ""}]
    monkeypatch.setattr("assets.normalization.json_values.CHUNK", size)
    assert [json.loads(piece) for piece in split_objects(io.BytesIO(json.dumps(rows).encode()))] == rows  # type: ignore[arg-type]


def test_one_object_and_objects_line_by_line_are_json_too(tmp_path: Path) -> None:
    assert read(tmp_path, "x.json", b' {"a": {"b": 1}} ') == [(1, {"a": {"b": 1}})]
    assert read(tmp_path, "x.json", b'{"a": 1}\n{"a": 2}\n') == [(1, {"a": 1}), (2, {"a": 2})]


def test_bad_bytes_in_an_array_cost_one_object(tmp_path: Path) -> None:
    body = b'[{"a": "caf\xe9"}, [1], {"a": "' + b"x" * (LIMIT + 1) + b'"}, {"a": 2}]'
    rules = ["invalid UTF-8", "not an object", "record too long (limit 16 MB)"]
    assert [content for _, content in read(tmp_path, "x.json", body)] == [*rules, {"a": 2}]


@pytest.mark.parametrize(
    "body",
    [
        b'[{"a": 1}, {"a": 2',
        b'[{"a": 1}',
        b'[{"a": "1}, {"a": 2}]',
        b"[1, 2]",
        b'[{"a": 1}] {"a": 2}',
        b'{"a": 1}}',
        b"hi",
    ],
)
def test_broken_structure_refuses_the_document(tmp_path: Path, body: bytes) -> None:
    assert "JSON Lines" in refusal(tmp_path, "x.json", body)


def test_csv_is_read_with_its_delimiter_quotes_and_mark(tmp_path: Path) -> None:
    for mark in (b",", b";", b"\t"):
        body = b'\xef\xbb\xbfa,b\r\n"1\n, ""x""",\r\n\r\n2,y\r\n'.replace(b",", mark)
        assert read(tmp_path, "x.csv", body) == [
            (2, {"a": f'1\n{mark.decode()} "x"', "b": None}),
            (5, {"a": "2", "b": "y"}),
        ]


def test_ragged_and_garbled_rows_cost_only_themselves(tmp_path: Path) -> None:
    body = b'a,b\n1,2\n3\n4,5,6\ncaf\xe9,7\n5" pipe,8\n'
    assert read(tmp_path, "x.csv", body) == [
        (2, {"a": "1", "b": "2"}),
        (3, "ragged row"),
        (4, "ragged row"),
        (5, "invalid UTF-8"),
        (6, {"a": '5" pipe', "b": "8"}),
    ]


@pytest.mark.parametrize("after", [3, csv_rows.MOST_LINES + 500])
def test_an_open_quote_does_not_swallow_the_rows_after_it(tmp_path: Path, after: int) -> None:
    good = b"".join(b"%d,y\n" % i for i in range(after))
    records = read(tmp_path, "x.csv", b'a,b\n1,"x\n' + good)
    assert records[0] == (2, "csv")
    assert [content["a"] for _, content in records[1:]] == [str(i) for i in range(after)]
    assert [row for row, _ in records] == list(range(2, after + 3))


def test_an_open_quote_before_a_line_too_long_costs_two_rows(tmp_path: Path) -> None:
    records = read(tmp_path, "x.csv", b'a\n"x\n' + b"y" * (LIMIT + 1) + b"\n2\n")
    assert records == [(2, "csv"), (3, "line too long (limit 16 MB)"), (4, {"a": "2"})]


def test_column_names_that_appear_twice_refuse_the_file(tmp_path: Path) -> None:
    assert "names columns twice: a" in refusal(tmp_path, "x.csv", b"a,b,a\n1,2,3\n")
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["a", "a"])
    assert "names columns twice: a" in refusal(tmp_path, "x.parquet", parquet(table))


def test_a_header_in_another_encoding_refuses_the_file(tmp_path: Path) -> None:
    assert "UTF-8" in refusal(tmp_path, "x.csv", b"pr\xe9nom,b\n1,2\n")
    assert "UTF-16" in refusal(tmp_path, "x.csv", "a,b\n1,2\n".encode("utf-16"))


def test_parquet_is_read_and_cut_off_parquet_is_refused(tmp_path: Path) -> None:
    table = pa.table({"a": list(range(10_000)), "b": [{"c": "x"}] * 10_000})
    body = parquet(table)
    records = read(tmp_path, "x.parquet", body)
    assert len(records) == 10_000
    assert records[-1] == (10_000, {"a": 9_999, "b": {"c": "x"}})
    for broken in (body[: len(body) // 2], body[:-9] + body[-8:], b"PAR1", body[:100] + b"\0" * 2000 + body[2100:]):
        assert "not whole Parquet" in refusal(tmp_path, "x.parquet", broken)


def test_gzip_is_unpacked_and_cut_off_gzip_is_refused(tmp_path: Path) -> None:
    body = gzip.compress(b'{"a": 1}\n' * 10)
    assert len(read(tmp_path, "x.jsonl.gz", body)) == 10
    assert "gzip" in refusal(tmp_path, "x.jsonl.gz", body[:-12])
    assert "gzip" in refusal(tmp_path, "x.csv.gz", b"a\n1\n")


@pytest.mark.parametrize(("name", "body"), [("x.jsonl", b""), ("x.json", b"[]"), ("x.csv", b"a,b\n"), ("x.csv", b"")])
def test_a_file_without_rows_is_an_error_that_names_it(tmp_path: Path, name: str, body: bytes) -> None:
    assert "has no rows" in refusal(tmp_path, name, body)


def test_an_unknown_kind_is_refused_with_the_kinds_that_are_read(tmp_path: Path) -> None:
    assert ".jsonl" in refusal(tmp_path, "../été 1.xlsx", b"x")
