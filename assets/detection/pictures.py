"""Pictures of a detector's evaluation for people. PNG, no display needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from assets.detection.build import Point

RECALL, PRECISION = "#2563a8", "#b0b7c3"


def draw_entities(rows: Sequence[dict[str, Any]], path: Path) -> Path:
    """Recall with its interval, and precision, of each entity."""
    from matplotlib.figure import Figure

    shown = [row for row in rows if row["recall"] is not None][::-1]
    figure = Figure(figsize=(6, 0.3 * len(shown) + 1.2), layout="constrained")
    axes = figure.subplots()
    recall, at = [row["recall"] for row in shown], range(len(shown))
    errors = [[r["recall"] - r["recall low"] for r in shown], [r["recall high"] - r["recall"] for r in shown]]
    axes.errorbar(
        recall, at, xerr=[[max(0, e) for e in side] for side in errors], fmt="o", color=RECALL, label="recall"
    )
    precise = [(row["precision"], i) for i, row in enumerate(shown) if row["precision"] is not None]
    axes.plot(*zip(*precise, strict=True), "|", color=PRECISION, markersize=14, markeredgewidth=3, label="precision")
    axes.set_yticks(at, [f"{row['entity']} ({row['marked']:,})" for row in shown], fontsize=8)
    axes.set(xlabel="on held kinds of documents, 95 % interval", xlim=(min(0.8, *recall), 1.005))
    axes.legend(fontsize=8)
    figure.savefig(path, dpi=110)
    return path


def draw_points(tried: Sequence[Point], chosen: Point, path: Path) -> Path:
    """Recall against precision at each threshold, the chosen one marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.plot([p.recall for p in tried], [p.precision for p in tried], "o-", color=PRECISION)
    axes.plot([chosen.recall], [chosen.precision], "o", color=RECALL, markersize=10)
    for point in tried:
        axes.annotate(f"{point.threshold}", (point.recall, point.precision), fontsize=8)
    axes.set(xlabel="recall", ylabel="precision", title="operating points on the kinds that choose")
    figure.savefig(path, dpi=110)
    return path
