"""A declared group keeps its share of the top; nobody is lost, and nothing is moved without a reason."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from governance.fairness.filter import BY_SCORE, Candidate, FilterRefused, fair, rerank
from governance.fairness.rules import FairnessRules

RULES = FairnessRules(
    groups={"first": frozenset("abcdefgh"), "second": frozenset("ijklmnop")}, at_least={"second": 0.4}, top=5
)
rankings = st.dictionaries(st.sampled_from("abcdefghijklmnopqrst"), st.floats(-5, 5), max_size=20).map(
    lambda scores: [Candidate(name, score) for name, score in scores.items()]
)
shares = st.tuples(st.floats(0, 0.5), st.floats(0, 0.5))


@given(rankings, shares)
def test_every_prefix_of_the_top_has_each_groups_smallest_share_while_candidates_last(
    candidates: list[Candidate], share: tuple[float, float]
) -> None:
    rules = RULES.model_copy(update={"at_least": dict(zip(("first", "second"), share, strict=True))})
    placed = rerank(candidates, rules)
    for place in range(1, min(rules.top, len(placed)) + 1):
        for group, least in rules.at_least.items():
            there = sum(each.name in rules.groups[group] for each in candidates)
            shown = sum(each.name in rules.groups[group] for each in placed[:place])
            assert shown >= min(there, math.floor(place * least))


@given(rankings)
def test_nobody_is_lost_and_a_group_keeps_its_own_order(candidates: list[Candidate]) -> None:
    placed = rerank(candidates, RULES)
    assert sorted((each.name, each.score) for each in placed) == sorted((each.name, each.score) for each in candidates)
    by_score = sorted(candidates, key=lambda each: (-each.score, each.name))
    assert [by_score[each.before - 1].name for each in placed] == [each.name for each in placed]
    for group in RULES.groups.values():
        assert [e.name for e in placed if e.name in group] == [e.name for e in by_score if e.name in group]


@given(rankings, st.randoms())
def test_the_order_in_which_candidates_come_changes_nothing(candidates: list[Candidate], chance: object) -> None:
    mixed = list(candidates)
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert rerank(mixed, RULES) == rerank(candidates, RULES)


def test_without_a_need_nothing_moves_and_with_one_the_reason_is_told() -> None:
    even = [Candidate("a", 0.9), Candidate("i", 0.8), Candidate("b", 0.7), Candidate("j", 0.6)]
    assert {each.reason for each in rerank(even, RULES)} == {BY_SCORE}
    uneven = [Candidate(name, 1 - place / 10) for place, name in enumerate("abcdij")]
    placed = rerank(uneven, RULES)
    assert [each.name for each in placed] == ["a", "b", "i", "c", "j", "d"]
    assert placed[2].reason == "second has at least 1 of the first 3" and placed[2].before == 5


def test_two_groups_that_are_due_at_one_place_are_both_there_by_then() -> None:
    rules = RULES.model_copy(update={"at_least": {"first": 0.5, "second": 0.5}})
    placed = rerank([Candidate("q", 1), Candidate("a", 0), Candidate("b", 0), Candidate("i", 0)], rules)
    assert [each.name for each in placed] == ["a", "i", "q", "b"]
    assert placed[0].reason == "first has at least 1 of the first 2"


def test_of_those_that_are_due_one_with_its_most_waits() -> None:
    groups = {"first": frozenset("ab"), "second": frozenset("ij"), "third": frozenset("xyz")}
    least = {"first": 0.2, "second": 0.4, "third": 0.4}
    rules = FairnessRules(groups=groups, at_least=least, at_most={"third": 0.45}, top=5)
    placed = rerank([Candidate(name, 1 - place / 10) for place, name in enumerate("xyziaj")], rules)
    assert [each.name for each in placed[:3]] == ["x", "i", "y"]


def test_a_group_that_has_its_share_makes_room() -> None:
    rules = FairnessRules(groups=RULES.groups, at_most={"first": 0.5}, top=4)
    placed = rerank([Candidate(name, 1 - place / 10) for place, name in enumerate("abcij")], rules)
    assert [each.name for each in placed] == ["a", "i", "b", "j", "c"]
    assert placed[1].reason == "first has its 1 of the first 2 already"
    alone = rerank([Candidate("a", 0.9), Candidate("b", 0.8)], rules)
    assert [each.name for each in alone] == ["a", "b"] and "are left" in alone[1].reason


def test_the_record_counts_groups_and_names_no_candidate() -> None:
    candidates = [Candidate(name, 1 - place / 10) for place, name in enumerate("abcdijz")]
    placed, audit = fair(RULES)(candidates, "d" * 64)
    second = next(each for each in audit.groups if each.group == "second")
    assert (second.candidates, second.top_before, second.top_after) == (2, 1, 2)
    assert second.exposure_after > second.exposure_before and audit.moved == 4
    assert len(placed) == audit.candidates == 7 and audit.about == "d" * 64
    assert b'"name"' not in audit.canonical() and audit.canonical() == fair(RULES)(candidates, "d" * 64)[1].canonical()


def test_no_candidates_are_a_ranking_too() -> None:
    placed, audit = fair(RULES)([], "nobody")
    assert placed == [] and audit.candidates == 0


@pytest.mark.parametrize(
    ("candidates", "fault"),
    [
        ([Candidate("a", math.nan)], "'a' has the score nan"),
        ([Candidate("a", math.inf)], "'a' has the score inf"),
        ([Candidate("a", 1), Candidate("a", 2)], "'a' is there 2 times"),
    ],
)
def test_what_has_no_order_is_refused(candidates: list[Candidate], fault: str) -> None:
    with pytest.raises(FilterRefused, match=fault):
        rerank(candidates, RULES)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"at_least": {"third": 0.1}}, "shares of groups"),
        ({"at_least": {"first": 0.6, "second": 0.5}}, "more than the whole"),
        ({"at_least": {"first": 0.6}, "at_most": {"first": 0.5}}, "must have more than they may have"),
        ({"groups": {"one": ["a"], "other": ["a"]}}, "are in two groups"),
        ({"at_least": {"first": float("nan")}}, "finite"),
    ],
)
def test_rules_that_nothing_can_keep_are_refused(change: dict, fault: str) -> None:
    declared = {"groups": {"first": ["a"], "second": ["b"]}} | change
    with pytest.raises(ValidationError, match=fault):
        FairnessRules.model_validate(declared)
