"""Whose answer is given once the first two have spoken, for each pick of a policy."""

import pytest

from serving.router import Candidate, NobodyAnswered, pick, route
from tests.serving.router.routing import HERE, declare, live

COSTS = {"acme/dear": {"cost": 9}, "acme/cheap": {"cost": 1}}
OFFERED = [live("acme/dear", 0.9), live("acme/cheap", 0.8), live("acme/third", 0.7)]


@pytest.mark.parametrize(
    ("policy", "dear", "cheap", "picked", "reason"),
    [
        ({}, ("card", 0.7), ("loan", 0.7), "acme/dear", "best score"),
        ({}, ("card", 0.5), ("loan", 0.9), "acme/cheap", "best score"),
        ({"pick": "agreement"}, ("card", 0.9), ("card", 0.6), "acme/cheap", "they agree"),
        ({"pick": "agreement"}, ("card", 0.9), ("loan", 0.6), "acme/dear", "best score"),
        ({"pick": "cheapest over threshold", "threshold": 0.6}, ("a", 0.9), ("b", 0.6), "acme/cheap", "0.6 or more"),
        ({"pick": "cheapest over threshold", "threshold": 0.6}, ("a", 0.9), ("b", 0.5), "acme/dear", "0.6 or more"),
        ({"pick": "cheapest over threshold", "threshold": 0.9}, ("a", 0.8), ("b", 0.5), "acme/dear", "best score"),
    ],
)
def test_the_policy_picks(
    policy: dict, dear: tuple[str, float], cheap: tuple[str, float], picked: str, reason: str
) -> None:
    declared = declare(COSTS, **policy)
    choice = route(HERE, OFFERED, declared)
    answers = {"acme/dear": Candidate(*dear), "acme/cheap": Candidate(*cheap)}
    done = pick(choice, answers, declared.routing.policies["default"])
    assert done.model.name == picked and done.said == answers[picked] and reason in done.reason


def test_one_that_does_not_answer_leaves_the_other_and_none_is_an_error() -> None:
    choice = route(HERE, OFFERED, declare(COSTS))
    policy = declare().routing.policies["default"]
    done = pick(choice, {"acme/cheap": Candidate("card", 0.1)}, policy)
    assert done.model.name == "acme/cheap" and "only one" in done.reason
    with pytest.raises(NobodyAnswered, match="acme/dear, acme/cheap"):
        pick(choice, {"acme/third": Candidate("card", 0.9)}, policy)
