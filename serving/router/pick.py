"""After the top two have answered: whose answer is given, by the policy's `pick`, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from governance.fairness.filter import Candidate
from serving.router.policy import Policy
from serving.router.route import Choice, Ranked

ASKED = 2  # how many of the ranking are sent to Triton


class NobodyAnswered(LookupError):
    """None of the models that were asked gave an answer."""


@dataclass(frozen=True)
class Picked:
    """`said`: the model's likeliest label and its probability."""

    model: Ranked
    said: Candidate
    reason: str


def pick(choice: Choice, answers: Mapping[str, Candidate], policy: Policy) -> Picked:
    """Of the ranked models that answered (name → its likeliest label). Raises NobodyAnswered.

    best score: the largest score weighed by the expected quality. agreement: the cheapest of those that say what the
    first says, if any other does; else best score. cheapest over threshold: the cheapest whose score reaches it; else
    best score. Equal ones: the better ranked.
    """
    heard = [(model, answers[model.name]) for model in choice.ranked[:ASKED] if model.name in answers]
    if not heard:
        raise NobodyAnswered(f"none of {', '.join(model.name for model in choice.ranked[:ASKED])} answered")
    if len(heard) == 1:
        return Picked(*heard[0], "the only one that answered")
    if policy.pick == "agreement" and len({said.name for _, said in heard}) == 1:
        return Picked(*min(heard, key=lambda each: each[0].cost), "they agree; the cheaper one")
    if policy.threshold is not None:
        good = [each for each in heard if each[1].score >= policy.threshold]
        if good:
            cheapest = min(good, key=lambda each: each[0].cost)
            return Picked(*cheapest, f"the cheapest with a score of {policy.threshold:g} or more")
    best = max(heard, key=lambda each: each[0].quality * each[1].score)
    return Picked(*best, "the best score, weighed by expected quality")
