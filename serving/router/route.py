"""Preselection: which of the models that are live for a tenant should be asked, best first, and why.

Only what is given can be chosen: new and retired models appear and vanish with the live pointers of the caller. What
is expected of a model comes from its release's own fingerprint; what that is worth, from the policy.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.router.fingerprint import Fingerprint
from serving.router.policy import About, Policy, Tier, Weights
from serving.router.policy_file import Declaration

if TYPE_CHECKING:
    import numpy as np

KNOWN = 0.5  # a prompt less known than this to every model is a stranger: fallbacks come first


class NothingToChoose(LookupError):
    """No model may answer; the message says of each why not."""


@dataclass(frozen=True)
class LiveModel:
    """A release that answers for `tenant/task` in `regions`, as the live pointers say, and what is known about it."""

    name: str
    release: str
    digest: str
    regions: frozenset[str]
    fingerprint: Fingerprint | None


@dataclass(frozen=True)
class Ranked:
    """A model at its place. `score`: what it is worth under the policy. `quality`: expected share of right answers."""

    name: str
    release: str
    digest: str
    score: float
    quality: float
    cost: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class Choice:
    """`ranked`: best first, never empty. `refused`: model → why not. `known`: how familiar the prompt is, 0 to 1.

    policy, version, sha256: by which declaration it was decided.
    """

    ranked: tuple[Ranked, ...]
    refused: Mapping[str, str]
    known: float
    policy: str
    version: int
    sha256: str

    @property
    def stranger(self) -> bool:
        """Whether the prompt is of a kind that none of the models was judged on."""
        return self.known < KNOWN


def route(
    vector: "np.ndarray[Any, Any]",
    models: Sequence[LiveModel],
    declared: Declaration,
    policy: str = "default",
    region: str | None = None,
    tier: Tier | None = None,
) -> Choice:
    """Rank `models` for the prompt whose vector (float32 [hidden], as `embed` gives it) this is.

    Raises NothingToChoose; UnknownPolicy naming those declared.
    """
    rules = declared.routing.policy(policy)
    refused = {model.name: why for model in models if (why := _refusal(model, rules, vector))}
    open_to = sorted((model for model in models if model.name not in refused), key=lambda model: model.name)
    judged = {model.name: model.fingerprint.expect(vector) for model in open_to if model.fingerprint}
    known = max((each.known for each in judged.values()), default=0.0)
    nearest = max((each.nearness for each in judged.values()), default=0.0)
    ranked = [
        _ranked(
            model,
            judged[model.name].quality_among(known, nearest),
            rules.weights,
            declared.routing.about(model.name),
            region,
            tier,
        )
        for model in open_to
    ]
    ranked.sort(key=lambda each: (-each.score, -each.quality, each.name))
    if known < KNOWN:
        ranked = _fallbacks_first(ranked, rules, known)
    if not ranked:
        raise NothingToChoose("no model may answer: " + ("; ".join(refused.values()) or "none is live"))
    return Choice(tuple(ranked), refused, known, policy, declared.routing.version, declared.sha256)


def _refusal(model: LiveModel, rules: Policy, vector: "np.ndarray[Any, Any]") -> str | None:
    if not rules.admits(model.name):
        return f"{model.name} is not admitted by the policy"
    if model.fingerprint is None:
        return f"{model.release} has no fingerprint; materialize model_fingerprints for it"
    if model.fingerprint.facts.release_digest != model.digest:
        return f"the fingerprint of {model.name} is of another release than {model.release}"
    if model.fingerprint.hidden != len(vector):
        return f"{model.release} was judged on another base than the one that made the vector"
    return None


def _ranked(
    model: LiveModel,
    quality: float,
    weights: Weights,
    about: About,
    region: str | None,
    tier: Tier | None,
) -> Ranked:
    seconds = model.fingerprint.facts.p95_ms / 1000 if model.fingerprint else 0.0
    away = region is not None and region not in model.regions
    other = about.tier is not None and tier is not None and about.tier != tier
    parts = {
        f"expected right {quality:.3f}": weights.quality * quality,
        f"cost {about.cost:g}": -weights.cost * about.cost,
        f"p95 {seconds * 1000:.0f} ms": -weights.latency * seconds,
        f"kept for {about.tier}": -weights.tier * other,
        f"not live in {region}": -weights.region * away,
    }
    reasons = tuple(f"{what}: {worth:+.4f}" for what, worth in parts.items() if worth)
    score = sum(parts.values())
    return Ranked(model.name, model.release, model.digest, score, quality, about.cost, reasons)


def _fallbacks_first(ranked: list[Ranked], rules: Policy, known: float) -> list[Ranked]:
    why = f"the prompt resembles nothing the models were judged on ({known:.2f})"
    place = {name: at for at, name in enumerate(rules.fallbacks)}
    told = [
        Ranked(**{**vars(each), "reasons": (why, *(["fallback"] if each.name in place else []), *each.reasons)})
        for each in ranked
    ]
    return sorted(told, key=lambda each: place.get(each.name, len(place)))  # stable: the rest as ranked
