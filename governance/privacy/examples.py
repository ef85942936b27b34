"""Labelled examples: texts in which every identifier is marked, and the JSONL files they are kept in."""

import json
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Labelled:
    """`text[start:end]` is a `label`."""

    start: int
    end: int
    label: str


@dataclass(frozen=True, slots=True)
class Example:
    """A text with all its identifiers; `source` is where it came from, as the kind of document or the file."""

    id: str
    source: str
    text: str
    spans: tuple[Labelled, ...]


class ExamplesInvalid(ValueError):
    """A file of labelled examples cannot be used; the message names the line and the remedy."""


def read_examples(path: Path) -> list[Example]:
    """The examples of a JSONL file of `{id, text, spans: [{start, end, label}]}`. Raises ExamplesInvalid."""
    return [
        _parse(line, f"{path.name} line {number}", path.stem)
        for number, line in enumerate(path.open(encoding="utf-8"), 1)
    ]


def _parse(line: str, where: str, source: str) -> Example:
    try:
        row = json.loads(line)
        spans = tuple(Labelled(int(s["start"]), int(s["end"]), str(s["label"])) for s in row["spans"])
        example = Example(str(row["id"]), source, str(row["text"]), spans)
    except (ValueError, KeyError, TypeError) as broken:
        raise ExamplesInvalid(f"{where} is not {{id, text, spans: [{{start, end, label}}]}}: {broken!r}") from broken
    if wrong := [s for s in spans if not 0 <= s.start < s.end <= len(example.text)]:
        raise ExamplesInvalid(f"{where} marks {wrong[0].start}:{wrong[0].end}, which is not inside its text")
    return example
