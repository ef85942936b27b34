"""Writing a gate report to a folder: report.json (what is signed), report.md and pictures (for people)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from governance.gate.noninferiority import Difference
from governance.gate.plots import bootstrap_difference, confusion_matrix, label_f1
from governance.gate.report import GateReport, markdown


def publish_report(
    report: GateReport,
    truth: Mapping[str, Sequence[str]],
    said: Mapping[str, Sequence[str]],
    differences: Sequence[Mapping[str, Difference]],
    out: Path,
) -> None:
    """Everything to `out`, report.json last, under a temporary name first: where it stands, the rest does too.

    truth, said: set → labels, the candidate's predictions; differences: as report.comparisons.
    """
    out.mkdir(parents=True, exist_ok=True)
    for name, labels in truth.items():
        confusion_matrix(
            labels, said[name], f"{report.subject.release} on the {name} set", out / f"confusion-{name}.png"
        )
        scores = [score for score in report.label_scores if score.evaluation_set == name]
        label_f1(scores, f"F1 by label, {name} set", out / f"label-f1-{name}.png")
    for comparison, found in zip(report.comparisons, differences, strict=True):
        metric = next(each for each in comparison.metrics if each.metric == "macro F1")
        title = f"macro F1, {comparison.evaluation_set} set, against {comparison.champion}"
        role = comparison.against.replace(" ", "-")
        path = out / f"difference-{comparison.evaluation_set}-{role}.png"
        bootstrap_difference(found["macro F1"].resampled, metric.margin, metric.lower, title, path)
    (out / "report.md").write_text(markdown(report))
    partial = out / ".report.json.partial"
    partial.write_bytes(report.canonical())
    partial.rename(out / "report.json")
