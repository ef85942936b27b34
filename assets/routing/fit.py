"""Fitting a fingerprint: from evaluation rows to what a release is expected to get right, calibrated.

Half a ridge regression on the vector, half the share of right answers near the centres of the rows; both shrunk to
the prior, as far as held-out rows say: the penalty and the slope are chosen on folds that keep a group (a person, a
subject) on one side. Either half alone did worse on subjects that it had not seen (docs/decisions).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from serving.router.fingerprint import Facts, Fingerprint, FingerprintRefused, weights

Floats = np.ndarray[Any, Any]
PENALTIES = (10.0, 30.0, 100.0, 300.0)
FOLDS = 5
MINIMUM_ROWS = 50
CENTRES, ROWS_A_CENTRE, LEAST_ROWS = 64, 20, 5  # at most; so many rows each; one of fewer would be a record's vector
SHRINKAGE = 10.0  # rows at the prior that every centre has beside its own
SEED = 17


@dataclass(frozen=True)
class Places:
    """Where the rows lie. centres [places, hidden] of length 1; near, far: see Facts."""

    centres: Floats
    near: float
    far: float


@dataclass(frozen=True)
class Made:
    """Of which release, on which base, how slow its gate found it (p95, ms)."""

    release: str
    release_digest: str
    base: str
    p95_ms: float


def places_of(vectors: Floats) -> Places:
    """Centres of the rows [rows, hidden], and how near rows lie that the centres have not seen.

    A hundredth of such rows is half a stranger or more, a twentieth less than wholly known. Raises FingerprintRefused.
    """
    if len(vectors) < MINIMUM_ROWS:
        raise FingerprintRefused(f"{len(vectors)} evaluation rows, a fingerprint needs {MINIMUM_ROWS}; deliver more")
    held_out = np.random.default_rng(SEED).permutation(len(vectors)) < len(vectors) // FOLDS
    cosines = (vectors[held_out] @ _centres(vectors[~held_out]).T).max(axis=1)
    half, near = np.quantile(cosines, [0.01, 0.05])
    return Places(_centres(vectors), float(near), float(min(2 * half - near, near - 1e-3)))


def fit(vectors: Floats, right: Floats, groups: Sequence[str], places: Places, made: Made) -> Fingerprint:
    """vectors [rows, hidden] of length 1; right [rows], 0 or 1; groups: of each row. Raises FingerprintRefused."""
    near = weights(vectors @ places.centres.T)
    prior = (right.sum() + 1) / (len(right) + 2)
    held_out = {penalty: np.empty(len(right)) for penalty in PENALTIES}
    for train, test in _folds(groups):
        local = near[test] @ _local(near[train], right[train])
        for penalty, (direction, offset) in zip(PENALTIES, _ridges(vectors[train], right[train]), strict=True):
            held_out[penalty][test] = (vectors[test] @ direction + offset + local) / 2
    slopes = {penalty: _slope(said - prior, right - prior) for penalty, said in held_out.items()}
    errors = {
        penalty: float(np.square(right - prior - slopes[penalty] * (said - prior)).mean())
        for penalty, said in held_out.items()
    }
    best = min(errors, key=lambda penalty: errors[penalty])
    slope = slopes[best]
    direction, offset = next(_ridges(vectors, right, (best,)))
    return Fingerprint(
        facts=Facts(
            **vars(made),
            rows=len(right),
            prior=prior,
            near=places.near,
            far=places.far,
            brier=errors[best],
            brier_of_prior=float(np.square(right - prior).mean()),
        ),
        bias=float(prior + slope * (offset / 2 - prior)),
        direction=(slope * direction / 2).astype(np.float32),
        centres=places.centres.astype(np.float32),
        local=(slope * _local(near, right) / 2).astype(np.float32),
    )


def _centres(vectors: Floats) -> Floats:
    from sklearn.cluster import KMeans
    from threadpoolctl import threadpool_limits

    number = max(1, min(CENTRES, len(vectors) // ROWS_A_CENTRE))
    with threadpool_limits(1):  # sums follow the threads
        found = KMeans(number, n_init=1, max_iter=50, random_state=SEED).fit(vectors)
    kept = np.bincount(found.labels_, minlength=number) >= LEAST_ROWS
    centres = found.cluster_centers_[kept]
    return np.asarray(centres / np.linalg.norm(centres, axis=1, keepdims=True))


def _local(near: Floats, right: Floats) -> Floats:
    """The share of right answers near each centre [places], shrunk to the share of all."""
    return np.asarray((near.T @ right + SHRINKAGE * right.mean()) / (near.sum(axis=0) + SHRINKAGE))


def _ridges(vectors: Floats, right: Floats, penalties: Sequence[float] = PENALTIES) -> Iterator[tuple[Floats, float]]:
    """Direction [hidden] and offset of a ridge regression for each penalty, from one decomposition."""
    middle, mean = vectors.mean(axis=0), float(right.mean())
    centred = vectors - middle
    values, basis = np.linalg.eigh(centred.T @ centred)
    turned = basis.T @ (centred.T @ (right - mean))
    for penalty in penalties:
        direction = basis @ (turned / (values + penalty))
        yield direction, mean - float(middle @ direction)


def _slope(said: Floats, was: Floats) -> float:
    """By how much what was said of held-out rows must be stretched, or shrunk, to be what was: 0 leaves the prior."""
    return float(np.clip((said @ was) / max(said @ said, 1e-12), 0, 2))


def _folds(groups: Sequence[str]) -> Iterator[tuple[Any, Any]]:
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < FOLDS:
        raise FingerprintRefused(f"the evaluation rows are of {len(set(groups))} subjects, {FOLDS} are needed")
    yield from GroupKFold(FOLDS, shuffle=True, random_state=SEED).split(groups, groups=groups)
