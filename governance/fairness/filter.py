"""The fairness filter: candidates with scores in, the same candidates re-ranked with reasons out, and a record of it.

Any pipeline that puts candidates in order attaches it at its end: whatever has the form of `FairnessFilter` will do,
and `fair(rules)` makes one. Method: DetGreedy (Geyik, Ambler, Kenthapadi 2019, arXiv 1905.01989): place by place the
best remaining candidate, unless a group would fall below its smallest share or rise above its largest; and, other than
there, already where no place would be left for all that is due later.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from governance.fairness.audit import BiasAudit, audit_of
from governance.fairness.rules import FairnessRules

BY_SCORE = "by score"


class FilterRefused(ValueError):
    """Candidates that cannot be put in order; the message names one and the fault."""


@dataclass(frozen=True)
class Candidate:
    """A thing to be ranked and its score, higher is better. Names are unique within a ranking."""

    name: str
    score: float


@dataclass(frozen=True)
class Placed:
    """A candidate at its place. `before`: its place by score alone, from 1."""

    name: str
    score: float
    before: int
    reason: str


class FairnessFilter(Protocol):
    """What a pipeline needs to know. `about`: who ranked, e.g. a release digest; it goes into the record."""

    def __call__(self, candidates: Sequence[Candidate], about: str) -> tuple[list[Placed], BiasAudit]: ...


def fair(rules: FairnessRules) -> FairnessFilter:
    """The filter that keeps `rules`. It raises FilterRefused."""

    def filtered(candidates: Sequence[Candidate], about: str) -> tuple[list[Placed], BiasAudit]:
        placed = rerank(candidates, rules)
        places = [(rules.group_of(each.name), each.before, after) for after, each in enumerate(placed, 1)]
        return placed, audit_of(about, rules, places)

    return filtered


def rerank(candidates: Sequence[Candidate], rules: FairnessRules) -> list[Placed]:
    """All candidates, the first `rules.top` places fair, the rest by score; ties by name. Raises FilterRefused."""
    _require_order(candidates)
    left = sorted(candidates, key=lambda each: (-each.score, each.name))
    before = {each.name: place for place, each in enumerate(left, 1)}
    group = {each.name: rules.group_of(each.name) for each in left}
    counts: Counter[str] = Counter()
    placed: list[Placed] = []
    while left and len(placed) < rules.top:
        chosen, reason = _next(left, group.get, counts, len(placed) + 1, rules)
        left.remove(chosen)
        placed.append(Placed(chosen.name, chosen.score, before[chosen.name], reason))
        if named := group[chosen.name]:
            counts[named] += 1
    return placed + [Placed(each.name, each.score, before[each.name], BY_SCORE) for each in left]


def _next(
    left: Sequence[Candidate],
    group: Callable[[str], str | None],
    counts: Counter[str],
    place: int,
    rules: FairnessRules,
) -> tuple[Candidate, str]:
    """Who takes `place`, and why. `left`: best first."""
    full = {name for name, share in rules.at_most.items() if counts[name] >= math.ceil(place * share)}
    here = Counter(group(each.name) for each in left)
    for to in range(place, min(rules.top + 1, place + len(left))):
        due = {name: math.floor(to * share) for name, share in rules.at_least.items()}
        short = {name: lacks for name in due if (lacks := min(due[name] - counts[name], here[name])) > 0}
        if sum(short.values()) > to - place:
            # The best of those that are due; of a group that has its most only where no other is.
            chosen = min(
                (each for each in left if group(each.name) in short), key=lambda each: group(each.name) in full
            )
            named = str(group(chosen.name))
            return chosen, BY_SCORE if chosen is left[0] else f"{named} has at least {due[named]} of the first {to}"
    for each in left:
        if group(each.name) not in full:
            passed = f"{group(left[0].name)} has its {counts[str(group(left[0].name))]} of the first {place} already"
            return each, BY_SCORE if each is left[0] else passed
    return left[0], "only candidates of groups that have their share are left"


def _require_order(candidates: Sequence[Candidate]) -> None:
    for name, times in Counter(each.name for each in candidates).items():
        if times > 1:
            raise FilterRefused(f"candidate {name!r} is there {times} times; a name is ranked once")
    for each in candidates:
        if not math.isfinite(each.score):
            raise FilterRefused(f"candidate {each.name!r} has the score {each.score}, which has no place in an order")
