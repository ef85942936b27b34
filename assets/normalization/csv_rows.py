"""CSV with a header: comma, semicolon or tab, quoted line ends, bounded records.

The csv module decides where a record ends; the feed below only bounds how far it may look. A quote that is never
closed would otherwise swallow the rest of the file: here it costs its own line, and reading resumes at the next.
"""

import csv
from collections import deque
from collections.abc import Iterator
from typing import IO, Any

from assets.normalization.lines import bounded_lines
from assets.normalization.records import LIMIT, Fault, Record, TooLong, UnusableFile, excerpt, not_utf8, open_bytes
from governance.contracts.source import SourceFile

MOST_LINES = 1000  # of one record: a longer quoted text is taken for a quote that was never closed
DELIMITERS = (",", ";", "\t")

csv.field_size_limit(LIMIT)


class _NoRecord(Exception):
    """The lines taken do not make a record."""


class _Feed:
    """Lines for csv.reader, with the lines of the current record kept until they are known to be one."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines = bounded_lines(stream)
        self.returned: deque[bytes | TooLong] = deque()
        self.taken: list[bytes] = []
        self.size = 0
        self.row = 1  # of the first line taken

    def __iter__(self) -> "_Feed":
        return self

    def __next__(self) -> str:
        line = self.returned.popleft() if self.returned else next(self.lines, None)
        if self.taken and (line is None or isinstance(line, TooLong) or self._too_much(line)):
            if line is not None:
                self.returned.appendleft(line)
            raise _NoRecord("a quote is not closed")
        if line is None:
            raise StopIteration
        if isinstance(line, TooLong):
            raise _LineTooLong(line)
        self.taken.append(line)
        self.size += len(line)
        return line.decode(errors="surrogateescape")

    def peek(self) -> bytes | TooLong | None:
        line = next(self.lines, None)
        if line is not None:
            self.returned.append(line)
        return line

    def next_record(self) -> None:
        """Forget the lines taken: they were a record."""
        self.row += len(self.taken)
        self.taken, self.size = [], 0

    def give_up(self) -> bytes:
        """Set aside the first line taken and put back the others."""
        first, *others = self.taken
        self.returned.extendleft(reversed(others))
        self.taken, self.size = [], 0
        self.row += 1
        return first

    def _too_much(self, line: bytes) -> bool:
        return len(self.taken) >= MOST_LINES or self.size + len(line) > LIMIT


class _LineTooLong(Exception):
    def __init__(self, line: TooLong) -> None:
        super().__init__("a line too long")
        self.line = line


def read_csv(file: SourceFile) -> Iterator[Record]:
    """A record a row, all cells text, blank cells None. Raises UnusableFile where the header cannot be used."""
    with open_bytes(file) as stream:
        feed = _Feed(stream)
        header, delimiter = _header(file, feed)
        reader = csv.reader(feed, delimiter=delimiter)
        while True:
            row = feed.row
            try:
                cells = next(reader)
            except StopIteration:
                return
            except _LineTooLong as long:
                feed.row += 1
                yield long.line.record(row, "line")
                reader = csv.reader(feed, delimiter=delimiter)
            except (csv.Error, _NoRecord) as broken:
                raw = feed.give_up()
                yield Record(row, Fault("csv", f"not CSV: {broken}", excerpt(raw)), len(raw))
                reader = csv.reader(feed, delimiter=delimiter)
            else:
                if cells:
                    yield Record(row, _content(header, cells, feed), feed.size)
                feed.next_record()


def _content(header: list[str], cells: list[str], feed: _Feed) -> dict[str, Any] | Fault:
    raw = b"".join(feed.taken)
    if not raw.isascii():
        try:
            raw.decode()
        except UnicodeDecodeError as invalid:
            return not_utf8(invalid, raw)
    if len(cells) != len(header):
        return Fault("ragged row", f"{len(cells)} cells where the header has {len(header)}", excerpt(raw))
    return {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _header(file: SourceFile, feed: _Feed) -> tuple[list[str], str]:
    first = feed.peek()
    line = first.decode(errors="replace") if isinstance(first, bytes) else ""
    delimiter = max(DELIMITERS, key=lambda mark: len(next(csv.reader([line], delimiter=mark), [])))
    try:
        cells = next(csv.reader(feed, delimiter=delimiter), [])
        names = [cell.strip().encode().decode() or f"unnamed_{i}" for i, cell in enumerate(cells, 1)]
    except (csv.Error, _NoRecord, _LineTooLong, UnicodeEncodeError) as broken:
        raise UnusableFile(file, f"has a header that cannot be read ({broken})", "deliver CSV in UTF-8") from broken
    feed.next_record()
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UnusableFile(file, f"names columns twice: {', '.join(twice)}", "give every column its own name")
    return names, delimiter
