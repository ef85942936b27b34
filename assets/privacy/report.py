"""What a release tells about its scrub: counts, never text."""

from collections.abc import Mapping
from pathlib import Path


def draw_counts(spans: Mapping[str, int], picture: Path) -> Path:
    """A bar for each entity, the most frequent on top, as PNG."""
    from matplotlib.figure import Figure

    counts = sorted(spans.items(), key=lambda item: item[1])
    figure = Figure(figsize=(7, 0.6 + 0.3 * max(len(counts), 1)), layout="constrained")
    axes = figure.add_subplot()
    bars = axes.barh([entity for entity, _ in counts], [number for _, number in counts], color="#4c72b0")
    axes.bar_label(bars, labels=[f"{number:,}" for _, number in counts], padding=3)
    axes.margins(x=0.12)
    axes.set_xlabel("masked")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(picture, dpi=90)
    return picture
