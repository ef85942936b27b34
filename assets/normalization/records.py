"""What every reader yields: records with their row number, or the fault that stands in a record's place.

Readers never judge a record's content; the contract does. What they cannot read is one `Fault` (the row is set aside,
the file goes on) or `UnusableFile` (nothing after this point could be trusted).
"""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any, NamedTuple

import orjson

from governance.contracts.source import SourceFile

LIMIT = 16 << 20
CHUNK = 1 << 20
RAW_LIMIT = 2048


class UnusableFile(ValueError):
    """A delivered file is not what its name says; the message names delivery, file, reason and remedy."""

    def __init__(self, file: SourceFile, reason: str, remedy: str = "deliver a whole file") -> None:
        super().__init__(f"file {file.name!r} of delivery {file.delivery!r} {reason}; {remedy}")


class RecordTooDeep(ValueError):
    """JSON that can be read but, at over 250 levels, not written again."""


@dataclass(frozen=True)
class Fault:
    """Why a record is not a row: the rule (counted), a sentence, and the beginning of what was delivered."""

    rule: str
    message: str
    raw: str


class Record(NamedTuple):
    """`row`: 1-based record number, for line formats the line it begins at. `size`: bytes it took, about."""

    row: int
    content: dict[str, Any] | Fault
    size: int


@dataclass(frozen=True)
class TooLong:
    """A piece of a file over LIMIT bytes, of which only the beginning was kept."""

    beginning: bytes
    size: int

    def record(self, row: int, what: str) -> Record:
        rule = f"{what} too long (limit {LIMIT >> 20} MB)"
        return Record(row, Fault(rule, f"a {what} of {self.size / 2**20:,.0f} MB", excerpt(self.beginning)), RAW_LIMIT)


def excerpt(raw: bytes | str) -> str:
    """The first RAW_LIMIT bytes as text, whatever they are."""
    body = raw.encode(errors="surrogateescape") if isinstance(raw, str) else raw
    return body[:RAW_LIMIT].decode(errors="replace")


def to_json(content: dict[str, Any]) -> str:
    """A record as JSON, whatever Parquet may have put in it. Raises RecordTooDeep."""
    try:
        return orjson.dumps(content, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError as deep:
        raise RecordTooDeep(f"nested too deep to be kept: {deep}") from deep


def raw_of(content: dict[str, Any]) -> str:
    """What a quarantined row shows of a record that could be read."""
    try:
        return excerpt(to_json(content))
    except RecordTooDeep:
        return excerpt(f"too deep to be shown; keys {', '.join(content)}")


@contextmanager
def open_bytes(file: SourceFile) -> Iterator[IO[bytes]]:
    """The file's bytes, unpacked where its name ends in .gz, after its byte order mark. Raises UnusableFile."""
    unpack: Any = gzip.open if file.name.lower().endswith(".gz") else open
    with unpack(file.path, "rb") as stream:
        mark = stream.read(3)
        if mark[:2] in (b"\xff\xfe", b"\xfe\xff"):
            raise UnusableFile(file, "is UTF-16", "deliver it as UTF-8")
        if mark != b"\xef\xbb\xbf":
            stream.seek(0)
        yield stream


def json_record(row: int, body: bytes) -> Record:
    """One JSON object as a record, or the fault that it is."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError as broken:
        try:
            body.decode()
        except UnicodeDecodeError as invalid:
            return Record(row, not_utf8(invalid, body), len(body))
        return Record(row, Fault("json", f"not JSON: {broken}", excerpt(body)), len(body))
    if not isinstance(content, dict):
        kind = type(content).__name__
        return Record(row, Fault("not an object", f"a JSON {kind} where an object belongs", excerpt(body)), len(body))
    return Record(row, content, len(body))


def not_utf8(invalid: UnicodeDecodeError, body: bytes) -> Fault:
    """The fault of a record with bytes that are not UTF-8."""
    return Fault(
        "invalid UTF-8", f"byte {body[invalid.start]:#04x} at offset {invalid.start} is not UTF-8", excerpt(body)
    )
