"""Is the candidate at least as good? A paired cluster bootstrap of macro F1 and accuracy on the same rows.

Method: the percentile bootstrap over subjects (Field and Welsh 2007, "Bootstrapping clustered data"), both models
resampled together, and non-inferiority by the one-sided 95 % lower bound against −margin (Piaggio et al., CONSORT
extension 2012). Macro F1 is the mean over the labels that the truth holds. No decision about rows enough is made here:
that is power.py.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

METRICS = ("macro F1", "accuracy")
RESAMPLES = 2000
CONFIDENCE = 0.95
_CHUNK = 250  # resamples held in memory at once: 250 × 6,000 subjects are 12 MB

Verdict = Literal["improvement", "parity", "inferior", "undecided"]
Indices = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Difference:
    """One metric of both models; `lower` and `upper` are one-sided 95 % bounds of candidate − champion."""

    candidate: float
    champion: float
    lower: float
    upper: float
    standard_error: float
    resampled: Floats

    @property
    def value(self) -> float:
        return self.candidate - self.champion


def verdict_of(lower: float, upper: float, margin: float, enough_rows: bool) -> Verdict:
    """`improvement` above zero, `parity` above −margin, else `inferior`; margin 0 asks for an improvement.

    With too few rows only a clear loss is said to be one; all else is `undecided`.
    """
    if not enough_rows:
        return "inferior" if upper < -margin else "undecided"
    if lower > 0:
        return "improvement"
    return "parity" if lower > -margin else "inferior"


def seed_of(*digests: str) -> int:
    """A seed that anyone who holds the digests can compute again."""
    return int.from_bytes(hashlib.sha256("\n".join(digests).encode()).digest()[:8], "big")


def compare(
    truth: Sequence[str], candidate: Sequence[str], champion: Sequence[str], subjects: Sequence[str], seed: int
) -> dict[str, Difference]:
    """Both metrics over the same rows [n]: the labels in truth, each model's predictions, whose row it is.

    Raises ValueError when the rows are none or do not line up.
    """
    if not len(truth) == len(candidate) == len(champion) == len(subjects) or not len(truth):
        raise ValueError(
            f"rows do not line up: {len(truth)} labels, {len(candidate)} and {len(champion)} predictions, "
            f"{len(subjects)} subjects; all four describe the same rows, at least one"
        )
    counts = _counts(truth, (candidate, champion), subjects)
    point = _metrics(counts.sum(axis=0, keepdims=True))
    drawn = [_metrics(sums) for sums in resampled(counts, seed)]
    return {metric: _difference(point[metric], np.concatenate([part[metric] for part in drawn])) for metric in METRICS}


def resampled(units: Floats, seed: int) -> Iterator[Floats]:
    """Bootstrap sums [resamples in this chunk, columns] of counts [units, columns], units drawn with replacement.

    Units of equal counts are exchangeable, so how often each *kind* is drawn is one multinomial draw: the same
    distribution, and a hundred times less work where a subject has one row.
    """
    kinds, many = np.unique(units, axis=0, return_counts=True)
    rng = np.random.default_rng(seed)
    for start in range(0, RESAMPLES, _CHUNK):
        weights = rng.multinomial(len(units), many / len(units), min(_CHUNK, RESAMPLES - start))
        yield weights.astype(np.float64) @ kinds


def class_f1(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, tuple[int, float]]:
    """Label → (rows that bear it, F1 on it), for each label in truth."""
    counts = _counts(truth, (predicted, predicted), ["one"] * len(truth))
    hits, claimed, _, _, support = counts.reshape(5, -1)
    return {
        label: (int(n), float(f1))
        for label, n, f1 in zip(sorted(set(truth)), support, 2 * hits / (claimed + support), strict=True)
    }


def numbered(values: Sequence[str]) -> tuple[Indices, int]:
    """Each value as the rank of its text, and how many distinct there are."""
    names, indices = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    return indices.astype(np.int64), len(names)


def _counts(truth: Sequence[str], models: Sequence[Sequence[str]], subjects: Sequence[str]) -> Floats:
    """Per subject [subjects, 5 × labels]: each model's hits and claims by label, then the label's rows."""
    labels = {label: index for index, label in enumerate(sorted(set(truth)))}
    who, people = numbered(subjects)
    width = len(labels)
    true = np.array([labels[label] for label in truth], dtype=np.int64)
    cells = [who * 5 * width + 4 * width + true]
    for place, predictions in enumerate(models):
        said = np.array([labels.get(label, -1) for label in predictions], dtype=np.int64)
        here = who * 5 * width + 2 * place * width + said
        cells += [here[said == true], here[said >= 0] + width]
    total = np.bincount(np.concatenate(cells), minlength=people * 5 * width)
    return total.reshape(people, 5 * width).astype(np.float64)


def _metrics(counts: Floats) -> dict[str, Floats]:
    """Metric → [resamples, 2] (candidate, champion), from counts [resamples, 5 × labels]."""
    parts = counts.reshape(len(counts), 5, -1)
    support = parts[:, 4, :]
    present = support > 0  # a rare label may be missing from a resample: then its F1 is not defined there
    f1, accuracy = [], []
    for hits, claimed in ((parts[:, 0], parts[:, 1]), (parts[:, 2], parts[:, 3])):
        by_label = 2 * hits / np.maximum(claimed + support, 1)
        f1.append((by_label * present).sum(axis=1) / present.sum(axis=1))
        accuracy.append(hits.sum(axis=1) / support.sum(axis=1))
    return {"macro F1": np.stack(f1, axis=1), "accuracy": np.stack(accuracy, axis=1)}


def _difference(point: Floats, drawn: Floats) -> Difference:
    gaps = drawn[:, 0] - drawn[:, 1]
    lower, upper = np.quantile(gaps, [1 - CONFIDENCE, CONFIDENCE])
    return Difference(float(point[0, 0]), float(point[0, 1]), float(lower), float(upper), float(gaps.std(ddof=1)), gaps)
