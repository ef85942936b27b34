"""A gate report to bend: every part passes until a test says otherwise."""

from typing import Any

from governance.gate.document import (
    Bias,
    Comparison,
    EvaluationSet,
    Judged,
    LabelDrift,
    LabelScore,
    Latency,
    Metric,
    Power,
)
from governance.gate.noninferiority import verdict_of
from governance.gate.report import LIVE_AND_BEST, GateReport, judged

A, B, C = "a" * 64, "b" * 64, "c" * 64
RELEASE = "northbank.support-intents@2"
CHAMPION = "northbank.support-intents@1"


def comparison(f1: float = 0.0, accuracy: float = 0.0, margin: float = 0.03, **other: Any) -> Comparison:
    """Bounds lie one point either side of the differences given."""
    rows = other.pop("rows", 2000)
    power = Power(rows=rows, subjects=rows, rows_needed=800, subjects_needed=50, discordance=0.08)
    metrics = tuple(
        Metric(
            metric=metric,
            candidate=0.9 + difference,
            champion=0.9,
            difference=difference,
            lower=difference - 0.01,
            upper=difference + 0.01,
            margin=margin,
            verdict=verdict_of(difference - 0.01, difference + 0.01, margin, power.sufficient),
        )
        for metric, difference in (("macro F1", f1), ("accuracy", accuracy))
    )
    parts = {"against": LIVE_AND_BEST, "champion": CHAMPION, "champion_sha256": B, "evaluation_set": "golden"}
    return Comparison(**(parts | {"metrics": metrics, "power": power} | other))


def latency(ratio: float = 1.0, lower: float = 0.9) -> Latency:
    return Latency(
        against=CHAMPION,
        pairs=400,
        candidate_p50=8,
        candidate_p95=12 * ratio,
        champion_p50=8,
        champion_p95=12,
        ratio=ratio,
        lower=lower,
        upper=ratio + 0.1,
        limit=1.25,
    )


def bias(**other: Any) -> Bias:
    parts = {
        "method": "group difference",
        "column": "gender",
        "rows": 1900,
        "difference": 0.02,
        "upper": 0.05,
        "limit": 0.1,
        "exceeded": False,
        "blocking": True,
        "groups": (),
    }
    return Bias(**(parts | other))


def drift(lower: float = -0.01, unknown: int = 0) -> LabelDrift:
    return LabelDrift(
        champion=CHAMPION, golden=0.9, new=0.9 - lower, drop=lower, lower=lower, unknown_rows=unknown, new_rows=800
    )


def report(**other: Any) -> GateReport:
    parts = {
        "subject": Judged(release=RELEASE, adapter=A, base=C),
        "sets": (EvaluationSet(name="golden", sha256=C, rows=2000, subjects=1500, labels=12),),
        "comparisons": (comparison(), comparison(evaluation_set="new")),
        "label_scores": (
            LabelScore(evaluation_set="golden", label="card|<b>[x](y)\n", rows=3, candidate=1, champion=0.5),
        ),
        "latency": latency(),
        "bias": bias(),
        "label_drift": drift(),
        "environment": {"machine": "x86_64", "cores": 2},
    }
    return judged(**(parts | other))
