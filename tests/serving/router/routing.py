"""Live models and policies for the router's tests, with fingerprints that expect what a test wants."""

from typing import Any

import numpy as np

from serving.router import Declaration, Fingerprint, LiveModel, Routing
from serving.router.fingerprint import Facts

HIDDEN = 8
HERE = np.eye(HIDDEN, dtype=np.float32)[0]  # a prompt in the middle of what models know
ELSEWHERE = np.eye(HIDDEN, dtype=np.float32)[7]


def fingerprint(
    quality: float, release: str, at: int = 0, prior: float | None = None, p95_ms: float = 10
) -> Fingerprint:
    """Expects `quality` of every prompt, and knows those along the axis `at`."""
    facts = Facts(
        release=release, release_digest=digest(release), base="b" * 64, rows=10**6,
        prior=quality if prior is None else prior, near=0.8, far=0.4, p95_ms=p95_ms, brier=0.1, brier_of_prior=0.2,
    )  # fmt: skip
    centres = np.eye(HIDDEN, dtype=np.float32)[at : at + 1]
    return Fingerprint(facts, quality, np.zeros(HIDDEN, np.float32), centres, np.zeros(1, np.float32))


def live(name: str, quality: float | None, number: int = 1, regions: str = "mumbai", **known: Any) -> LiveModel:
    """A live release of `tenant/task`; quality None: it has no fingerprint."""
    release = f"{name.replace('/', '.')}@{number}"
    made = None if quality is None else fingerprint(quality, release, **known)
    return LiveModel(name, release, digest(release), frozenset(regions.split()), made)


def digest(release: str) -> str:
    return (release.encode().hex() + "0" * 64)[:64]


def declare(models: dict[str, dict] | None = None, **policy: Any) -> Declaration:
    document = {"format": "pedigree/routing/v1", "version": 1, "policies": {"default": policy}, "models": models or {}}
    return Declaration(Routing.model_validate(document), "f" * 64)
