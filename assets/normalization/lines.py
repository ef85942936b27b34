"""Lines of bounded length, and JSON Lines over them."""

from collections.abc import Iterator
from typing import IO

from assets.normalization.records import CHUNK, LIMIT, RAW_LIMIT, Record, TooLong, json_record, open_bytes
from governance.contracts.source import SourceFile


def bounded_lines(stream: IO[bytes]) -> Iterator[bytes | TooLong]:
    """Each line with its end; a line over LIMIT bytes is read past in small pieces."""
    while line := stream.readline(LIMIT + 1):
        if len(line) <= LIMIT:
            yield line
            continue
        beginning, size, piece = line[:RAW_LIMIT], len(line), line
        del line  # 16 MB that nobody reads again
        while piece and not piece.endswith(b"\n"):
            piece = stream.readline(CHUNK)
            size += len(piece)
        yield TooLong(beginning, size)


def read_json_lines(file: SourceFile) -> Iterator[Record]:
    """A record a line; blank lines are none."""
    with open_bytes(file) as stream:
        for row, line in enumerate(bounded_lines(stream), 1):
            if isinstance(line, TooLong):
                yield line.record(row, "line")
            elif not line.isspace():
                yield json_record(row, line)
