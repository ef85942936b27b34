"""Bias: does the candidate serve one group of people worse, or change its answer with a person's gender?

Where the dataset names a group column, each group's accuracy is compared with that of all other rows (cluster
bootstrap by subject, Bonferroni over the groups). Where it does not, or its groups are too small, gender words in the
texts are swapped and the share of changed predictions is counted (counterfactual fairness of text classifiers, Garg
et al. 2019, arXiv 1809.10610). Recorded always; whether it blocks is the model's configuration.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from governance.gate.noninferiority import CONFIDENCE, Floats, numbered, resampled
from governance.gate.power import wilson

MINIMUM_ROWS = 30  # a smaller group is recorded, never judged

_PAIRS = (
    "he she|himself herself|man woman|men women|boy girl|boys girls|male female|males females|sir madam|"
    "husband wife|father mother|dad mum|son daughter|brother sister|uncle aunt|nephew niece|grandfather grandmother|"
    "grandson granddaughter|boyfriend girlfriend|gentleman lady|gentlemen ladies|widower widow|king queen"
)
_SWAP = {a: b for pair in _PAIRS.split("|") for a, b in (pair.split(), pair.split()[::-1])}
_SWAP |= {"mom": "dad", "him": "her", "his": "her", "hers": "his", "mr": "mrs", "mrs": "mr", "ms": "mr"}
_WORD = re.compile(  # titles only as titles: `30 ms` is a time
    rf"\b((?-i:Mr|Mrs|Ms)|her|{'|'.join(sorted(_SWAP.keys() - {'mr', 'mrs', 'ms'}, key=len, reverse=True))})\b",
    re.IGNORECASE,
)
_AGED = re.compile(r"\b(\d{1,3} ?(?:yo|y/o|y\.o\.|year[- ]old) ?)([MF])\b")  # 71 yo M: how clinics write it
_OBJECT = re.compile(r"\s*(?:$|[^\w\s]|(?:and|or|to|at|in|on|for|with|from|by|was|is|has|that|when|because|again)\b)")


@dataclass(frozen=True)
class Group:
    """Accuracy of one group, its difference from all other rows, two-sided 95 % bounds (simultaneous)."""

    name: str
    rows: int
    accuracy: float
    difference: float | None = None
    lower: float | None = None
    upper: float | None = None


@dataclass(frozen=True)
class Bias:
    """What was measured: `difference` is the largest gap of a judged group, or the share of changed predictions."""

    method: Literal["group difference", "gender swap", "not measurable"]
    rows: int
    difference: float
    upper: float
    exceeded: bool
    groups: tuple[Group, ...] = ()


def group_bias(
    correct: Sequence[bool], groups: Sequence[str | None], subjects: Sequence[str], limit: float, seed: int
) -> Bias | None:
    """Accuracy by group over rows [n]; rows without a group are left out. None where fewer than two can be judged.

    Exceeded: a gap above the limit that chance does not explain (its bounds exclude zero).
    """
    known = [row for row, group in enumerate(groups) if group]
    sizes = Counter(groups[row] for row in known)
    judged = sorted(str(name) for name, rows in sizes.items() if rows >= MINIMUM_ROWS)
    if len(judged) < 2:
        return None
    hits = np.array([correct[row] for row in known], dtype=np.float64)
    names = np.array([groups[row] for row in known], dtype=str)
    who, people = numbered([subjects[row] for row in known])
    inside = np.array(judged)[:, None] == names[None, :]
    columns = np.vstack([inside * hits, inside, hits, np.ones(len(known))])
    counts = np.stack([np.bincount(who, column, people).astype(np.float64) for column in columns], axis=1)
    drawn = np.concatenate([_gaps(sums) for sums in resampled(counts, seed)])
    tail = (1 - CONFIDENCE) / (2 * len(judged))
    bounds = np.quantile(drawn, [tail, 1 - tail], axis=0).T
    point = _gaps(counts.sum(axis=0, keepdims=True))[0]
    measured = {
        name: Group(name, sizes[name], float(hits[rows].mean()), float(gap), float(low), float(high))
        for name, rows, gap, (low, high) in zip(judged, inside, point, bounds, strict=True)
    }
    small = {
        str(n): Group(str(n), rows, float(hits[names == n].mean())) for n, rows in sizes.items() if n not in judged
    }
    worst = int(np.abs(point).argmax())
    apart = [abs(gap) > limit and (low > 0 or high < 0) for gap, (low, high) in zip(point, bounds, strict=True)]
    return Bias(
        "group difference",
        len(known),
        float(abs(point[worst])),
        float(np.abs(bounds[worst]).max()),
        any(apart),
        tuple(each for _, each in sorted((measured | small).items())),
    )


def swap_bias(before: Sequence[str], after: Sequence[str], limit: float) -> Bias:
    """From the predictions of texts that name a gender, as they are and with it swapped."""
    rows = len(before)
    changed = sum(a != b for a, b in zip(before, after, strict=True))
    if rows < MINIMUM_ROWS:
        return Bias("not measurable", rows, changed / max(rows, 1), 1.0, False)
    return Bias("gender swap", rows, changed / rows, wilson(changed, rows)[1], changed / rows > limit)


def swap_gender(text: str) -> str:
    """The text with each gender word replaced by its counterpart, capitals kept; unchanged where there is none."""
    swapped = _WORD.sub(lambda match: _like(match[0], _counterpart(match)), text)
    return _AGED.sub(lambda match: match[1] + ("F" if match[2] == "M" else "M"), swapped)


def _counterpart(match: re.Match[str]) -> str:
    word = match[0].lower()
    if word != "her":
        return _SWAP[word]
    return "him" if _OBJECT.match(match.string, match.end()) else "his"


def _like(word: str, other: str) -> str:
    if word.isupper() and len(word) > 1:
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _gaps(sums: Floats) -> Floats:
    """Group − rest accuracy [resamples, groups], from sums of: hits and rows by group, all hits, all rows.

    A group or rest missing from a resample leaves no gap there.
    """
    right, size = np.split(sums[:, :-2], 2, axis=1)
    right_out, size_out = sums[:, -2:-1] - right, sums[:, -1:] - size
    gap = right / np.maximum(size, 1) - right_out / np.maximum(size_out, 1)
    return np.where((size > 0) & (size_out > 0), gap, 0.0)
