"""How good a way of routing is, from its scores of prompts that it was not fitted on. No model is asked here."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
GAPS = (0.5, 0.8)
# What a point of quality may cost: from nothing to more than any model is worth.
PRICES = np.concatenate([[0.0], np.logspace(-7, 2, 600)])


def gap_recovered(gain: Floats, score: Floats) -> dict[str, float]:
    """As RouteLLM reports it (Ong et al. 2024, arXiv 2406.18665): strong calls go first where `score` is largest.

    gain [prompts]: strong right − weak right. apgr: area under the share of the gap recovered by share of strong
    calls; 0.5 is chance. cpt_50, cpt_80: the share of strong calls that recovers so much of it.
    """
    order = np.argsort(-score, kind="stable")
    recovered = np.concatenate([[0.0], np.cumsum(gain[order])]) / gain.sum()
    shares = np.linspace(0, 1, len(recovered))
    reached = {f"cpt_{gap:.0%}".rstrip("%"): float(shares[int((recovered >= gap).argmax())]) for gap in GAPS}
    return {"apgr": float(np.trapezoid(recovered, shares)), **reached}


def cost_at(correct: Floats, cost: Floats, score: Floats, share: float) -> float:
    """The smallest mean cost at which quality is `share` of the best single model's, by score − price × cost.

    All [prompts, models]. As a share of what always asking the best single model costs.
    """
    best = int(correct.mean(axis=0).argmax())
    wanted = share * correct[:, best].mean()
    every = np.arange(len(correct))
    spent = [cost[:, best].mean()]
    for price in PRICES:
        asked = (score - price * cost).argmax(axis=1)
        if correct[every, asked].mean() >= wanted:
            spent.append(cost[every, asked].mean())
    return float(min(spent) / cost[:, best].mean())


def cost_at_random(correct: Floats, cost: Floats, share: float) -> float:
    """`cost_at` of drawing the best or the cheapest model by lot, at the best odds."""
    quality, price = correct.mean(axis=0), cost.mean(axis=0)
    best, cheap = int(quality.argmax()), int(price.argmin())
    gap = quality[best] - quality[cheap]
    odds = 1.0 if gap <= 0 else float(np.clip(1 - (1 - share) * quality[best] / gap, 0, 1))
    return float((odds * price[best] + (1 - odds) * price[cheap]) / price[best])


def best_of_two(correct: Floats, score: Floats, pair: Sequence[int]) -> tuple[float, float]:
    """Share of prompts that one of the two best scored models gets right, and one of the static `pair`."""
    two = np.argsort(-score, axis=1, kind="stable")[:, :2]
    routed = np.take_along_axis(correct, two, axis=1).max(axis=1).mean()
    return float(routed), float(correct[:, list(pair)].max(axis=1).mean())


def calibration_error(expected: Floats, right: Floats, bins: int = 10) -> float:
    """Mean distance of what was expected from what was observed, over bins of equally many prompts."""
    order = np.argsort(expected, kind="stable")
    parts = [part for part in np.array_split(order, bins) if len(part)]
    return float(sum(len(part) * abs(expected[part].mean() - right[part].mean()) for part in parts) / len(right))
