"""Live pointers: which release digest answers for a model in a region, signed, with a number that only grows.

A pointer is replaced by compare-and-swap, so of two promoters one wins and the other is told who. Every pointer is
also kept under its number, so that an old one put back in its place is noticed. A rollback is a new pointer, too.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import PrivateKey, TrustedKeys
from governance.custody.statements import StatementRefused, open_statement, sign_statement, statement
from governance.custody.store import AlreadyExists, Conflict, NotFound, ObjectStore
from governance.tenants import Release

LIVE_POINTER = "urn:pedigree:live-pointer:v1"


class LiveRefused(ValueError):
    """A live pointer cannot be trusted; the message says where it lies and why."""


class PromotionConflict(RuntimeError):
    """Somebody else promoted this model in this region since it was read; the message says who."""


class LivePointer(BaseModel):
    """What a live pointer says: release digest `digest` answers for `model` in `region`; `previous` answered before."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    model: str
    region: str
    release: str
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    number: int = Field(gt=0)
    previous: str | None
    reason: str = Field(min_length=1)
    approver: str = Field(min_length=1)
    at: datetime


@dataclass(frozen=True)
class Live:
    """A verified pointer, the signed envelope it came in, and the etag to replace it by."""

    pointer: LivePointer
    envelope: bytes
    etag: str


def read_live(store: ObjectStore, tenant: str, task: str, region: str, trusted: TrustedKeys) -> Live | None:
    """The pointer that holds now, or None before the first promotion. Raises LiveRefused, KeyRefused."""
    key = _key(tenant, task, region)
    while True:
        try:
            envelope, etag = store.read_with_etag(CENTRAL_BUCKET, key)
        except NotFound:
            if _first_promotion_is_ahead(store, tenant, task, region):
                return None
            continue
        live = Live(_open(envelope, f"{tenant}/{task}", region, trusted, key), envelope, etag)
        newer = _key(tenant, task, region, live.pointer.number + 1)
        if store.stat(CENTRAL_BUCKET, newer) is None:
            return live
        # A promoter may have won between the two reads; the same old pointer again means that it was put back.
        again = store.stat(CENTRAL_BUCKET, key)
        if again and again.etag == etag:
            raise LiveRefused(
                f"live pointer {key} is number {live.pointer.number}, but {newer} exists: an old pointer was put "
                f"back; copy the newest numbered pointer over {key}"
            )


def write_live(
    store: ObjectStore,
    release: Release,
    digest: str,
    region: str,
    reason: str,
    approver: str,
    key: PrivateKey,
    trusted: TrustedKeys,
    expected: Live | None,
) -> Live:
    """Let the release of this release digest answer in `region`, if `expected` still is what holds there.

    Raises PromotionConflict naming the winner if it is not; LiveRefused when `key` is not the trusted one;
    pydantic.ValidationError without a reason or an approver.
    """
    pointer = LivePointer(
        model=release.model,
        region=region,
        release=str(release),
        digest=digest,
        number=expected.pointer.number + 1 if expected else 1,
        previous=expected.pointer.digest if expected else None,
        reason=reason,
        approver=approver,
        at=datetime.now(UTC),
    )
    said = statement(str(release), digest, LIVE_POINTER, pointer.model_dump(mode="json", exclude={"digest"}))
    envelope = sign_statement(said, key)
    live_key = _key(release.tenant, release.task, region)
    _open(envelope, release.model, region, trusted, live_key)  # never publish what no region would trust
    if expected:
        _keep(store, release, expected)  # a promoter may have died between its two writes
    try:
        info = store.replace(CENTRAL_BUCKET, live_key, envelope, expected.etag if expected else None)
    except Conflict as lost:
        raise PromotionConflict(_winner(store, release, region, trusted)) from lost
    live = Live(pointer, envelope, info.etag)
    _keep(store, release, live)
    return live


def live_history(store: ObjectStore, tenant: str, task: str, region: str, trusted: TrustedKeys) -> list[LivePointer]:
    """Every pointer that the model ever had in this region, oldest first. Raises LiveRefused, KeyRefused."""
    keys = [info.key for info in store.list(CENTRAL_BUCKET, f"{tenant}/{task}/live/{region}/")]
    opened = [_open(store.read(CENTRAL_BUCKET, key), f"{tenant}/{task}", region, trusted, key) for key in keys]
    return sorted(opened, key=lambda pointer: pointer.number)


def _key(tenant: str, task: str, region: str, number: int | None = None) -> str:
    return f"{tenant}/{task}/live/{region}{f'/{number}' if number else ''}.json"


def _open(envelope: bytes, model: str, region: str, trusted: TrustedKeys, key: str) -> LivePointer:
    try:
        said = open_statement(envelope, trusted.promotion(), LIVE_POINTER)
        (subject,) = said.subject
        pointer = LivePointer(**said.predicate, digest=subject.digest.get("sha256", ""))
    except StatementRefused as refused:
        raise LiveRefused(f"live pointer {key} {refused}; copy the newest numbered pointer over it") from refused
    except (ValidationError, ValueError, TypeError) as broken:
        raise LiveRefused(f"live pointer {key} does not say what a live pointer says: {broken}") from broken
    if (pointer.model, pointer.region, pointer.release) != (model, region, subject.name):
        raise LiveRefused(f"live pointer {key} is of {pointer.release} as {pointer.model} in {pointer.region}")
    return pointer


def _keep(store: ObjectStore, release: Release, live: Live) -> None:
    key = _key(release.tenant, release.task, live.pointer.region, live.pointer.number)
    try:
        store.put_once(CENTRAL_BUCKET, key, live.envelope)
    except AlreadyExists:
        if store.read(CENTRAL_BUCKET, key) != live.envelope:
            raise LiveRefused(f"{key} was written by someone who did not win the live pointer; ask who did") from None


def _first_promotion_is_ahead(store: ObjectStore, tenant: str, task: str, region: str) -> bool:
    """False when a promoter came first just now. Raises LiveRefused when a pointer was removed."""
    first, live = _key(tenant, task, region, 1), _key(tenant, task, region)
    if store.stat(CENTRAL_BUCKET, first) is None:
        return True
    if store.stat(CENTRAL_BUCKET, live) is None:
        raise LiveRefused(f"live pointer {live} is gone, but {first} exists; copy the newest numbered pointer over it")
    return False


def _winner(store: ObjectStore, release: Release, region: str, trusted: TrustedKeys) -> str:
    won = read_live(store, release.tenant, release.task, region, trusted)
    now = (
        f"{won.pointer.release} answers there (pointer {won.pointer.number}, approved by {won.pointer.approver} at "
        f"{won.pointer.at:%Y-%m-%d %H:%M:%S} UTC: {won.pointer.reason})"
        if won
        else "no release answers there"
    )
    return f"{release} was not promoted in {region}: somebody else promoted first; now {now}; look, then promote again"
