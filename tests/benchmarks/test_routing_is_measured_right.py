"""The router's figures on tables whose answer is known, and tables that cannot be read."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.routing_measures import best_of_two, calibration_error, cost_at, cost_at_random, gap_recovered
from benchmarks.routing_table import TableUnusable, read_table

LONG = """prompt,subject,model,correct,cost
one,sums,small,true,1
one,sums,large,true,10
two,words,small,0,1
two,words,large,1,10
"""


def test_the_gap_is_recovered_at_once_by_who_knows_and_evenly_by_chance() -> None:
    gain = np.array([1.0] * 20 + [0.0] * 80)
    perfect = gap_recovered(gain, gain)
    assert perfect == {"apgr": pytest.approx(0.9), "cpt_50": pytest.approx(0.1), "cpt_80": pytest.approx(0.16)}
    assert gap_recovered(gain, -gain)["apgr"] == pytest.approx(0.1)
    draw = np.random.default_rng(0)
    chance = np.mean([gap_recovered(gain, draw.random(100))["apgr"] for _ in range(300)])
    assert chance == pytest.approx(0.5, abs=0.01)


def test_cost_is_that_of_the_cheapest_way_to_the_quality() -> None:
    correct = np.array([[1, 1]] * 80 + [[0, 1]] * 20, dtype=float)
    cost = np.tile([1.0, 10.0], (100, 1))
    assert cost_at(correct, cost, correct, 1.0) == pytest.approx((80 * 1 + 20 * 10) / 1000)
    assert cost_at(correct, cost, np.ones_like(correct), 1.0) == 1, "who knows nothing must always ask the best"
    assert cost_at(correct, cost, np.ones_like(correct), 0.8) == pytest.approx(0.1)
    assert cost_at_random(correct, cost, 0.9) == pytest.approx(0.55)


def test_two_chosen_for_each_prompt_can_beat_any_static_two() -> None:
    correct = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)
    routed, static = best_of_two(correct, correct, (0, 1))
    assert (routed, static) == (1, pytest.approx(2 / 3))


def test_calibration_error_is_the_distance_from_what_was_observed() -> None:
    right = np.array([1.0, 0.0] * 50)
    assert calibration_error(np.full(100, 0.5), right) == 0
    assert calibration_error(np.full(100, 0.8), right) == pytest.approx(0.3)


def test_a_table_of_prompt_model_correct_cost_is_read(tmp_path: Path) -> None:
    (tmp_path / "own.csv").write_text(LONG)
    table = read_table(tmp_path / "own.csv")
    assert (table.models, table.subjects) == (["large", "small"], ["sums", "words"])
    assert table.correct.tolist() == [[1, 1], [1, 0]] and table.cost.tolist() == [[10, 1], [10, 1]]
    assert (table.models[table.weak], table.models[table.strong]) == ("small", "large")


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("prompt,model,correct,cost\n", "has no rows"),
        (LONG.replace("true,10", "maybe,10"), "line 3: correct is 'maybe'"),
        (LONG.replace("true,10", "true,dear"), "line 3: cost is 'dear'"),
        (LONG + "two,words,large,1,10\n", "line 6: large has answered this prompt before"),
        (LONG.rsplit("two", 1)[0], "1 answers are missing"),
        ("prompt,llama_correct\na,True\n", r"no cost is known of \['llama'\]"),
        ("question,answer\na,b\n", "no columns prompt, model, correct, cost"),
    ],
)
def test_what_is_no_such_table_is_refused_with_its_line(tmp_path: Path, body: str, fault: str) -> None:
    (tmp_path / "bad.csv").write_text(body)
    with pytest.raises(TableUnusable, match=fault):
        read_table(tmp_path / "bad.csv")
