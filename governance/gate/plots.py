"""Pictures of a gate report for people: confusion matrix, bootstrap difference, F1 by label. PNG, no display needed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from governance.gate.document import LabelScore
from governance.gate.noninferiority import Floats

_SHOWN = 40  # labels in one picture; beyond, the ones with most rows or the largest loss
_CANDIDATE, _CHAMPION = "#2563a8", "#b0b7c3"


def confusion_matrix(truth: Sequence[str], predicted: Sequence[str], title: str, path: Path) -> None:
    """Share of each true label's rows [true, predicted]; at most 40 labels, those with most rows."""
    names, rows = np.unique(np.asarray(truth, dtype=str), return_counts=True)
    shown = sorted(names[np.argsort(-rows, kind="stable")][:_SHOWN].tolist())
    place = {label: index for index, label in enumerate(shown)}
    cells = np.zeros((len(shown), len(shown) + 1))
    for label, said in zip(truth, predicted, strict=True):
        if label in place:
            cells[place[label], place.get(said, len(shown))] += 1
    cells /= cells.sum(axis=1, keepdims=True)
    figure, axes = _figure(max(5.0, 0.28 * len(shown) + 2), max(4.0, 0.25 * len(shown) + 2))
    image = axes.imshow(cells, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(shown) + 1), [*map(_short, shown), "other"], rotation=90, fontsize=7)
    axes.set_yticks(range(len(shown)), map(_short, shown), fontsize=7)
    axes.set(xlabel="predicted", ylabel="true", title=title)
    figure.colorbar(image, label="share of the label's rows")
    _save(figure, path)


def bootstrap_difference(drawn: Floats, margin: float, lower: float, title: str, path: Path) -> None:
    """Histogram of resampled candidate − champion with the bound and the line it must stay above."""
    figure, axes = _figure(6, 3.2)
    axes.hist(drawn, bins=60, color=_CHAMPION)
    axes.axvline(lower, color=_CANDIDATE, label=f"lower 95 % bound {lower:+.4f}")
    axes.axvline(-margin, color="#c0392b", linestyle="--", label=f"must stay above {-margin:+.3f}")
    axes.set(xlabel="candidate − champion", ylabel="resamples", title=title)
    axes.legend(fontsize=8)
    _save(figure, path)


def label_f1(scores: Sequence[LabelScore], title: str, path: Path) -> None:
    """F1 by label of candidate and champion, largest loss first; at most 40 labels."""
    shown = sorted(scores, key=lambda score: score.candidate - score.champion)[:_SHOWN][::-1]
    figure, axes = _figure(6, 0.25 * len(shown) + 1.5)
    at = np.arange(len(shown))
    axes.barh(at + 0.2, [score.candidate for score in shown], 0.4, color=_CANDIDATE, label="candidate")
    axes.barh(at - 0.2, [score.champion for score in shown], 0.4, color=_CHAMPION, label="champion")
    axes.set_yticks(at, [_short(score.label) for score in shown], fontsize=7)
    axes.set(xlim=(0, 1), xlabel="F1", title=title)
    axes.legend(fontsize=8, loc="lower left")
    _save(figure, path)


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, path: Path) -> None:
    figure.savefig(path, dpi=110, metadata={"Software": None})


def _short(label: str) -> str:
    """A label as plain text: matplotlib would read dollar signs as mathematics."""
    return (label if len(label) <= 28 else label[:27] + "…").replace("$", r"\$")
