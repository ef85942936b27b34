"""The release manifest: what a release consists of and what it came from. Its sha256 is the release digest.

It holds no clock time and no run id: the same input always gives the same digest. Those are in the signed provenance.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from governance.custody.blobs import Ref
from governance.custody.canonical import canonical_json, sha256_bytes, sha256_file
from governance.tenants import ConfigurationError, Release

MANIFEST = "release.json"
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors")
STAGES = ("raw_dataset", "normalized_dataset", "scrubbed_dataset", "lora_adapter")

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class ManifestInvalid(ValueError):
    """A document is not a release manifest; the message names the entry and the rule."""


class Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ReleaseFile(Strict):
    name: str
    size: int = Field(ge=0)
    sha256: Sha256


class BaseDigest(Strict):
    """The base that the adapter was trained against."""

    name: str
    sha256: Sha256


class Environment(Strict):
    """The code that built it. `git_sha` is "unknown" outside a checkout; `image_digest` is null outside an image."""

    lock_sha256: Sha256
    git_sha: str
    image_digest: str | None


class ReleaseManifest(Strict):
    """`files`: the adapter's, sorted by name. `came_from`: stage → its record."""

    format: Literal["pedigree/release/v1"] = Field("pedigree/release/v1", alias="schema")
    release: str
    model: str
    base: BaseDigest
    files: tuple[ReleaseFile, ...]
    came_from: dict[str, Ref]
    environment: Environment

    @model_validator(mode="after")
    def agrees_with_itself(self) -> "ReleaseManifest":
        try:
            release = Release.parse(self.release)
        except ConfigurationError as wrong:
            raise ValueError(str(wrong)) from wrong
        if (self.release, self.model) != (str(release), release.model):
            raise ValueError(f"release {self.release} is not one of model {self.model}")
        if (names := tuple(file.name for file in self.files)) != ADAPTER_FILES:
            raise ValueError(f"files are {names}, a release has {ADAPTER_FILES}")
        if set(self.came_from) != set(STAGES):
            raise ValueError(f"came_from names {sorted(self.came_from)}, a release comes from {STAGES}")
        return self

    @property
    def canonical(self) -> bytes:
        """The bytes of release.json."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


def release_digest(manifest: ReleaseManifest) -> str:
    """The only identity that serving trusts."""
    return sha256_bytes(manifest.canonical)


def build_manifest(
    release: Release, adapter: Path, base: BaseDigest, came_from: Mapping[str, Ref], environment: Environment
) -> ReleaseManifest:
    """The manifest of the adapter's files in folder `adapter`. Raises ManifestInvalid, naming what is missing."""
    if missing := [name for name in ADAPTER_FILES if not (adapter / name).is_file()]:
        raise ManifestInvalid(f"{adapter} lacks {', '.join(missing)}; materialize lora_adapter for {release} again")
    paths = [adapter / name for name in ADAPTER_FILES]
    try:
        return ReleaseManifest(
            release=str(release),
            model=release.model,
            base=base,
            files=tuple(ReleaseFile(name=p.name, size=p.stat().st_size, sha256=sha256_file(p)) for p in paths),
            came_from=dict(came_from),
            environment=environment,
        )
    except ValidationError as invalid:
        raise ManifestInvalid(_fault(invalid)) from invalid


def parse_manifest(body: bytes) -> ReleaseManifest:
    """The manifest that these bytes are, in canonical form and no other. Raises ManifestInvalid."""
    try:
        manifest = ReleaseManifest.model_validate(json.loads(body))
    except ValidationError as invalid:
        raise ManifestInvalid(_fault(invalid)) from invalid
    except (ValueError, RecursionError) as broken:
        raise ManifestInvalid(f"not JSON: {broken}") from broken
    if manifest.canonical != body:
        raise ManifestInvalid("not in canonical form (RFC 8785), so its digest is not the release digest")
    return manifest


def _fault(invalid: ValidationError) -> str:
    fault = invalid.errors()[0]
    return f"{'.'.join(map(str, fault['loc'])) or 'manifest'}: {fault['msg']}"
