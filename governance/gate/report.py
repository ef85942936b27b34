"""The gate report: what was measured, the verdict that follows from it, and how others require that verdict.

The document is canonical JSON (no NaN, rounded numbers). The verdict is a pure function of the numbers beside it, so
whoever holds the report can decide again; signing and promotion do. A changed rule is a new value of `schema`.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from governance.custody.canonical import canonical_json, sha256_bytes
from governance.gate.bias import MINIMUM_ROWS
from governance.gate.labels import COLLAPSE, UNKNOWN_SHARE
from governance.gate.noninferiority import Verdict

Number = Annotated[float, Field(allow_inf_nan=False), AfterValidator(lambda value: round(value, 6))]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Check = tuple[bool, str, dict[str, Any]]

LIVE, BEST, LIVE_AND_BEST = "live champion", "best-ever champion", "live and best-ever champion"
BASELINE = "frozen base with linear head"


class GateRefused(RuntimeError):
    """This adapter may not be signed or promoted; the message says why and what to do."""


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", from_attributes=True)


class Judged(Section):
    """What the report speaks of: `adapter` is the digest of the lora_adapter record."""

    release: str
    adapter: Sha256
    base: Sha256


class EvaluationSet(Section):
    name: Literal["golden", "new"]
    sha256: Sha256
    rows: int
    subjects: int
    labels: int


class Metric(Section):
    """candidate − champion with one-sided 95 % bounds; margin 0 asks for an improvement."""

    metric: Literal["macro F1", "accuracy"]
    candidate: Number
    champion: Number
    difference: Number
    lower: Number
    upper: Number
    margin: Number
    verdict: Verdict

    @property
    def passed(self) -> bool:
        return self.verdict in ("improvement", "parity")


class Power(Section):
    rows: int
    subjects: int
    rows_needed: int
    subjects_needed: int
    discordance: Number
    sufficient: bool


class Comparison(Section):
    """One opponent on one set. `unknown_labels`: labels that the champion lacks → rows that bear them."""

    against: Literal[
        "live champion", "best-ever champion", "live and best-ever champion", "frozen base with linear head"
    ]
    champion: str
    champion_sha256: Sha256
    evaluation_set: Literal["golden", "new"]
    metrics: tuple[Metric, ...]
    power: Power
    unknown_labels: dict[str, int] = {}


class LabelScore(Section):
    """F1 of one label on one set: candidate, and the first champion."""

    evaluation_set: Literal["golden", "new"]
    label: str
    rows: int
    candidate: Number
    champion: Number


class Latency(Section):
    """Milliseconds of single requests; `ratio` of p95. None where there was nobody to compare with."""

    against: str | None
    pairs: int
    candidate_p50: Number
    candidate_p95: Number
    champion_p50: Number | None = None
    champion_p95: Number | None = None
    ratio: Number | None = None
    lower: Number | None = None
    upper: Number | None = None
    limit: Number
    slow: bool


class BiasGroup(Section):
    name: str
    rows: int
    accuracy: Number
    difference: Number | None
    lower: Number | None
    upper: Number | None


class Bias(Section):
    method: Literal["group difference", "gender swap", "not measurable"]
    column: str | None
    rows: int
    difference: Number
    upper: Number
    limit: Number
    exceeded: bool
    blocking: bool
    groups: tuple[BiasGroup, ...]


class LabelDrift(Section):
    champion: str
    golden: Number
    new: Number
    drop: Number
    lower: Number
    unknown_rows: int
    new_rows: int
    collapsed: bool


class GateReport(Section):
    """Everything the gate measured for one candidate, and its verdict."""

    schema_: Literal["pedigree/gate/v1"] = Field("pedigree/gate/v1", alias="schema")
    subject: Judged
    sets: tuple[EvaluationSet, ...]
    comparisons: tuple[Comparison, ...]
    label_scores: tuple[LabelScore, ...]
    latency: Latency
    bias: Bias
    label_drift: LabelDrift | None
    environment: dict[str, str | int]
    passed: bool
    reasons: tuple[str, ...]

    @property
    def macro_f1(self) -> float:
        """The candidate's on the golden set; on its own held-out rows for a first release."""
        return self._metric("macro F1")

    @property
    def accuracy(self) -> float:
        return self._metric("accuracy")

    @property
    def improvement(self) -> bool:
        """More than parity: better in macro F1 than every opponent on every set."""
        return all(m.verdict == "improvement" for _, m in _each(self) if m.metric == "macro F1")

    def canonical(self) -> bytes:
        return canonical_json(self.model_dump(mode="json", by_alias=True))

    def _metric(self, name: str) -> float:
        return next(metric.candidate for _, metric in _each(self) if metric.metric == name)


