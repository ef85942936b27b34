"""The gate report as a Markdown page for people. Labels and names come from clients, so they are escaped."""

from collections.abc import Iterable, Sequence

from governance.gate.document import Comparison, GateReport, Latency
from governance.gate.rules import bias_sentence

_WORST_LABELS = 15


def markdown(report: GateReport) -> str:
    """A page: verdict, reasons, and a table for each thing that was measured."""
    subject = report.subject
    parity = "an improvement" if report.improvement else "at parity"
    parts = [
        f"# Gate report of {_safe(subject.release)}",
        f"**{'PASSED' if report.passed else 'REFUSED'}**" + (f": {parity}." if report.passed else ", because:"),
        *[f"* {_safe(reason)}" for reason in report.reasons],
        "## Candidate against champions",
        "Bounds are one-sided 95 % of candidate − champion, from a paired bootstrap by subject. A candidate holds when "
        "the lower bound is above −margin; margin 0 means it must be better.",
        _comparisons(report),
        "## Evaluation sets",
        _table(
            ("set", "rows", "subjects", "labels", "sha256"),
            [(each.name, each.rows, each.subjects, each.labels, f"`{each.sha256[:16]}…`") for each in report.sets],
        ),
        _rows_table(report.comparisons),
        *_unknown(report.comparisons),
        "## Latency",
        _latency(report.latency),
        "## Bias",
        bias_sentence(report.bias) + (" It blocks." if report.bias.blocking else " It is recorded, it does not block."),
        *_groups(report),
        "## Label drift",
        _drift(report),
        "## Labels that lost most",
        _labels(report),
        "## What was judged",
        _table(("what", "sha256"), [("adapter record", f"`{subject.adapter}`"), ("base", f"`{subject.base}`")]),
        ", ".join(f"{name}: {value}" for name, value in report.environment.items()),
    ]
    return "\n\n".join(parts) + "\n"


def _comparisons(report: GateReport) -> str:
    head = ("set", "against", "metric", "candidate", "champion", "difference", "lower", "upper", "margin", "verdict")
    return _table(
        head,
        [
            (
                comparison.evaluation_set,
                f"{comparison.champion} ({comparison.against})",
                metric.metric,
                *[f"{value:.4f}" for value in (metric.candidate, metric.champion)],
                *[f"{value:+.4f}" for value in (metric.difference, metric.lower, metric.upper)],
                f"{metric.margin:.3f}",
                f"**{metric.verdict}**",
            )
            for comparison, metric in report.each_metric()
        ],
    )


def _rows_table(comparisons: Iterable[Comparison]) -> str:
    return "Rows that the margins need, at power 0.8 for an equal model:\n\n" + _table(
        ("set", "against", "rows", "needed", "subjects", "needed", "in dispute"),
        [
            (
                each.evaluation_set,
                each.champion,
                each.power.rows,
                each.power.rows_needed,
                each.power.subjects,
                each.power.subjects_needed,
                f"{each.power.discordance:.1%}",
            )
            for each in comparisons
        ],
    )


def _unknown(comparisons: Iterable[Comparison]) -> list[str]:
    return [
        f"{_safe(each.champion)} does not know these labels, so their rows in the {each.evaluation_set} set count as "
        f"its errors: {', '.join(f'{_safe(label)} ({rows})' for label, rows in each.unknown_labels.items())}."
        for each in comparisons
        if each.unknown_labels
    ]


def _latency(latency: Latency) -> str:
    candidate = ("candidate", f"{latency.candidate_p50:.1f}", f"{latency.candidate_p95:.1f}")
    if latency.against is None:
        return "A first release has nobody to be compared with.\n\n" + _table(
            ("model", "p50 ms", "p95 ms"), [candidate]
        )
    champion = (latency.against, f"{latency.champion_p50:.1f}", f"{latency.champion_p95:.1f}")
    return (
        f"Single requests, {latency.pairs} of each model in turn on one engine and thread. p95 ratio "
        f"{latency.ratio:.3f}, between {latency.lower:.3f} and {latency.upper:.3f}, limit {latency.limit:.2f}. "
        "Slow means above the limit with the lower bound above 1.\n\n"
        + _table(("model", "p50 ms", "p95 ms"), [candidate, champion])
    )


def _groups(report: GateReport) -> list[str]:
    if not report.bias.groups:
        return []
    rows = [
        (group.name, group.rows, f"{group.accuracy:.4f}", *map(_signed, (group.difference, group.lower, group.upper)))
        for group in report.bias.groups
    ]
    return [_table(("group", "rows", "accuracy", "difference from the rest", "lower", "upper"), rows)]


def _drift(report: GateReport) -> str:
    drift = report.label_drift
    if drift is None:
        return "Not measured: it needs a champion, a golden set and new rows."
    return (
        f"{_safe(drift.champion)} is right on {drift.golden:.1%} of the golden rows and on {drift.new:.1%} of the new "
        f"ones whose labels it knows; the drop is at least {drift.lower:+.1%}. {drift.unknown_rows} of "
        f"{drift.new_rows} new rows bear labels that it never saw."
    )


def _labels(report: GateReport) -> str:
    worst = sorted(report.label_scores, key=lambda score: score.candidate - score.champion)[:_WORST_LABELS]
    return _table(
        ("set", "label", "rows", "F1 candidate", "F1 champion", "difference"),
        [
            (
                s.evaluation_set,
                s.label,
                s.rows,
                f"{s.candidate:.3f}",
                f"{s.champion:.3f}",
                _signed(s.candidate - s.champion),
            )
            for s in worst
        ],
    )


def _signed(value: float | None) -> str:
    return "too few rows" if value is None else f"{value:+.4f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *[[_safe(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _safe(cell: object) -> str:
    """One line, no table or HTML syntax: a label may hold anything."""
    text = " ".join(str(cell).split())
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("[", "\\[")
