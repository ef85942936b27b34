"""Routing policies: what a company declares about choosing among its models, in one versioned YAML file.

A policy can only narrow what its caller may use: the models that are live for the tenant are given with each request.
"""

from fnmatch import fnmatchcase
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from governance.fairness.rules import FairnessRules
from governance.tenants import Declared, Slug

Pattern = Annotated[str, StringConstraints(pattern=r"^(\*|[a-z0-9-]{1,40}/(\*|[a-z0-9-]{1,40}))$")]
ModelName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{1,40}/[a-z0-9-]{1,40}$")]
Amount = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Pick = Literal["best score", "agreement", "cheapest over threshold"]
Tier = Literal["enterprise", "free"]


class UnknownPolicy(LookupError):
    """A request names a policy that is not declared; the message names those that are."""


class Weights(Declared):
    """What one unit is worth, in the same currency: probability of a right answer (0 to 1), times `quality`.

    cost: lost per unit of a model's cost. latency: lost per second of its p95. tier: lost by a model kept for another
    tier. region: lost by a model that is not live in the request's region.
    """

    quality: Amount = 1.0
    cost: Amount = 0.0
    latency: Amount = 0.0
    tier: Amount = 0.0
    region: Amount = 0.0


class Policy(Declared):
    """`fallbacks`: models in order of preference for a prompt that resembles nothing any model was judged on.

    `pick`: which of the top two answers is given. `threshold`: the score over which the cheapest is good enough.
    """

    weights: Weights = Weights()
    allow: tuple[Pattern, ...] = ("*",)
    deny: tuple[Pattern, ...] = ()
    fallbacks: tuple[ModelName, ...] = ()
    pick: Pick = "best score"
    threshold: float | None = Field(None, gt=0, le=1)

    @model_validator(mode="after")
    def threshold_where_it_counts(self) -> "Policy":
        if (self.pick == "cheapest over threshold") != (self.threshold is not None):
            raise ValueError("`threshold` goes with pick `cheapest over threshold`, and only with it")
        if denied := [name for name in self.fallbacks if not self.admits(name)]:
            raise ValueError(f"fallbacks {denied} are denied or not allowed by the same policy")
        return self

    def admits(self, model: str) -> bool:
        """Whether `tenant/task` is allowed and not denied: deny wins."""
        return _matches(model, self.allow) and not _matches(model, self.deny)


class About(Declared):
    """What is declared of a model and cannot be measured: cost of a request, and the tier it is kept for."""

    cost: Amount = 1.0
    tier: Tier | None = None


class Routing(Declared):
    """The file. `version` grows with every change. `models`: pattern → facts, the first that matches holds."""

    format: Literal["pedigree/routing/v1"]
    version: int = Field(gt=0)
    policies: dict[Slug, Policy]
    models: dict[Pattern, About] = Field(default_factory=dict)
    fairness: dict[ModelName, FairnessRules] = Field(default_factory=dict)

    @model_validator(mode="after")
    def has_a_default(self) -> "Routing":
        if "default" not in self.policies:
            raise ValueError("`policies` needs a policy named `default`")
        return self

    def policy(self, name: str) -> Policy:
        """Raises UnknownPolicy."""
        if name not in self.policies:
            raise UnknownPolicy(f"no policy {name!r}; declared: {', '.join(sorted(self.policies))}")
        return self.policies[name]

    def about(self, model: str) -> About:
        return next((about for pattern, about in self.models.items() if _matches(model, [pattern])), About())


def _matches(model: str, patterns: tuple[str, ...] | list[str]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)
