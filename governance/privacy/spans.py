"""Where an identifier is in a text, and how several answers about one place become one."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """`text[start:end]` identifies someone. `of`: the identifier in full, where the covered text is a part of it."""

    start: int
    end: int
    entity: str
    score: float
    recognizer: str
    of: str = ""


Detector = Callable[[Sequence[str]], list[list[Span]]]
"""Spans of each text, on the text's own offsets, sorted, not overlapping. Holds no state that changes an answer."""


def merge(text: str, spans: Iterable[Span]) -> list[Span]:
    """Overlapping spans become their union: nothing that anyone found is left uncovered.

    The union's entity is that of the highest score, then the longest, then the first; `of` keeps the winner's own text.
    """
    merged: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, -s.end, -s.score, s.entity)):
        if merged and span.start < merged[-1].end:
            merged[-1] = _union(text, merged[-1], span)
        elif span.end > span.start:
            merged.append(span)
    return merged


def _union(text: str, first: Span, second: Span) -> Span:
    winner = max(first, second, key=lambda s: (s.score, s.end - s.start))
    start, end = first.start, max(first.end, second.end)
    of = winner.of or ("" if (start, end) == (winner.start, winner.end) else text[winner.start : winner.end])
    return Span(start, end, winner.entity, winner.score, winner.recognizer, of)