def judged(**parts: Any) -> GateReport:
    """The report of these parts, with the verdict that follows from them. Raises pydantic.ValidationError."""
    draft = GateReport(**parts, passed=False, reasons=())
    passed, reasons = decide(draft)
    return draft.model_copy(update={"passed": passed, "reasons": reasons})


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
        "bias": (_bias_sentence(report.bias), report.bias.model_dump(mode="json", exclude={"groups"})),
    }
    return {name: (not bad, " ".join(bad) or facts[name][0], facts[name][1]) for name, bad in faults.items()}


def require_passed(
    report_bytes: bytes | None, expect_sha256: str, expect_release: str, expect_adapter: str
) -> GateReport:
    """The report, if these bytes are the ones recorded and they pass this adapter of this release.

    Raises GateRefused: never gated, edited, another release or adapter, not passed, or a verdict that its own numbers
    do not support.
    """
    if not report_bytes:
        raise GateRefused(f"{expect_release} was never gated; materialize validation_report for it first")
    if (found := sha256_bytes(report_bytes)) != expect_sha256:
        raise GateRefused(
            f"the gate report of {expect_release} was edited: its sha256 is {found[:16]}…, recorded was "
            f"{expect_sha256[:16]}…; materialize validation_report again"
        )
    try:
        report = GateReport.model_validate_json(report_bytes)
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        raise GateRefused(
            f"the gate report of {expect_release} cannot be read: {'.'.join(map(str, fault['loc']))}: {fault['msg']}; "
            "materialize validation_report again"
        ) from invalid
    if report.subject.release != expect_release:
        raise GateRefused(f"the gate report judged {report.subject.release}, not {expect_release}; gate this release")
    if report.subject.adapter != expect_adapter:
        raise GateRefused(
            f"the gate report of {expect_release} judged another adapter ({report.subject.adapter[:16]}…, not "
            f"{expect_adapter[:16]}…); materialize validation_report again"
        )
    passed, reasons = decide(report)
    if not (report.passed and passed):
        raise GateRefused(f"{expect_release} did not pass the gate: {' '.join(reasons or report.reasons)}")
    return report


def best_ever(reports: Iterable[GateReport]) -> GateReport | None:
    """The yardstick for margins that add up: the last passed report (oldest first) that *improved* on the best so far.

    Scores of different golden sets cannot be compared, so the title passes only in a direct comparison: a release that
    was at parity, perhaps a little worse, never becomes what the next one is measured by.
    """
    best: GateReport | None = None
    for report in reports:
        if not report.passed:
            continue
        if best is None or _improved_on(report, best.subject.release):
            best = report
    return best


def _improved_on(report: GateReport, release: str) -> bool:
    met = [metric for comparison, metric in _each(report) if comparison.champion == release]
    return any(m.verdict == "improvement" for m in met) and all(m.lower > 0 for m in met if m.metric == "macro F1")


def _each(report: GateReport) -> list[tuple[Comparison, Metric]]:
    return [(comparison, metric) for comparison in report.comparisons for metric in comparison.metrics]


def _drift_reasons(report: GateReport) -> list[str]:
    drift = report.label_drift
    if drift is None or not drift.collapsed:
        return []
    if drift.unknown_rows > UNKNOWN_SHARE * drift.new_rows:
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
    for comparison, metric in _each(report):
        if metric.metric != name or metric.verdict != "inferior":
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
            f"{_bias_sentence(bias)} The model is configured to be blocked by bias: name a group column, or switch "
            "`blocking` off in pedigree.yaml."
        ]
    return [f"{_bias_sentence(bias)} Add rows of the group that is served worst, and retrain."] if bias.exceeded else []


def _bias_sentence(bias: Bias) -> str:
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
    found, facts = [], {}
    for comparison, metric in _each(report):
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
