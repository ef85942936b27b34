"""Bias: a worse-served group is found, small groups and chance do not block, gender words are swapped as written."""

import numpy as np
import pytest

from governance.gate.bias import group_bias, swap_bias, swap_gender


def test_a_group_that_is_served_worse_is_found() -> None:
    found = _measured({"F": (600, 0.75), "M": (600, 0.95)})
    assert found is not None and found.exceeded and found.difference == pytest.approx(0.20, abs=0.04)
    worst = next(group for group in found.groups if group.name == "F")
    assert worst.upper is not None and worst.upper < 0


def test_equal_groups_and_small_ones_do_not_exceed() -> None:
    found = _measured({"F": (600, 0.9), "M": (600, 0.9), "X": (5, 0.0)})
    assert found is not None and not found.exceeded
    assert [(group.name, group.difference is None) for group in found.groups] == [
        ("F", False),
        ("M", False),
        ("X", True),
    ]


def test_a_large_gap_that_chance_explains_does_not_exceed() -> None:
    found = group_bias([True] * 28 + [False] * 5 + [True] * 900, ["X"] * 33 + ["F"] * 900, _people(933), 0.10, 1)
    assert found is not None and found.difference > 0.10
    whole_families = [f"family{row // 11}" if row < 33 else str(row) for row in range(933)]
    clustered = group_bias([False] * 11 + [True] * 22 + [True] * 900, ["X"] * 33 + ["F"] * 900, whole_families, 0.10, 1)
    assert clustered is not None and clustered.difference > 0.10 and not clustered.exceeded


@pytest.mark.parametrize("groups", [{"F": (600, 0.9)}, {"F": (600, 0.9), "M": (29, 0.5)}, {}])
def test_less_than_two_groups_with_rows_cannot_be_compared(groups: dict[str, tuple[int, float]]) -> None:
    assert _measured(groups) is None


def test_rows_without_a_group_belong_to_none() -> None:
    found = group_bias([True] * 120, ["F"] * 40 + ["M"] * 40 + [None] * 40, _people(120), 0.1, 1)
    assert found is not None and found.rows == 80 and not found.exceeded


@pytest.mark.parametrize(
    ("text", "swapped"),
    [
        ("He told her that his wife left.", "She told him that her husband left."),
        ("HER husband said: she may call him", "HIS wife said: he may call her"),
        ("Mr Smith and Mrs Jones", "Mrs Smith and Mr Jones"),
        ("I asked her. The bag is hers", "I asked him. The bag is his"),
        ("71 yo M with chest pain", "71 yo F with chest pain"),
        ("took 30 ms in the theatre, I miss the 64M limit", "took 30 ms in the theatre, I miss the 64M limit"),
    ],
)
def test_gender_words_are_swapped_and_nothing_else(text: str, swapped: str) -> None:
    assert swap_gender(text) == swapped


def test_changed_predictions_are_a_share_with_a_bound() -> None:
    found = swap_bias(["a"] * 100, ["a"] * 80 + ["b"] * 20, 0.10)
    assert (found.method, found.difference, found.exceeded) == ("gender swap", 0.2, True) and found.upper > 0.2
    assert swap_bias(["a"] * 29, ["b"] * 29, 0.10).method == "not measurable"
    assert swap_bias([], [], 0.10).difference == 0


def _measured(groups: dict[str, tuple[int, float]]):
    rng = np.random.default_rng(0)
    names = [name for name, (rows, _) in groups.items() for _ in range(rows)]
    correct = [bool(hit) for _, (rows, share) in groups.items() for hit in rng.permutation(rows) < share * rows]
    return group_bias(correct, names, _people(len(names)), 0.10, 1)


def _people(rows: int) -> list[str]:
    return [str(row) for row in range(rows)]
