"""Rows needed: the published formula, honest power for equal models, no pass for a handful of rows that agree."""

import numpy as np
from gate_simulation import Rows, rows

from governance.gate.noninferiority import compare, verdict_of
from governance.gate.power import Power, fewest_rows, power_of, rows_needed, wilson

MARGINS = {"macro F1": 0.03, "accuracy": 0.03}


def test_the_formula_gives_the_textbook_number() -> None:
    # (1.6449 + 0.8416)² × 0.10 / 0.03²
    assert rows_needed(0.10, 0.03) == 687
    assert rows_needed(0.10, 0.01) == 6183


def test_wilson_bounds_enclose_and_do_not_collapse_at_zero() -> None:
    assert wilson(0, 0) == (0.0, 1.0)
    assert wilson(0, 20)[1] > 0.1
    low, high = wilson(50, 100)
    assert low < 0.5 < high


def test_an_equal_model_passes_with_the_power_that_was_promised() -> None:
    needed = rows_needed(0.095, 0.03)  # two models that err on 5 % each, independently
    passed = 0
    for seed in range(60):
        data = rows(needed, seed)
        found = compare(data.truth, data.model(0.05), data.model(0.05), data.subjects, seed)["accuracy"]
        passed += verdict_of(found.lower, found.upper, 0.03, True) != "inferior"
    assert passed >= 42  # 48 expected at power 0.8


def test_two_thousand_rows_are_enough_for_three_points_at_ten_percent_dispute() -> None:
    data = rows(2000, 5)
    power = _power(data, data.model(0.05), data.model(0.05))
    assert power.sufficient and 0.08 < power.discordance < 0.12 and power.rows_needed < 1200


def test_sixty_rows_without_a_dispute_prove_nothing() -> None:
    data = rows(60, 1)
    power = _power(data, data.truth, data.truth)
    assert not power.sufficient and power.rows_needed > 200


def test_not_even_a_triumph_is_believed_on_a_handful_of_rows() -> None:
    data = rows(60, 1)
    power = _power(data, data.truth, data.model(0.9))
    assert power.rows_needed == fewest_rows(0.03) == 135 and not power.sufficient
    assert rows_needed(wilson(0, 135)[1], 0.03) == 135 and rows_needed(wilson(0, 134)[1], 0.03) > 134


def test_many_rows_of_few_people_are_refused() -> None:
    data = rows(4000, 1, rows_a_subject=200)
    power = _power(data, data.truth, data.truth)
    assert power.rows > power.rows_needed and power.subjects == 20 and not power.sufficient


def test_a_large_improvement_is_not_refused_for_disagreeing_with_a_weak_champion() -> None:
    data = rows(800, 2)
    assert _power(data, data.model(0.05), data.model(0.45)).sufficient
    assert not _power(data, data.model(0.30), data.model(0.30)).sufficient


def test_clusters_raise_the_number_of_rows() -> None:
    data = rows(3000, 4, rows_a_subject=30)
    whole = np.repeat(data.rng.random(100) < 0.06, 30)
    candidate = np.where(whole, "nonsense", data.truth)
    champion = np.where(np.repeat(data.rng.random(100) < 0.06, 30), "nonsense", data.truth)
    alone = Rows(data.truth, [str(row) for row in range(3000)], data.rng)
    assert _power(data, candidate, champion).rows_needed > 5 * _power(alone, candidate, champion).rows_needed


def _power(data: Rows, candidate: np.ndarray, champion: np.ndarray) -> Power:
    found = compare(data.truth, candidate, champion, data.subjects, 1)
    return power_of(data.truth, candidate, champion, data.subjects, found, MARGINS)
