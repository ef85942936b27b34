"""What may be chosen, in which order, and why: deny wins, quality counts, strangers go to the fallbacks."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serving.router import LiveModel, NothingToChoose, UnknownPolicy, route
from tests.serving.router.routing import ELSEWHERE, HERE, declare, digest, fingerprint, live

NAMES = [f"acme/task-{letter}" for letter in "abcdef"]
qualities = st.lists(st.floats(0.01, 0.99), min_size=1, max_size=6)
patterns = st.lists(st.sampled_from(["*", "acme/*", *NAMES, "other/*"]), max_size=4)
weights = st.fixed_dictionaries({name: st.floats(0, 3) for name in ("cost", "latency", "tier", "region")})


def models(values: Sequence[float]) -> list[LiveModel]:
    return [live(name, value) for name, value in zip(NAMES, values, strict=False)]


@given(qualities, weights, st.integers(0, 5), st.floats(0.001, 0.5))
def test_a_model_that_is_expected_to_do_better_never_ranks_worse(
    values: list[float], worth: dict, which: int, more: float
) -> None:
    which %= len(values)
    better = [min(0.999, value + more * (place == which)) for place, value in enumerate(values)]
    declared = declare(weights=worth)
    places = [
        [each.name for each in route(HERE, models(given_), declared).ranked].index(NAMES[which])
        for given_ in (values, better)
    ]
    assert places[1] <= places[0]


@given(qualities, patterns, patterns)
def test_deny_wins_over_allow_and_nothing_unlisted_is_chosen(
    values: list[float], allow: list[str], deny: list[str]
) -> None:
    declared, offered = declare(allow=allow, deny=deny), models(values)

    def matches(name: str, listed: list[str]) -> bool:
        return bool({"*", "acme/*", name} & set(listed))

    allowed = {each.name for each in offered if matches(each.name, allow) and not matches(each.name, deny)}
    try:
        choice = route(HERE, offered, declared)
    except NothingToChoose as nothing:
        assert not allowed and all(each.name in str(nothing) for each in offered)
    else:
        assert {each.name for each in choice.ranked} == allowed
        assert set(choice.refused) == {each.name for each in offered} - allowed


@given(qualities, st.randoms())
def test_the_order_of_the_live_list_changes_nothing_and_ties_go_by_name(
    values: list[float], chance: random.Random
) -> None:
    offered = models([round(value, 1) * 0.9 + 0.01 for value in values])
    mixed = list(offered)
    chance.shuffle(mixed)
    ranked = route(HERE, mixed, declare()).ranked
    assert ranked == route(HERE, offered, declare()).ranked
    assert [(-each.quality, each.name) for each in ranked] == sorted((-each.quality, each.name) for each in ranked)


def test_new_and_retired_models_appear_and_vanish_with_the_list_that_is_given() -> None:
    declared, first, better = declare(), live("acme/intents", 0.8), live("acme/loans", 0.9)
    assert [each.name for each in route(HERE, [first], declared).ranked] == ["acme/intents"]
    assert route(HERE, [first, better], declared).ranked[0].release == "acme.loans@1"
    again = live("acme/loans", 0.7, number=2)
    assert [each.release for each in route(HERE, [first, again], declared).ranked] == [
        "acme.intents@1",
        "acme.loans@2",
    ]
    assert [each.name for each in route(HERE, [first], declared).ranked] == ["acme/intents"]


def test_a_release_without_a_fingerprint_of_its_own_is_never_guessed_at() -> None:
    stale = LiveModel(
        "acme/loans", "acme.loans@2", digest("acme.loans@2"), frozenset(), fingerprint(0.99, "acme.loans@1")
    )
    offered = [live("acme/intents", 0.5), live("acme/new", None), stale]
    choice = route(HERE, offered, declare(fallbacks=["acme/new", "acme/loans", "acme/unheard-of"]))
    assert [each.name for each in choice.ranked] == ["acme/intents"]
    assert "materialize model_fingerprints" in choice.refused["acme/new"]
    assert "of another release" in choice.refused["acme/loans"]
    other_base = np.ones(16, np.float32)
    with pytest.raises(NothingToChoose, match="judged on another base"):
        route(other_base, offered[:1], declare())
    with pytest.raises(NothingToChoose, match="none is live"):
        route(HERE, [], declare())


def test_a_model_that_knows_the_prompt_beats_a_better_one_that_does_not() -> None:
    offered = [live("acme/intents", 0.6), live("acme/loans", 0.99, at=7)]
    assert route(HERE, offered, declare()).ranked[0].name == "acme/intents"
    assert route(ELSEWHERE, offered, declare()).ranked[0].name == "acme/loans"


def test_of_two_models_that_both_know_the_prompt_the_nearer_one_is_likelier_meant() -> None:
    offered = [live("acme/intents", 0.8), live("acme/loans", 0.9, at=7)]
    between = 0.9 * HERE + 0.7 * ELSEWHERE
    between /= np.linalg.norm(between)
    assert route(between, offered, declare()).ranked[0].name == "acme/intents"
    assert route(between, [offered[0], live("acme/loans", 0.9)], declare()).ranked[0].name == "acme/loans"


def test_a_prompt_like_nothing_known_goes_to_the_fallbacks_then_by_prior() -> None:
    stranger = np.eye(8, dtype=np.float32)[4]
    offered = [live("acme/a", 0.9, prior=0.6), live("acme/b", 0.5, prior=0.8), live("acme/c", 0.7, prior=0.7)]
    choice = route(stranger, offered, declare(fallbacks=["acme/c"]))
    assert choice.stranger and choice.known == 0
    assert [each.name for each in choice.ranked] == ["acme/c", "acme/b", "acme/a"]
    assert "fallback" in choice.ranked[0].reasons and "resembles nothing" in choice.ranked[1].reasons[0]
    assert not route(HERE, offered, declare(fallbacks=["acme/c"])).stranger
    denied = route(stranger, offered, declare(deny=["acme/c"]))
    assert [each.name for each in denied.ranked] == ["acme/b", "acme/a"]


@pytest.mark.parametrize(
    ("weight", "request_", "reason"),
    [
        ({"cost": 0.02}, {}, "cost 9: -0.1800"),
        ({"latency": 1}, {}, "p95 500 ms: -0.5000"),
        ({"tier": 0.2}, {"tier": "free"}, "kept for enterprise: -0.2000"),
        ({"region": 0.2}, {"region": "frankfurt"}, "not live in frankfurt: -0.2000"),
    ],
)
def test_each_weight_turns_the_order_and_is_told_as_a_reason(weight: dict, request_: dict, reason: str) -> None:
    best = live("acme/best", 0.9, regions="mumbai", p95_ms=500)
    other = live("acme/other", 0.8, regions="mumbai frankfurt", p95_ms=10)
    facts = {"acme/best": {"cost": 9, "tier": "enterprise"}}
    assert route(HERE, [best, other], declare(facts), **request_).ranked[0].name == "acme/best"
    turned = route(HERE, [best, other], declare(facts, weights=weight), **request_)
    assert [each.name for each in turned.ranked] == ["acme/other", "acme/best"]
    assert reason in turned.ranked[1].reasons


def test_a_choice_says_by_which_declaration_it_was_made_and_an_unknown_policy_is_an_error() -> None:
    choice = route(HERE, [live("acme/a", 0.5)], declare())
    assert (choice.policy, choice.version, choice.sha256) == ("default", 1, "f" * 64)
    with pytest.raises(UnknownPolicy, match="no policy 'cheap'; declared: default"):
        route(HERE, [live("acme/a", 0.5)], declare(), "cheap")
