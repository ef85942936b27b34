"""What signing and promotion require of a report, what its page shows, and who is the best ever."""

import json

import pytest
from gate_documents import CHAMPION, RELEASE, A, B, C, comparison, report

from governance.custody.canonical import canonical_json, sha256_bytes
from governance.gate.document import Judged
from governance.gate.report import GateRefused, GateReport, best_ever, markdown, require_passed


def test_a_passed_report_is_let_through() -> None:
    body = report().canonical()
    assert require_passed(body, sha256_bytes(body), RELEASE, A) == report()


def test_the_document_is_canonical_and_survives_a_round_trip() -> None:
    body = report().canonical()
    assert canonical_json(json.loads(body)) == body
    assert GateReport.model_validate_json(body).canonical() == body


def test_never_gated_is_refused() -> None:
    with pytest.raises(GateRefused, match="was never gated; materialize validation_report"):
        require_passed(None, A, RELEASE, A)


def test_an_edited_report_is_refused_by_its_digest() -> None:
    body = report().canonical()
    edited = body.replace(b'"candidate":0.9', b'"candidate":0.99', 1)
    assert edited != body
    with pytest.raises(GateRefused, match="was edited: its sha256 is"):
        require_passed(edited, sha256_bytes(body), RELEASE, A)


def test_an_edit_with_a_digest_to_match_still_has_to_add_up() -> None:
    document = json.loads(report(comparisons=(comparison(f1=-0.2),)).canonical())
    forged = canonical_json(document | {"passed": True, "reasons": []})
    with pytest.raises(GateRefused, match="did not pass the gate: macro F1"):
        require_passed(forged, sha256_bytes(forged), RELEASE, A)


def test_a_failed_report_is_refused_with_its_reasons() -> None:
    body = report(comparisons=(comparison(rows=300),)).canonical()
    with pytest.raises(GateRefused, match="did not pass the gate: too few evaluation rows: have 300, need 800"):
        require_passed(body, sha256_bytes(body), RELEASE, A)


@pytest.mark.parametrize(
    ("release", "adapter", "sentence"),
    [(CHAMPION, A, f"judged {RELEASE}, not {CHAMPION}"), (RELEASE, B, "judged another adapter")],
)
def test_a_report_of_something_else_is_refused(release: str, adapter: str, sentence: str) -> None:
    body = report().canonical()
    with pytest.raises(GateRefused, match=sentence):
        require_passed(body, sha256_bytes(body), release, adapter)


@pytest.mark.parametrize("body", [b"{}", b"[]", b"not json", b'{"schema":"pedigree/gate/v9"}', b"\xff"])
def test_what_is_no_report_is_refused(body: bytes) -> None:
    with pytest.raises(GateRefused, match="cannot be read"):
        require_passed(body, sha256_bytes(body), RELEASE, A)


def test_a_number_that_is_none_cannot_be_written_down() -> None:
    with pytest.raises(ValueError, match="finite"):
        comparison(f1=float("nan"))


def test_the_page_tells_verdict_reasons_and_tables_whatever_a_label_holds() -> None:
    refused = markdown(report(comparisons=(comparison(f1=-0.2, unknown_labels={"a|b": 3}),)))
    assert "**REFUSED**" in refused and "* macro F1 on the golden set is 0.700" in refused
    assert "a\\|b (3)" in refused and "card\\|&lt;b>\\[x](y)" in refused
    tables = [line for line in refused.splitlines() if line.startswith("|")]
    widths = [line.replace("\\|", "").count("|") for line in tables]
    heads = [at for at, line in enumerate(tables) if set(line) <= set("|- ")]
    assert all(widths[at] == widths[at - 1] for at in heads) and len(heads) >= 5
    assert "**PASSED**: at parity." in markdown(report())


def test_parity_never_takes_the_title_of_best_ever() -> None:
    first = _release(1, comparison(f1=0.1, accuracy=0.1, against="frozen base with linear head", champion="head"))
    at_parity = _release(2, comparison(f1=-0.01, champion=CHAMPION))
    better = _release(3, comparison(f1=0.04, champion=CHAMPION))
    better_only_than_the_live_one = _release(4, comparison(f1=0.04, champion="northbank.support-intents@2"))
    refused = _release(5, comparison(f1=-0.4, champion=CHAMPION))
    assert best_ever([]) is None and best_ever([refused]) is None
    assert best_ever([first, at_parity]) is first
    assert best_ever([first, at_parity, better_only_than_the_live_one, refused]) is first
    assert best_ever([first, at_parity, better]) is better


def _release(number: int, met) -> GateReport:
    subject = Judged(release=f"northbank.support-intents@{number}", adapter=A, base=C)
    return report(subject=subject, comparisons=(met,))
