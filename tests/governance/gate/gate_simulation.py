"""Simulated models for the gate's tests: rows with known truth, and predictions that are wrong at a known rate."""

from dataclasses import dataclass

import numpy as np

LABELS = ("billing", "card", "fraud", "loan", "other")


@dataclass(frozen=True)
class Rows:
    truth: np.ndarray
    subjects: list[str]
    rng: np.random.Generator

    def model(self, wrong: float) -> np.ndarray:
        """Predictions that err on a share of rows, independently of any other model."""
        return self.spoiled(self.truth, wrong)

    def spoiled(self, predictions: np.ndarray, share: float) -> np.ndarray:
        """`predictions`, made wrong on a further share of all rows."""
        other = (np.searchsorted(LABELS, self.truth) + self.rng.integers(1, len(LABELS), len(self.truth))) % len(LABELS)
        return np.where(self.rng.random(len(self.truth)) < share, np.array(LABELS)[other], predictions)


def rows(count: int, seed: int, rows_a_subject: int = 1) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(rng.choice(LABELS, count), [f"s{row // rows_a_subject:05}" for row in range(count)], rng)
