"""How many evaluation rows a margin needs: a gate that cannot tell must refuse, and say the number.

Formula: for paired binary outcomes with discordance ψ (share of rows on which exactly one model is right) and true
difference δ, one-sided level α and power 1 − β (Nam 1997, Biometrics 53:1422; Liu et al. 2002, Stat. Med. 21:231):

    n = (z_{1−α} + z_{1−β})² · (ψ − δ²) / (margin + δ)²

α = 0.05, power 0.8. δ is 0 (a truly equal model) unless the bootstrap proved more: then its lower bound, so that a
large improvement is not refused for disagreeing much with a weak champion. ψ is the one-sided 95 % upper bound of
what was observed (Wilson), so that a handful of rows without a disagreement proves nothing. Where the bootstrap finds
a larger variance (few subjects with many rows each, macro F1 of rare labels), that variance counts. Whatever was
observed, a set must hold the rows on which two models that never disagree could be told to be equal.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

from governance.gate.noninferiority import CONFIDENCE, Difference

POWER = 0.8
MINIMUM_SUBJECTS = 50  # below, the cluster bootstrap itself is too narrow (Cameron, Gelbach and Miller 2008)
Z_CONFIDENCE = NormalDist().inv_cdf(CONFIDENCE)
_Z_BOTH = Z_CONFIDENCE + NormalDist().inv_cdf(POWER)


@dataclass(frozen=True)
class Power:
    """What was there and what the margins need; `discordance` is a share of rows."""

    rows: int
    subjects: int
    rows_needed: int
    subjects_needed: int
    discordance: float

    @property
    def sufficient(self) -> bool:
        return self.rows >= self.rows_needed and self.subjects >= self.subjects_needed


def wilson(count: int, rows: int) -> tuple[float, float]:
    """One-sided 95 % lower and upper bounds of a share (Wilson 1927)."""
    if rows == 0:
        return 0.0, 1.0
    share, z2 = count / rows, Z_CONFIDENCE**2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = Z_CONFIDENCE / (1 + z2 / rows) * math.sqrt(share * (1 - share) / rows + z2 / (4 * rows**2))
    return max(0.0, middle - half), min(1.0, middle + half)


def rows_needed(variance: float, margin: float, difference: float = 0.0) -> int:
    """Rows for power 0.8 when one row's paired difference has this variance and the true difference is as given."""
    return math.ceil(_Z_BOTH**2 * variance / (margin + difference) ** 2)


def fewest_rows(margin: float) -> int:
    """The n at which ψ of no disagreement at all, z² / (n + z²) by Wilson, needs just n rows."""
    z2 = Z_CONFIDENCE**2
    return math.ceil((math.sqrt(z2**2 + 4 * z2 * _Z_BOTH**2 / margin**2) - z2) / 2)


def power_of(
    truth: Sequence[str],
    candidate: Sequence[str],
    champion: Sequence[str],
    subjects: Sequence[str],
    differences: dict[str, Difference],
    margins: dict[str, float],
) -> Power:
    """Judge one comparison: are these rows enough for every margin?

    A margin of 0 asks for an improvement, whose proof is the bound itself: it needs no rows of its own.
    """
    rows = len(truth)
    split = sum((a == t) != (b == t) for t, a, b in zip(truth, candidate, champion, strict=True))
    discordance = wilson(split, rows)[1]
    needed = 0
    for metric, difference in differences.items():
        proven = max(0.0, difference.lower)
        binary = discordance - proven**2 if metric == "accuracy" else 0.0
        variance = max(binary, rows * difference.standard_error**2)
        if margins[metric] > 0:
            needed = max(needed, fewest_rows(margins[metric]), rows_needed(variance, margins[metric], proven))
    return Power(rows, len(set(subjects)), needed, MINIMUM_SUBJECTS, split / rows)
