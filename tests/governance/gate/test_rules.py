"""Each rule alone refuses, in a sentence with number and remedy, and some check of the four says so too."""

import pytest
from gate_documents import bias, comparison, drift, latency, report

from governance.gate.report import BASELINE, GateReport, checks, decide


def test_parity_everywhere_passes_with_four_green_checks() -> None:
    passed = report()
    assert passed.passed and not passed.reasons and not passed.improvement
    assert {name: found for name, (found, *_) in checks(passed).items()} == dict.fromkeys(
        ("f1", "accuracy", "latency", "bias"), True
    )


def test_improvement_is_said_only_when_every_opponent_was_beaten() -> None:
    better = comparison(f1=0.05)
    assert report(comparisons=(better, better)).improvement
    assert not report(comparisons=(better, comparison())).improvement


FAILURES = {
    "f1 below": ({"comparisons": (comparison(f1=-0.03),)}, "f1", r"macro F1 on the golden set .* allowed is -0\.030"),
    "accuracy below": ({"comparisons": (comparison(accuracy=-0.03),)}, "accuracy", r"may be as low as -0\.040"),
    "f1 on the new rows": (
        {"comparisons": (comparison(), comparison(f1=-0.03, evaluation_set="new"))},
        "f1",
        "on the new set",
    ),
    "not better than a linear head": (
        {"comparisons": (comparison(margin=0.0, against=BASELINE),)},
        "f1",
        "a first release must beat it",
    ),
    "too few rows": (
        {"comparisons": (comparison(f1=0.0, rows=500),)},
        "f1",
        r"too few evaluation rows: have 500, need 800 .*deliver more rows",
    ),
    "too few people": ({"comparisons": (comparison(rows=40),)}, "accuracy", "too few subjects: have 40, need 50"),
    "shuffled labels": ({"label_drift": drift(lower=0.4)}, "accuracy", "label drift: .*have the delivery sent again"),
    "other labels": ({"label_drift": drift(unknown=500)}, "accuracy", "500 of 800 new rows bear labels"),
    "slow": ({"latency": latency(ratio=1.6, lower=1.3)}, "latency", r"ratio 1\.60, allowed 1\.25; lower the rank"),
    "biased": ({"bias": bias(exceeded=True, difference=0.2)}, "bias", "accuracy differs by up to 20.0%"),
    "bias unknown": ({"bias": bias(method="not measurable", rows=3)}, "bias", "3 evaluation texts name a gender"),
    "nothing compared": ({"comparisons": ()}, "f1", "nothing was compared"),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_refuses_with_number_and_remedy(failure: str) -> None:
    parts, check, sentence = FAILURES[failure]
    refused = report(**parts)
    assert not refused.passed
    found, description, _ = checks(refused)[check]
    assert not found
    with pytest.raises(AssertionError, match=sentence):
        raise AssertionError(description)


@pytest.mark.parametrize("failure", FAILURES)
def test_the_four_checks_fail_exactly_when_the_report_does(failure: str) -> None:
    refused = report(**FAILURES[failure][0])
    said = " ".join(description for passed, description, _ in checks(refused).values() if not passed)
    assert all(reason in said for reason in refused.reasons)


def test_bias_that_does_not_block_is_recorded() -> None:
    recorded = report(bias=bias(exceeded=True, difference=0.2, blocking=False))
    assert recorded.passed and "above the limit" in checks(recorded)["bias"][1]


def test_noise_alone_is_not_slow() -> None:
    assert report(latency=latency(ratio=1.6, lower=0.95)).passed


def test_the_verdict_is_decided_from_the_numbers_not_from_the_words() -> None:
    refused = report(comparisons=(comparison(f1=-0.05),))
    flattering = refused.model_dump(by_alias=True)
    flattering["passed"], flattering["reasons"] = True, []
    for metric in flattering["comparisons"][0]["metrics"]:
        metric["verdict"] = "parity"
    assert not decide(GateReport.model_validate(flattering))[0]
