"""Release requests: which delivery a release is for, and the one place where a release gets its number.

Numbers are handed out by compare-and-swap on the store, so any number of sensors and people may ask at once.
"""

from pydantic import BaseModel, ConfigDict, Field

from assets.ingestion.landing import ManifestObject
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import canonical_json
from governance.custody.records import release_key
from governance.custody.store import AlreadyExists, NotFound, ObjectStore
from governance.tenants import Release

NEW_DELIVERY = "new delivery"
_seen: dict[tuple[str, str], "Request"] = {}  # by key and etag: a request is written once, so it is read once


class Request(BaseModel):
    """Release `number` is wanted from all deliveries up to the one that this manifest closes, because of `cause`."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    number: int = Field(gt=0)
    delivery: str
    manifest_key: str
    etag: str
    cause: str


def requests(store: ObjectStore, tenant: str, task: str) -> list[Request]:
    """Every request for a release of `tenant/task`, by number."""
    prefix = f"{tenant}/{task}/releases/"
    try:
        written = [info for info in store.list(CENTRAL_BUCKET, prefix) if info.key.endswith("/request.json")]
    except store.client.exceptions.NoSuchBucket:
        return []
    for info in written:
        if (info.key, info.etag) not in _seen:
            _seen[info.key, info.etag] = Request.model_validate_json(store.read(CENTRAL_BUCKET, info.key))
    return sorted((_seen[info.key, info.etag] for info in written), key=lambda request: request.number)


def requested(store: ObjectStore, release: Release) -> Request:
    """The request behind `release`. Raises NotFound."""
    try:
        return Request.model_validate_json(store.read(CENTRAL_BUCKET, release_key(release, "request")))
    except NotFound as missing:
        raise NotFound(f"{release} was never requested; a delivery or a retrain requests the next release") from missing


def request_release(
    store: ObjectStore, tenant: str, task: str, until: ManifestObject, cause: str = NEW_DELIVERY
) -> Release:
    """The release for `until`: the one that was requested already, else the next free number.

    The same manifest (key and etag) asked for because of the same `cause` is always the same release. A retrain names
    a cause of its own, e.g. `retrain 2026-03-02`, and so gets a new release from the same deliveries.
    """
    while True:
        known = requests(store, tenant, task)
        for request in known:
            if (request.manifest_key, request.etag, request.cause) == (until.key, until.etag, cause):
                return Release(tenant=tenant, task=task, number=request.number)
        wanted = Request(
            number=known[-1].number + 1 if known else 1,
            delivery=until.delivery,
            manifest_key=until.key,
            etag=until.etag,
            cause=cause,
        )
        release = Release(tenant=tenant, task=task, number=wanted.number)
        try:
            store.put_once(CENTRAL_BUCKET, release_key(release, "request"), canonical_json(wanted.model_dump()))
        except AlreadyExists:
            continue
        return release
