"""Making a gate report, and requiring one: signing and promotion ask here, never the run that made it."""

from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from governance.custody.canonical import sha256_bytes
from governance.gate.document import BASELINE, BEST, LIVE, LIVE_AND_BEST, Against, GateReport
from governance.gate.page import markdown
from governance.gate.rules import checks, decide


class GateRefused(RuntimeError):
    """This adapter may not be signed or promoted; the message says why and what to do."""


def judged(**parts: Any) -> GateReport:
    """The report of these parts, with the verdict that follows from them. Raises pydantic.ValidationError."""
    draft = GateReport(**parts, passed=False, reasons=())
    passed, reasons = decide(draft)
    return draft.model_copy(update={"passed": passed, "reasons": reasons})


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
    return any(
        comparison.champion == release and comparison.evaluation_set == "golden" and metric.verdict == "improvement"
        for comparison, metric in report.each_metric()
        if metric.metric == "macro F1"
    )


__all__ = [
    "BASELINE",
    "BEST",
    "LIVE",
    "LIVE_AND_BEST",
    "Against",
    "GateRefused",
    "GateReport",
    "best_ever",
    "checks",
    "decide",
    "judged",
    "markdown",
    "require_passed",
]
