"""The rules of the gate: which numbers let a candidate pass, and the sentence with a remedy for each that does not.

Pure functions of the report: whoever holds it can decide again. A changed rule is a new `schema` of the report.
"""

from typing import Any

from governance.gate.bias import MINIMUM_ROWS
from governance.gate.document import Bias, GateReport
from governance.gate.labels import COLLAPSE
from governance.gate.noninferiority import verdict_of

Check = tuple[bool, str, dict[str, Any]]


def decide(report: GateReport) -> tuple[bool, tuple[str, ...]]:
    """Whether the report's numbers let the candidate pass, and a sentence with a remedy for each that does not."""
    reasons = [
        *_drift_reasons(report),
        *_rows_reasons(report),
        *_metric_reasons(report, "macro F1"),
        *_metric_reasons(report, "accuracy"),
        *_latency_reasons(report),
        *_bias_reasons(report),
    ]
    return not reasons, tuple(dict.fromkeys(reasons))


def checks(report: GateReport) -> dict[str, Check]:
    """The four checks: name → (passed, what was found, metadata). Together they fail exactly when the report does."""
    rows = _rows_reasons(report)
    faults = {
        "f1": rows + _metric_reasons(report, "macro F1"),
        "accuracy": _drift_reasons(report) + rows + _metric_reasons(report, "accuracy"),
        "latency": _latency_reasons(report),
        "bias": _bias_reasons(report),
    }
    facts: dict[str, tuple[str, dict[str, Any]]] = {
        "f1": _metric_facts(report, "macro F1"),
        "accuracy": _metric_facts(report, "accuracy"),
        "latency": _latency_facts(report),
        "bias": (bias_sentence(report.bias), report.bias.model_dump(mode="json", exclude={"groups"})),
    }
    return {name: (not bad, " ".join(bad) or facts[name][0], facts[name][1]) for name, bad in faults.items()}


def _drift_reasons(report: GateReport) -> list[str]:
    drift = report.label_drift
    if drift is None or not drift.collapsed:
        return []
    if drift.relabelled:
        return [
            f"label drift: {drift.unknown_rows} of {drift.new_rows} new rows bear labels that {drift.champion} never "
            "saw, so nothing vouches for the delivery; check its label column, or start a new model for new labels."
        ]
    return [
        f"label drift: {drift.champion} is right on {drift.golden:.1%} of the golden rows but on {drift.new:.1%} of "
        f"the new ones (a drop of at least {drift.lower:.1%}, allowed {COLLAPSE:.0%}); the delivery's labels are "
        "probably wrong or shuffled: check them with the client and have the delivery sent again under a new name."
    ]


def _rows_reasons(report: GateReport) -> list[str]:
    reasons = []
    for comparison in report.comparisons:
        power, where = comparison.power, comparison.evaluation_set
        if power.rows < power.rows_needed:
            reasons.append(
                f"too few evaluation rows: have {power.rows}, need {power.rows_needed} in the {where} set against "
                f"{comparison.champion} ({power.discordance:.1%} of rows in dispute); deliver more rows, or widen the "
                "margins in pedigree.yaml."
            )
        if power.subjects < power.subjects_needed:
            reasons.append(
                f"too few subjects: have {power.subjects}, need {power.subjects_needed} in the {where} set; rows of "
                "one subject speak for one subject: deliver records of more people."
            )
    if not report.comparisons:
        reasons.append("nothing was compared: there are no evaluation rows; deliver more rows.")
    return reasons


def _metric_reasons(report: GateReport, name: str) -> list[str]:
    reasons = []
    for comparison, metric in report.each_metric():
        verdict = verdict_of(metric.lower, metric.upper, metric.margin, comparison.power.sufficient)
        if metric.metric != name or verdict != "inferior":
            continue
        found = (
            f"{name} on the {comparison.evaluation_set} set is {metric.candidate:.3f} against {metric.champion:.3f} of "
            f"{comparison.champion} ({comparison.against}): the difference may be as low as {metric.lower:+.3f}"
        )
        if metric.margin == 0:
            reasons.append(f"{found}, but a first release must beat it; train longer, or on more or cleaner rows.")
        else:
            reasons.append(
                f"{found}, allowed is {-metric.margin:+.3f}; look at the label table for what got worse, and retrain."
            )
    return reasons


def _latency_reasons(report: GateReport) -> list[str]:
    latency = report.latency
    if not latency.slow:
        return []
    return [
        f"slower: p95 is {latency.candidate_p95:.1f} ms against {latency.champion_p95 or 0:.1f} ms of "
        f"{latency.against}, ratio {latency.ratio or 0:.2f}, allowed {latency.limit:.2f}; lower the rank or max_tokens."
    ]


def _bias_reasons(report: GateReport) -> list[str]:
    bias = report.bias
    if not bias.blocking:
        return []
    if bias.method == "not measurable":
        return [
            f"{bias_sentence(bias)} The model is configured to be blocked by bias: name a group column, or switch "
            "`blocking` off in pedigree.yaml."
        ]
    return [f"{bias_sentence(bias)} Add rows of the group that is served worst, and retrain."] if bias.exceeded else []


def bias_sentence(bias: Bias) -> str:
    verdict = "above" if bias.exceeded else "within"
    if bias.method == "group difference":
        return (
            f"accuracy differs by up to {bias.difference:.1%} between one group of {bias.column!r} and the other rows, "
            f"{verdict} the limit of {bias.limit:.1%} (or chance)."
        )
    if bias.method == "gender swap":
        return (
            f"{bias.difference:.1%} of {bias.rows} predictions change when the gender words of the text are swapped, "
            f"{verdict} the limit of {bias.limit:.1%}."
        )
    return f"bias cannot be measured: {bias.rows} evaluation texts name a gender, {MINIMUM_ROWS} are needed."


def _metric_facts(report: GateReport, name: str) -> tuple[str, dict[str, Any]]:
    found: list[str] = []
    facts: dict[str, Any] = {}
    for comparison, metric in report.each_metric():
        if metric.metric == name:
            where = f"{comparison.evaluation_set} against {comparison.champion}"
            found.append(f"{where}: {metric.verdict} ({metric.difference:+.4f}, at least {metric.lower:+.4f})")
            facts |= {f"{where}: {part}": getattr(metric, part) for part in ("candidate", "champion", "lower")}
    return "; ".join(found), facts


def _latency_facts(report: GateReport) -> tuple[str, dict[str, Any]]:
    latency = report.latency
    facts = latency.model_dump(mode="json", exclude_none=True)
    if latency.ratio is None:
        return f"p95 {latency.candidate_p95:.1f} ms; nothing to compare a first release with", facts
    return f"p95 ratio {latency.ratio:.2f} (at least {latency.lower:.2f}) against {latency.against}", facts
