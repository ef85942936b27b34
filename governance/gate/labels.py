"""Label drift: does the live champion still agree with the labels that came with the new delivery?

A delivery with wrong labels drags candidate and champion down together, so parity on its own rows proves nothing. The
champion's accuracy on the golden set is the yardstick: where it collapses on the new rows, the labels are suspected
first. Bound: Newcombe 1998 (Stat. Med. 17:873, method 10), the difference of two independent shares from their Wilson
bounds. Rows whose label the champion never saw are its errors in the comparison, but no drift: they are counted apart.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from governance.gate.power import wilson

COLLAPSE = 0.10  # a drop of accuracy that is no wear of a model: wear is found by the comparisons
UNKNOWN_SHARE = 0.5  # above, the delivery speaks of other labels, and the yardstick measures nothing


@dataclass(frozen=True)
class LabelDrift:
    """The champion's accuracy on golden and on new rows of known labels; `lower` bounds the drop from below."""

    golden: float
    new: float
    drop: float
    lower: float
    unknown_rows: int
    new_rows: int


def speaks_of_other_labels(unknown_rows: int, rows: int) -> bool:
    """Whether so many rows bear labels that the champion never saw that its accuracy vouches for nothing."""
    return unknown_rows > UNKNOWN_SHARE * rows


def label_drift(
    golden: tuple[Sequence[str], Sequence[str]], new: tuple[Sequence[str], Sequence[str]], known: set[str]
) -> LabelDrift:
    """From (labels, champion's predictions) on both sets, and the labels that the champion has."""
    on_golden, on_new = _hits(*golden, known), _hits(*new, known)
    before, after = (sum(hits) / len(hits) if hits else 0.0 for hits in (on_golden, on_new))
    low_before, _ = wilson(sum(on_golden), len(on_golden))
    _, high_after = wilson(sum(on_new), len(on_new))
    drop = before - after
    lower = drop - math.hypot(before - low_before, high_after - after)
    rows = len(new[0])
    return LabelDrift(before, after, drop, lower, rows - len(on_new), rows)


def _hits(truth: Sequence[str], predicted: Sequence[str], known: set[str]) -> list[bool]:
    return [label == said for label, said in zip(truth, predicted, strict=True) if label in known]
