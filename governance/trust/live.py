"""Live pointers: which release digest answers for a model in a region. A target of the `promotion` role.

A pointer names the digest of the pointer before it, so from the one that holds the whole history can be read back.
Its number only grows: a rollback is a new pointer, too (a first one that was withdrawn again does not count). Of two
promoters one wins and the other is told who.
"""

from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import canonical_json, sha256_bytes
from governance.custody.keys import TrustedKeys
from governance.custody.store import NotFound, ObjectStore
from governance.tenants import Release
from governance.trust.client import View, refresh
from governance.trust.errors import TrustRefused
from governance.trust.repository import Draft, publish
from governance.trust.roles import PROMOTION, live_path, release_path, target_key, tenant_role


class PromotionConflict(RuntimeError):
    """Somebody else promoted this model in this region since it was read; the message says who."""


class LivePointer(BaseModel):
    """Release digest `digest` answers for `model` in `region`.

    previous: the release digest that answered before. before: sha256 of the pointer that held before.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    region: str
    release: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    number: int = Field(gt=0)
    previous: str | None
    before: str | None
    reason: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    at: datetime

    @property
    def body(self) -> bytes:
        """The target's bytes."""
        return canonical_json(self.model_dump(mode="json"))

    @property
    def sha256(self) -> str:
        """Which pointer this is."""
        return sha256_bytes(self.body)


def read_live(store: ObjectStore, tenant: str, task: str, region: str, trusted: TrustedKeys) -> LivePointer | None:
    """The pointer that holds now, None before the first promotion. Raises TrustRefused."""
    return live_pointer(refresh(store, trusted), f"{tenant}/{task}", region)


def live_pointer(view: View, model: str, region: str) -> LivePointer | None:
    """The same, of a state that was read already. Raises TrustRefused."""
    body = view.read(live_path(region, model))
    return None if body is None else parse_pointer(body, model, region)


def live_models(view: View, region: str) -> list[str]:
    """`tenant/task` of every model that has a pointer in the region."""
    prefix = f"live/{region}/"
    return [path.removeprefix(prefix).removesuffix(".json") for path in view.live_paths(prefix)]


def write_live(
    store: ObjectStore,
    keys_dir: Path,
    release: Release,
    digest: str,
    region: str,
    reason: str,
    approver: str,
    expected: LivePointer | None,
) -> LivePointer:
    """Let the release of this release digest answer in `region`, if `expected` still is what holds there.

    Raises PromotionConflict naming the winner if it is not; TrustRefused where the tenant does not vouch for the
    release; pydantic.ValidationError without a reason or an approver.
    """

    def change(draft: Draft) -> LivePointer:
        standing = standing_pointer(draft, release.model, region)
        if standing != expected:
            raise PromotionConflict(_winner(release, region, standing))
        return point(draft, release, digest, region, reason, approver)

    return publish(store, keys_dir, change)


def point(draft: Draft, release: Release, digest: str, region: str, reason: str, approver: str) -> LivePointer:
    """Put a pointer over the one that stands. Raises TrustRefused where the tenant does not vouch for the release."""
    path = live_path(region, release.model)
    standing = standing_pointer(draft, release.model, region)
    pointer = LivePointer(
        model=release.model,
        region=region,
        release=str(release),
        digest=digest,
        number=standing.number + 1 if standing else 1,
        previous=standing.digest if standing else None,
        before=draft.role(PROMOTION).targets[path].hashes["sha256"] if standing else None,
        reason=reason,
        approver=approver,
        at=datetime.now(UTC),
    )
    if vouched_digest(draft, release) != digest:
        raise TrustRefused(
            f"{release} with release digest {digest[:16]}… is not vouched for by {release.tenant}: it was never "
            "signed, or was revoked; promote another release"
        )
    draft.put_target(PROMOTION, path, pointer.body)
    return pointer


def withdraw_live(store: ObjectStore, keys_dir: Path, pointer: LivePointer) -> None:
    """Where nothing answered before the pointer: take it back, unless another holds by now. The region stands down."""

    def change(draft: Draft) -> None:
        if standing_pointer(draft, pointer.model, pointer.region) == pointer:
            del draft.edit(PROMOTION).targets[live_path(pointer.region, pointer.model)]

    publish(store, keys_dir, change)


def standing_pointer(draft: Draft, model: str, region: str) -> LivePointer | None:
    """The pointer that a change finds. Raises TrustRefused."""
    body = draft.read_target(PROMOTION, live_path(region, model))
    return None if body is None else parse_pointer(body, model, region)


def vouched_digest(draft: Draft, release: Release) -> str | None:
    """The release digest that the tenant vouches for under this release's name."""
    target = draft.role(tenant_role(release.tenant)).targets.get(release_path(release))
    return target.hashes["sha256"] if target else None


def live_history(store: ObjectStore, tenant: str, task: str, region: str, trusted: TrustedKeys) -> list[LivePointer]:
    """Every pointer that the model ever had in this region, oldest first. Raises TrustRefused."""
    pointer = read_live(store, tenant, task, region, trusted)
    return history(store, pointer) if pointer else []


def history(store: ObjectStore, pointer: LivePointer) -> list[LivePointer]:
    """The pointers from the first to `pointer`. Raises TrustRefused."""
    chain, path = [pointer], live_path(pointer.region, pointer.model)
    while chain[0].before:
        key = target_key(path, chain[0].before)
        try:
            body = store.read(CENTRAL_BUCKET, key)
        except NotFound:
            raise TrustRefused(f"the history is cut: {key} is gone; restore the object") from None
        if sha256_bytes(body) != chain[0].before:
            raise TrustRefused(f"the history was edited: {key} is not what its name says; restore its first version")
        chain.insert(0, parse_pointer(body, pointer.model, pointer.region))
    return chain


def parse_pointer(body: bytes, model: str, region: str) -> LivePointer:
    """Raises TrustRefused."""
    try:
        pointer = LivePointer.model_validate_json(body)
    except ValidationError as broken:
        raise TrustRefused(f"the pointer of {model} in {region} does not say what a pointer says: {broken}") from broken
    if (pointer.model, pointer.region) != (model, region) or Release.parse(pointer.release).model != model:
        raise TrustRefused(f"the pointer of {model} in {region} is of {pointer.release} in {pointer.region}")
    return pointer


def _winner(release: Release, region: str, won: LivePointer | None) -> str:
    now = (
        f"{won.release} answers there (pointer {won.number}, approved by {won.approver} at "
        f"{won.at:%Y-%m-%d %H:%M:%S} UTC: {won.reason})"
        if won
        else "no release answers there"
    )
    return f"{release} was not promoted in {region}: somebody else promoted first; now {now}; look, then promote again"
