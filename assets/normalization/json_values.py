"""JSON documents: an array of objects, one object, or objects one after the other, split without reading the whole.

A full JSON parser builds what it reads; this one only finds where each object ends, skipping strings as a whole, and
leaves the object's bytes to orjson. So memory is bounded, and an object with bad bytes does not cost its neighbours.
"""

import re
from collections.abc import Iterator
from typing import IO

from assets.normalization.records import (
    CHUNK,
    LIMIT,
    RAW_LIMIT,
    Fault,
    Record,
    TooLong,
    UnusableFile,
    excerpt,
    json_record,
    open_bytes,
)
from governance.contracts.source import SourceFile

# A string (its closing quote is group 1, empty where the chunk ends inside it) or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[{}\[\]]', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)


class Unbalanced(ValueError):
    pass


def read_json(file: SourceFile) -> Iterator[Record]:
    """The records of a JSON document. Raises UnusableFile where its structure is broken, naming the record."""
    row = 0
    with open_bytes(file) as stream:
        try:
            for row, body in enumerate(split_objects(stream), 1):
                record = body.record(row, "record") if isinstance(body, TooLong) else json_record(row, body)
                # Where an object is no JSON its end is a guess, and it may have swallowed its neighbours.
                if isinstance(record.content, Fault) and record.content.rule == "json":
                    raise Unbalanced(record.content.message)
                yield record
        except Unbalanced as broken:
            remedy = "correct it, or deliver JSON Lines, where a broken line costs only itself"
            raise UnusableFile(file, f"is broken JSON at record {row or 1}: {broken}", remedy) from broken


class _Piece:
    """The bytes of the object that is being read, up to LIMIT."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []
        self.size = 0

    def add(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= LIMIT:
            self.parts.append(part)
        elif len(self.parts) > 1 or len(part) > RAW_LIMIT:
            self.parts = [b"".join([*self.parts, part])[:RAW_LIMIT]]

    def take(self) -> bytes | TooLong:
        body, size = b"".join(self.parts), self.size
        self.parts, self.size = [], 0
        return body.lstrip(b", \t\r\n") if size <= LIMIT else TooLong(body, size)


