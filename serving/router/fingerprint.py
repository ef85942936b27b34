"""What a release is expected to get right: its fingerprint, made once from its evaluation rows, read by the router.

For a prompt's vector x of length 1: expected right = bias + x · direction + nearness(x, centres) · local, cut to the
open interval that the rows allow. Centres are means of at least a handful of rows and everything else is a sum over
all of them, so no record's vector is in it. Fitted in assets/routing/fit.py.
"""

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, ValidationError

from governance.tenants import Declared

if TYPE_CHECKING:
    import numpy as np

    Floats = np.ndarray[Any, Any]

TENSORS, FACTS = "fingerprint.safetensors", "fingerprint.json"
SHARPNESS = 20.0  # of nearness: a centre whose cosine is 0.1 smaller counts e⁻² as much
RIVALRY = 5.0  # of models: one that is 0.1 of cosine farther than another is worth e^-0.5 as much
SIZE_LIMIT = 16 << 20

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Cosine = Annotated[float, Field(ge=-3, le=1, allow_inf_nan=False)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class FingerprintRefused(ValueError):
    """Bytes are no fingerprint that could be used; the message says why."""


class Facts(Declared):
    """prior: share of rows that the release got right. near, far: cosines to the nearest centre at which a prompt is
    wholly known and not known at all. brier, brier_of_prior: held-out squared error, of this and of the prior alone.
    """

    format: Literal["pedigree/fingerprint/v1"] = "pedigree/fingerprint/v1"
    release: str
    release_digest: Sha256
    base: Sha256
    rows: int = Field(gt=0)
    prior: Share
    near: Cosine
    far: Cosine
    p95_ms: float = Field(ge=0, allow_inf_nan=False)
    brier: Share
    brier_of_prior: Share


@dataclass(frozen=True)
class Expected:
    """Of one model and one prompt. right: the chance of a right answer, if the prompt is of a kind it was judged on.

    known: 1 for such a prompt, 0 for a stranger. nearness: cosine to the nearest of its centres.
    """

    right: float
    known: float
    nearness: float
    prior: float

    def quality_among(self, best_known: float, nearest: float) -> float:
        """The chance of a right answer beside models of which one knows the prompt to `best_known`, one is `nearest`.

        A prompt is more likely of the kind it lies nearer to. A stranger is worth nothing to a model where another
        knows it; where none does, the priors decide.
        """
        share = math.exp(-RIVALRY * (nearest - self.nearness))
        return self.known * share * self.right + (1 - self.known) * (1 - best_known) * self.prior


@dataclass(frozen=True)
class Fingerprint:
    """centres [places, hidden], each of length 1; local [places]; direction [hidden]; float32."""

    facts: Facts
    bias: float
    direction: "Floats"
    centres: "Floats"
    local: "Floats"

    @property
    def hidden(self) -> int:
        return len(self.direction)

    def expect(self, vector: "Floats") -> Expected:
        """For one prompt's vector [hidden]."""
        right, known, nearness = self.expect_all(vector[None])
        return Expected(float(right[0]), float(known[0]), float(nearness[0]), self.facts.prior)

    def expect_all(self, vectors: "Floats") -> tuple["Floats", "Floats", "Floats"]:
        """`right`, `known`, `nearness` of many prompts: vectors [prompts, hidden] → three of [prompts]."""
        import numpy as np

        cosines = vectors @ self.centres.T
        least = 1 / (self.facts.rows + 2)
        right = self.bias + vectors @ self.direction + weights(cosines) @ self.local
        nearness = cosines.max(axis=1)
        known = (nearness - self.facts.far) / (self.facts.near - self.facts.far)
        return np.clip(right, least, 1 - least), np.clip(known, 0, 1), nearness


def weights(cosines: "Floats") -> "Floats":
    """How much each centre counts for each prompt: [prompts, places], rows sum to 1."""
    import numpy as np

    near = np.exp(SHARPNESS * (cosines - cosines.max(axis=1, keepdims=True)))
    return near / near.sum(axis=1, keepdims=True)


def to_files(fingerprint: Fingerprint) -> dict[str, bytes]:
    """File name → bytes; the same fingerprint always gives the same ones."""
    import numpy as np
    from safetensors.numpy import save

    from governance.custody.canonical import canonical_json

    tensors = {
        "bias": np.array([fingerprint.bias], np.float32),
        "direction": fingerprint.direction,
        "centres": fingerprint.centres,
        "local": fingerprint.local,
    }
    return {
        TENSORS: save({name: np.ascontiguousarray(value, np.float32) for name, value in tensors.items()}),
        FACTS: canonical_json(fingerprint.facts.model_dump(mode="json")),
    }


def from_files(files: dict[str, bytes]) -> Fingerprint:
    """Back from `to_files`. Raises FingerprintRefused."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    if len(files.get(TENSORS, b"")) > SIZE_LIMIT:
        raise FingerprintRefused(f"{TENSORS} has {len(files[TENSORS])} bytes, a fingerprint at most {SIZE_LIMIT}")
    try:
        facts, tensors = Facts.model_validate(json.loads(files[FACTS])), load(files[TENSORS])
        bias, direction, centres, local = (tensors[name] for name in ("bias", "direction", "centres", "local"))
    except (KeyError, ValueError, ValidationError, SafetensorError) as broken:
        raise FingerprintRefused(f"no fingerprint: {broken}; materialize model_fingerprints again") from broken
    _require_shapes(facts, bias, direction, centres, local)
    return Fingerprint(facts, float(bias[0]), direction, centres, local)


def _require_shapes(facts: Facts, bias: "Floats", direction: "Floats", centres: "Floats", local: "Floats") -> None:
    import numpy as np

    shapes = bias.shape, direction.ndim, centres.shape, local.ndim
    if shapes != ((1,), 1, (len(local), len(direction)), 1) or not len(local) or not len(direction):
        raise FingerprintRefused(f"the tensors of {facts.release} do not fit each other: {shapes}")
    if not all(each.dtype == np.float32 and np.isfinite(each).all() for each in (bias, direction, centres, local)):
        raise FingerprintRefused(f"the tensors of {facts.release} are not all finite float32")
    if not facts.far < facts.near:
        raise FingerprintRefused(f"{facts.release}: far {facts.far} is not below near {facts.near}")
