"""Ways of scoring models for a prompt: the router's fingerprints, and what they are compared with."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupKFold, KFold

from assets.routing.fit import Made, fit, places_of
from benchmarks.routing_table import Floats, Table
from serving.engine import Engine
from serving.router import Declaration, Fingerprint, Routing, prompt_head

FOLDS, SEED = 5, 11
# From rows [rows, hidden], who was right [rows, models] and the rows' groups: scores of prompts [prompts, models].
Way = Callable[[Floats, Floats, Sequence[str]], Callable[[Floats], Floats]]


def embed(engine: Engine, prompts: Sequence[str]) -> Floats:
    """As the router embeds them: float64 [prompts, hidden]."""
    heads = [prompt_head(prompt) for prompt in prompts]
    parts = [engine.embed(heads[start : start + 512]) for start in range(0, len(heads), 512)]
    return torch.cat(parts).numpy().astype(np.float64)


def fingerprints(vectors: Floats, correct: Floats, groups: Sequence[str]) -> list[Fingerprint]:
    """One for each model (column), from the same rows."""
    places = places_of(vectors)
    made = Made("bench.model@1", "0" * 64, "0" * 64, p95_ms=0.0)
    return [fit(vectors, correct[:, model], groups, places, made) for model in range(correct.shape[1])]


def by_fingerprint(vectors: Floats, correct: Floats, groups: Sequence[str]) -> Callable[[Floats], Floats]:
    made = fingerprints(vectors, correct, groups)
    return lambda asked: np.stack([each.expect_all(asked)[0] for each in made], axis=1).astype(np.float64)


def by_cosine(vectors: Floats, correct: Floats, groups: Sequence[str]) -> Callable[[Floats], Floats]:
    """Raw cosine to the centroid of the prompts that a model got right."""
    centroids = correct.T @ vectors
    return lambda asked: np.asarray(asked @ (centroids / np.linalg.norm(centroids, axis=1, keepdims=True)).T)


def by_lot(vectors: Floats, correct: Floats, groups: Sequence[str]) -> Callable[[Floats], Floats]:
    draw = np.random.default_rng(SEED)
    return lambda asked: draw.random((len(asked), correct.shape[1]))


WAYS: dict[str, Way] = {"router": by_fingerprint, "cosine": by_cosine, "random": by_lot}


def held_out(table: Table, vectors: Floats, split: str, way: Way) -> Floats:
    """Scores [prompts, models] of prompts on which the way was not fitted."""
    scores = np.empty_like(table.correct)
    groups = table.subjects if split == "subject" and table.subjects else [str(i) for i in range(len(table.prompts))]
    for train, test in _folds(split, groups):
        fitted = way(vectors[train], table.correct[train], [groups[row] for row in train])
        scores[test] = fitted(vectors[test])
    return scores


def _folds(split: str, groups: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    if split == "row":
        yield from KFold(FOLDS, shuffle=True, random_state=SEED).split(groups)
    else:
        yield from GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(groups, groups=groups)


def declare(fallbacks: list[str]) -> Declaration:
    policy = {"fallbacks": fallbacks}
    return Declaration(
        Routing.model_validate({"format": "pedigree/routing/v1", "version": 1, "policies": {"default": policy}}), "-"
    )
