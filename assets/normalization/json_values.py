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
    json_record,
    open_bytes,
)
from governance.contracts.source import SourceFile

# A string (its closing quote is group 1, empty where the chunk ends inside it) or a bracket.
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+("?)|[{}\[\]]', re.DOTALL)
_REST_OF_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)


class Unbalanced(ValueError):
    """The document's brackets and quotes do not close where they should."""


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
            raise UnusableFile(file, f"is broken JSON at or after record {row or 1}: {broken}", remedy) from broken


def split_objects(stream: IO[bytes]) -> Iterator[bytes | TooLong]:
    """The bytes of each object (or list) of an array, or of each object at the top. Raises Unbalanced at the end."""
    splitter = _Splitter()
    while chunk := stream.read(CHUNK):
        yield from splitter.feed(chunk)
    splitter.finish()


class _Splitter:
    """Where the reader is: how deep, in a string or not, and the piece read so far."""

    def __init__(self) -> None:
        self.floor: int | None = None  # depth between two objects: 1 in an array, 0 outside
        self.depth = 0
        self.in_string = self.escaped = False
        self.parts: list[bytes] = []
        self.size = 0

    def feed(self, chunk: bytes) -> Iterator[bytes | TooLong]:
        start = 0
        position = self._end_of_string(chunk, _REST_OF_STRING.match(chunk, int(self.escaped))) if self.in_string else 0
        while not self.in_string and (match := _TOKEN.search(chunk, position)):
            position, token = match.end(), chunk[match.start()]
            if token == ord('"'):
                self._end_of_string(chunk, match)
            elif token in b"[{":
                if self.floor is None:
                    self.floor = int(token == ord("["))
                    start = position if self.floor else start
                self.depth += 1
            else:
                self.depth -= 1
                if self.depth == self.floor:
                    self._keep(chunk[start:position])
                    start = position
                    yield self._take()
        self._keep(chunk[start:])

    def finish(self) -> None:
        rest = self._take()
        if self.in_string or self.depth:
            raise Unbalanced("it ends inside a value; a bracket or a quote is not closed")
        if isinstance(rest, TooLong) or rest.strip() != (b"]" if self.floor else b""):
            raise Unbalanced("it holds something that is no object")

    def _end_of_string(self, chunk: bytes, match: re.Match[bytes] | None) -> int:
        assert match is not None  # both patterns match every string, closed or not
        self.in_string = not match[1]
        self.escaped = self.in_string and match.end() < len(chunk)
        return match.end()

    def _keep(self, part: bytes) -> None:
        self.size += len(part)
        if self.size <= LIMIT:
            self.parts.append(part)
        elif len(self.parts) != 1 or len(self.parts[0]) > RAW_LIMIT:
            self.parts = [b"".join([*self.parts, part])[:RAW_LIMIT]]

    def _take(self) -> bytes | TooLong:
        body, size = b"".join(self.parts), self.size
        self.parts, self.size = [], 0
        return body.lstrip(b", \t\r\n") if size <= LIMIT else TooLong(body, size)
