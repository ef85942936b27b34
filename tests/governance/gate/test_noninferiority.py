"""The bound: sklearn's metrics at the point, equal models pass, a loss is stopped, and rows of a subject cluster."""

import time
from random import Random

import numpy as np
import pytest
from gate_simulation import rows
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, f1_score

from governance.gate.noninferiority import class_f1, compare, seed_of, verdict_of

label = st.sampled_from(["a", "b", "c", "ä|ö", ""])
paired = st.lists(st.tuples(label, label, label, st.sampled_from("uvwxyz")), min_size=1, max_size=60)


@given(paired)
@settings(max_examples=60, deadline=None)
def test_the_point_values_are_sklearns(drawn: list[tuple[str, str, str, str]]) -> None:
    truth, candidate, champion, subjects = zip(*drawn, strict=True)
    found = compare(truth, candidate, champion, subjects, 1)
    labels = sorted(set(truth))
    f1 = f1_score(truth, candidate, labels=labels, average="macro", zero_division=0)
    assert found["macro F1"].candidate == pytest.approx(f1)
    assert found["accuracy"].champion == pytest.approx(accuracy_score(truth, champion))
    single = f1_score(truth, candidate, labels=labels, average=None, zero_division=0)
    assert [score for _, score in class_f1(truth, candidate).values()] == pytest.approx(list(single))


@given(paired, st.randoms(use_true_random=False))
@settings(max_examples=30, deadline=None)
def test_the_order_of_rows_does_not_matter(drawn: list[tuple[str, str, str, str]], random: Random) -> None:
    shuffled = random.sample(drawn, len(drawn))
    there, back = (compare(*zip(*each, strict=True), seed=7) for each in (drawn, shuffled))
    assert [(each.lower, each.upper) for each in there.values()] == [(e.lower, e.upper) for e in back.values()]


def test_drawing_kinds_of_subjects_is_drawing_subjects() -> None:
    """The shortcut's standard error against that of a bootstrap that draws each subject by itself."""
    data = rows(600, 3, rows_a_subject=3)
    candidate, champion = data.model(0.2), data.model(0.1)
    found = compare(data.truth, candidate, champion, data.subjects, 1)
    picks = np.random.default_rng(2).integers(0, 200, (1000, 200))[:, :, None] * 3 + np.arange(3)
    drawn = [
        f1_score(data.truth[pick], candidate[pick], average="macro")
        - f1_score(data.truth[pick], champion[pick], average="macro")
        for pick in picks.reshape(1000, -1)[:300]
    ]
    assert found["macro F1"].standard_error == pytest.approx(np.std(drawn), rel=0.15)
    assert found["macro F1"].lower == pytest.approx(np.quantile(drawn, 0.05), abs=0.008)


def test_equal_models_pass() -> None:
    verdicts = [_verdict(2000, wrong=(0.05, 0.05), margin=0.03, seed=seed) for seed in range(60)]
    assert sum(verdict != "inferior" for verdict in verdicts) >= 57


def test_a_loss_as_large_as_the_margin_does_not_pass() -> None:
    verdicts = [_verdict(2000, wrong=(0.08, 0.05), margin=0.03, seed=seed) for seed in range(60)]
    assert sum(verdict != "inferior" for verdict in verdicts) <= 9  # 5 % expected; 9 of 60 has p < 0.002


def test_a_loss_of_five_points_is_stopped_where_a_point_test_of_equality_would_need_luck() -> None:
    assert {_verdict(2000, wrong=(0.10, 0.05), margin=0.03, seed=seed) for seed in range(30)} == {"inferior"}


def test_improvement_is_told_apart_from_parity() -> None:
    assert _verdict(2000, wrong=(0.05, 0.10), margin=0.03, seed=1) == "improvement"
    assert _verdict(2000, wrong=(0.05, 0.05), margin=0.03, seed=1) == "parity"


def test_a_subject_with_many_rows_is_not_many_witnesses() -> None:
    data = rows(2000, seed=3, rows_a_subject=40)
    unlucky = np.repeat(data.rng.random(50) < 0.2, 40)  # the candidate fails whole people
    candidate = np.where(unlucky, "nonsense", data.truth)
    by_subject = compare(data.truth, candidate, data.truth, data.subjects, 1)["accuracy"]
    by_row = compare(data.truth, candidate, data.truth, [str(row) for row in range(2000)], 1)["accuracy"]
    assert by_subject.standard_error > 4 * by_row.standard_error


def test_a_label_of_one_row_does_not_break_the_bootstrap() -> None:
    truth = ["common"] * 200 + ["rare"]
    found = compare(truth, truth, ["common"] * 201, [str(row) for row in range(201)], 1)["macro F1"]
    assert found.candidate == 1 and np.isfinite([found.lower, found.upper]).all() and found.lower >= 0


def test_six_thousand_rows_of_77_labels_are_quick() -> None:
    rng = np.random.default_rng(0)
    truth, candidate, champion = (rng.integers(0, 77, 6000).astype(str) for _ in range(3))
    start = time.process_time()
    compare(truth, candidate, champion, [str(row) for row in range(6000)], 1)
    assert time.process_time() - start < 6  # of processor time, on both cores


def test_rows_that_do_not_line_up_are_an_error_not_a_result() -> None:
    with pytest.raises(ValueError, match="rows do not line up: 2 labels, 1 and 2 predictions"):
        compare(["a", "b"], ["a"], ["a", "b"], ["u", "v"], 1)
    with pytest.raises(ValueError, match="at least one"):
        compare([], [], [], [], 1)


def test_the_seed_depends_on_every_digest_and_their_order() -> None:
    assert len({seed_of("a", "b"), seed_of("b", "a"), seed_of("ab"), seed_of("a")}) == 4


@pytest.mark.parametrize(
    ("lower", "upper", "margin", "enough", "verdict"),
    [
        (0.001, 0.02, 0.03, True, "improvement"),
        (-0.029, 0.02, 0.03, True, "parity"),
        (-0.03, 0.02, 0.03, True, "inferior"),
        (0.0, 0.02, 0.0, True, "inferior"),  # a first release must beat the linear head
        (0.01, 0.02, 0.03, False, "undecided"),
        (-0.2, -0.04, 0.03, False, "inferior"),
    ],
)
def test_the_verdict_at_the_edges(lower: float, upper: float, margin: float, enough: bool, verdict: str) -> None:
    assert verdict_of(lower, upper, margin, enough) == verdict


def _verdict(count: int, wrong: tuple[float, float], margin: float, seed: int) -> str:
    data = rows(count, seed)
    found = compare(data.truth, data.model(wrong[0]), data.model(wrong[1]), data.subjects, seed)["accuracy"]
    return verdict_of(found.lower, found.upper, margin, True)
