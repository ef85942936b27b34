"""A fitted fingerprint expects what is then observed, knows strangers, and carries no record."""

import numpy as np
import pytest

from assets.routing.fit import LEAST_ROWS, Made, fit, places_of
from benchmarks.routing_measures import calibration_error
from serving.router import Fingerprint, FingerprintRefused
from serving.router.fingerprint import to_files

MADE = Made("acme.intents@1", "d" * 64, "b" * 64, 10.0)
HIDDEN, KINDS = 32, 6
MIDDLES = np.random.default_rng(1).normal(size=(2 * KINDS, HIDDEN))
RATES = np.array([0.98, 0.9, 0.8, 0.6, 0.4, 0.2])


def _rows(number: int, seed: int, first: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Vectors of six kinds of prompt, who was right, and the rate behind it."""
    draw = np.random.default_rng(seed)
    kinds = draw.integers(KINDS, size=number)
    vectors = MIDDLES[kinds + first] + draw.normal(size=(number, HIDDEN)) * 0.7
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, (draw.random(number) < RATES[kinds]).astype(float), RATES[kinds]


def _fitted(number: int = 2000, seed: int = 2, shuffled: bool = False) -> Fingerprint:
    vectors, right, _ = _rows(number, seed)
    if shuffled:
        right = np.random.default_rng(5).permutation(right)
    return fit(vectors, right, [str(row // 2) for row in range(number)], places_of(vectors), MADE)


def test_what_is_expected_of_held_out_prompts_is_what_is_observed() -> None:
    made = _fitted()
    vectors, right, rates = _rows(4000, 3)
    expected = made.expect_all(vectors)[0]
    assert calibration_error(expected, right) < 0.05
    assert np.corrcoef(expected, rates)[0, 1] > 0.95
    brier = float(np.square(expected - right).mean())
    assert brier < 0.75 * right.var() and made.facts.brier == pytest.approx(brier, abs=0.02)
    assert made.facts.brier_of_prior == pytest.approx(right.var(), abs=0.02)


def test_where_nothing_can_be_told_the_prior_is_expected() -> None:
    made = _fitted(number=600, shuffled=True)
    expected = made.expect_all(_rows(1000, 3)[0])[0]
    assert np.abs(expected - made.facts.prior).max() < 0.1


def test_its_own_kind_is_known_and_another_is_not() -> None:
    made = _fitted()
    own, other = made.expect_all(_rows(1000, 3)[0])[1], made.expect_all(_rows(1000, 3, first=KINDS)[0])[1]
    assert (own >= 0.5).mean() > 0.95 and (other < 0.5).mean() > 0.95


def test_no_centre_is_a_records_vector() -> None:
    vectors, *_ = _rows(300, 4)
    odd = np.linalg.norm(vectors[:3] * -1, axis=1)  # three rows far from everything, each a cluster of its own
    vectors[:3] = -vectors[:3] / odd[:, None]
    centres = places_of(vectors).centres
    nearest = np.sort(vectors @ centres.T, axis=0)[::-1]
    assert (nearest[0] < 0.999).all() and (nearest[LEAST_ROWS - 1] > 0.2).all()


def test_the_same_rows_give_the_same_bytes() -> None:
    assert to_files(_fitted()) == to_files(_fitted())


def test_too_few_rows_or_people_are_refused_with_the_number() -> None:
    vectors, right, _ = _rows(49, 2)
    with pytest.raises(FingerprintRefused, match="49 evaluation rows, a fingerprint needs 50"):
        places_of(vectors)
    vectors, right, _ = _rows(200, 2)
    with pytest.raises(FingerprintRefused, match="of 2 subjects, 5 are needed"):
        fit(vectors, right, ["a", "b"] * 100, places_of(vectors), MADE)
