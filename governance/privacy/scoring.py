"""How well spans cover the marked identifiers of examples: recall, precision, leaks, each with its interval.

An identifier counts as found when at least half of its characters are covered, whatever the entity is called; a span
counts as right when at least half of it lies on identifiers. What a data set marks but nobody is known by, as a drug or
the title of a film, is neither: covering it is no error and no merit. Nor is a span of a kind that the data set marks
nowhere at all: that nobody marked dates there does not make them wrong.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from governance.privacy.examples import Example
from governance.privacy.labels import NUMBERS, class_of, entity_of
from governance.privacy.spans import Span

DIRECT = NUMBERS | {"PERSON", "ADDRESS", "BIRTHDATE", "EMAIL", "PHONE"}  # each leads to one person by itself
ALL = "all"
DRAWS = 1000  # of the bootstrap
Z95 = 1.96


@dataclass(frozen=True)
class Find:
    """One marked identifier: how much of it was covered (0–1), and whether by a span of its own kind."""

    document: int
    entity: str
    start: int
    end: int
    covered: float
    typed: bool


@dataclass(frozen=True)
class Claim:
    """One span: whether it lies on an identifier; None where it lies on what is neither."""

    document: int
    span: Span
    right: bool | None


@dataclass(frozen=True)
class Score:
    """What was found of `finds`, and what was claimed, in so many documents; characters as (marked, claimed, both)."""

    documents: int
    finds: list[Find]
    claims: list[Claim]
    characters: tuple[int, int, int]

    def recall(self, entities: frozenset[str] | None = None, covered: float = 0.5, typed: bool = False) -> "Share":
        """Of the marked identifiers of these entities, those covered at least so far."""
        mine = [f for f in self.finds if entities is None or f.entity in entities]
        return _share([f.document for f in mine], [f.covered >= covered and (f.typed or not typed) for f in mine])

    def precision(self, entities: frozenset[str] | None = None) -> "Share":
        """Of the spans of these entities, those that lie on identifiers."""
        mine = [c for c in self.claims if c.right is not None and (entities is None or c.span.entity in entities)]
        return _share([c.document for c in mine], [bool(c.right) for c in mine])

    def leaky(self, entities: frozenset[str] | None = None) -> "Share":
        """Of all documents, those in which an identifier of these entities is covered less than half."""
        leaks = {f.document for f in self.finds if f.covered < 0.5 and (entities is None or f.entity in entities)}
        return wilson(len(leaks), self.documents)

    @property
    def entities(self) -> list[str]:
        return sorted({f.entity for f in self.finds} | {c.span.entity for c in self.claims})


@dataclass(frozen=True)
class Share:
    """`hits` of `of`, and the 95 % interval of their ratio."""

    hits: int
    of: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.hits / self.of if self.of else float("nan")


def f2(precision: float, recall: float) -> float:
    """The mean that weighs recall four times as much as precision."""
    return 5 * precision * recall / (4 * precision + recall) if precision + recall else 0.0


def score(examples: Sequence[Example], spans: Sequence[Sequence[Span]]) -> Score:
    """Judge the spans of each example."""
    finds: list[Find] = []
    claims: list[Claim] = []
    marked = claimed = both = 0
    kinds = {_kind(entity) for example in examples for s in example.spans if (entity := entity_of(s.label))}
    for number, (example, found) in enumerate(zip(examples, spans, strict=True)):
        identifying = [(s.start, s.end, entity) for s in example.spans if (entity := entity_of(s.label))]
        neither = [(s.start, s.end) for s in example.spans if entity_of(s.label) is None]
        places = _union((start, end) for start, end, _ in identifying)
        covers = _union((s.start, s.end) for s in found)
        for start, end, entity in identifying:
            alike = any(_overlap([(s.start, s.end)], start, end) and _kind(s.entity) == _kind(entity) for s in found)
            finds.append(Find(number, entity, start, end, _overlap(covers, start, end) / (end - start), alike))
        for span in found:
            judged = _right(span, places, neither)
            claims.append(Claim(number, span, judged if judged or _kind(span.entity) in kinds else None))
        marked += sum(end - start for start, end in places)
        claimed += sum(end - start for start, end in covers)
        both += sum(_overlap(covers, start, end) for start, end in places)
    return Score(len(examples), finds, claims, (marked, claimed, both))


def wilson(hits: int, of: int) -> Share:
    """The share of independent cases, with Wilson's interval."""
    if not of:
        return Share(0, 0, 0.0, 1.0)
    rate, spread = hits / of, Z95**2 / of
    centre = (rate + spread / 2) / (1 + spread)
    half = Z95 * (rate * (1 - rate) / of + spread / of / 4) ** 0.5 / (1 + spread)
    return Share(hits, of, max(0.0, centre - half), min(1.0, centre + half))


def _share(documents: Sequence[int], hits: Sequence[bool]) -> Share:
    """A ratio whose cases come in documents: the interval draws whole documents again (bootstrap)."""
    if not documents:
        return Share(0, 0, 0.0, 1.0)
    _, places = np.unique(documents, return_inverse=True)
    of = np.bincount(places)
    hit = np.bincount(places, weights=np.asarray(hits, dtype=float))
    drawn = np.random.default_rng(0).integers(len(of), size=(DRAWS, len(of)))
    low, high = np.quantile(hit[drawn].sum(1) / of[drawn].sum(1), [0.025, 0.975])
    return Share(int(hit.sum()), int(of.sum()), float(low), float(high))


def _right(span: Span, places: Sequence[tuple[int, int]], neither: Sequence[tuple[int, int]]) -> bool | None:
    half = (span.end - span.start) / 2
    if _overlap(places, span.start, span.end) >= half:
        return True
    return None if _overlap(neither, span.start, span.end) >= half else False


def _kind(entity: str) -> str:
    kind = class_of(entity_of(entity) or entity)
    return "LOCATION" if kind == "ADDRESS" else kind


def _union(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    union: list[tuple[int, int]] = []
    for start, end in sorted(places):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(end, union[-1][1]))
        else:
            union.append((start, end))
    return union


def _overlap(places: Sequence[tuple[int, int]], start: int, end: int) -> int:
    return sum(max(0, min(end, b) - max(start, a)) for a, b in places)
