"""Freezing: a delivery once and for all, and the snapshot of deliveries that a release is built from.

A delivery's files become content-addressed blobs under one write-once record, so it is checked and copied once however
many releases use it. A release's snapshot is written once too: what a release was built from cannot change afterwards.
"""

import hashlib
import tempfile
import unicodedata
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from assets.ingestion.landing import LandedObject, ManifestObject, closed_deliveries, landed
from assets.ingestion.manifest import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    DeliveredFile,
    DeliveryRefused,
    Manifest,
    landing_bucket,
    parse_manifest,
    refuse,
)
from assets.ingestion.requests import NEW_DELIVERY, Request, requested, requests
from governance.custody.blobs import CENTRAL_BUCKET, Ref, blob_ref, put_bytes, put_file, read_blob
from governance.custody.canonical import CHUNK, canonical_json, sha256_bytes
from governance.custody.records import Record, pointed, read_record, release_key, write_record
from governance.custody.store import AlreadyExists, NotFound, ObjectStore
from governance.tenants import Release

Log = Callable[[str], None]
STAGE = "raw_dataset"
DELIVER_AGAIN = "deliver again under a new name with `pedigree deliver`"


class FrozenFile(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    size: int
    sha256: str
    version_id: str


class FrozenDelivery(BaseModel):
    """A delivery as it was when it was first frozen: its manifest, and each file's blob by sha256."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tenant: str
    dataset: str
    delivery: str
    manifest_key: str
    manifest_sha256: str
    version_id: str
    files: tuple[FrozenFile, ...]


def freeze_delivery(store: ObjectStore, tenant: str, task: str, manifest_object: ManifestObject, log: Log) -> Ref:
    """The frozen record of a closed delivery; its files are read only the first time.

    Raises DeliveryRefused when the manifest or a file is not what it should be, or when the delivery was frozen before
    with other content. Nothing is recorded then.
    """
    return _freeze(store, tenant, task, manifest_object, log)[0]


def freeze_release(store: ObjectStore, release: Release, dataset: str, log: Log) -> Ref:
    """The release's raw_dataset record: every delivery closed up to and including the one that its request names.

    A delivery that is refused, or whose labels an earlier gate stopped, is listed in `facts.refused` and stops nobody,
    unless the release was requested for it.
    The snapshot is taken once: asked again, the answer is the first one. Raises DeliveryRefused, NotFound.
    """
    try:
        return pointed(store, release, STAGE)
    except NotFound:
        request = requested(store, release)
    taken: list[FrozenDelivery] = []
    refused: list[dict[str, str]] = []
    for manifest_object in _up_to(closed_deliveries(store, release.tenant, dataset), request):
        if stopped := _drifted_labels(store, release, manifest_object):
            log(stopped)
            refused.append({"delivery": manifest_object.delivery, "reason": stopped})
            continue
        try:
            frozen: _Frozen | None = _freeze(store, release.tenant, release.task, manifest_object, log)
        except DeliveryRefused as refusal:
            if manifest_object.key == request.manifest_key and request.cause == NEW_DELIVERY:
                raise
            log(str(refusal))
            refused.append({"delivery": manifest_object.delivery, "reason": str(refusal)})
            # Something written over a delivery that was frozen before is refused; the rows frozen then are still good.
            frozen = _frozen(store, release.tenant, release.task, manifest_object.delivery)
        if frozen:
            taken.append(frozen[1])
    if not taken:
        raise DeliveryRefused(
            f"{release.tenant}/{dataset} has no closed delivery that can be taken ({len(refused)} refused); "
            f"upload one with `pedigree deliver {release.tenant} {dataset} PATH…`"
        )
    return _point_once(store, release_key(release, STAGE), write_record(store, _snapshot(release, taken, refused)))


def _drifted_labels(store: ObjectStore, release: Release, manifest_object: ManifestObject) -> str | None:
    """Why a delivery stays out of later releases: the gate found that its labels contradict all that passed before."""
    for request in requests(store, release.tenant, release.task):
        served = (request.manifest_key, request.etag) == (manifest_object.key, manifest_object.etag)
        if not served or request.number >= release.number:
            continue
        built = release.model_copy(update={"number": request.number})
        try:
            report = read_record(store, pointed(store, built, "validation_report"))
        except NotFound:
            continue
        if report.facts["label_drift"]:
            return f"delivery {manifest_object.delivery} stays out: {built}, built for it, was stopped for label drift"
    return None


_Frozen = tuple[Ref, FrozenDelivery]


def _freeze(store: ObjectStore, tenant: str, task: str, manifest_object: ManifestObject, log: Log) -> _Frozen:
    delivery = manifest_object.delivery
    body = _read_manifest(store, tenant, manifest_object)
    frozen = _frozen(store, tenant, task, delivery)
    if frozen is None:
        record = _check_and_copy(store, tenant, manifest_object, body, log)
        ref = put_bytes(store, tenant, canonical_json(record.model_dump(mode="json")))
        first = _point_once(store, _frozen_key(tenant, task, delivery), ref)
        frozen = first, FrozenDelivery.model_validate_json(read_blob(store, first))
    if frozen[1].manifest_sha256 != sha256_bytes(body):
        refuse(delivery, "it was frozen before with other content", DELIVER_AGAIN)
    return frozen


def _frozen_key(tenant: str, task: str, delivery: str) -> str:
    return f"{tenant}/{task}/deliveries/{delivery}.json"


def _frozen(store: ObjectStore, tenant: str, task: str, delivery: str) -> _Frozen | None:
    try:
        ref = Ref.model_validate_json(store.read(CENTRAL_BUCKET, _frozen_key(tenant, task, delivery)))
    except NotFound:
        return None
    return ref, FrozenDelivery.model_validate_json(read_blob(store, ref))


def _point_once(store: ObjectStore, key: str, ref: Ref) -> Ref:
    """Let `key` point at `ref`, unless somebody was first: then theirs is the answer."""
    try:
        store.put_once(CENTRAL_BUCKET, key, canonical_json(ref.model_dump()))
    except AlreadyExists:
        return Ref.model_validate_json(store.read(CENTRAL_BUCKET, key))
    return ref


def _read_manifest(store: ObjectStore, tenant: str, manifest_object: ManifestObject) -> bytes:
    with store.open(landing_bucket(tenant), manifest_object.key, manifest_object.version_id) as stream:
        body: bytes = stream.read(MAX_MANIFEST_BYTES + 1)
    if len(body) > MAX_MANIFEST_BYTES:
        refuse(
            manifest_object.delivery,
            f"its {MANIFEST} has more than {MAX_MANIFEST_BYTES >> 20} MiB",
            "deliver fewer files at once",
        )
    return body


def _check_and_copy(
    store: ObjectStore, tenant: str, manifest_object: ManifestObject, body: bytes, log: Log
) -> FrozenDelivery:
    dataset, delivery = manifest_object.dataset, manifest_object.delivery
    manifest = parse_manifest(body, tenant, dataset, delivery)
    there = _landed_files(store, tenant, dataset, delivery)
    _compare(manifest, there)
    files = []
    for number, file in enumerate(manifest.files, 1):
        _copy(store, tenant, delivery, file, there[file.name])
        log(f"delivery {delivery}: froze {file.name} ({file.size:,} bytes), file {number} of {len(manifest.files)}")
        files.append(FrozenFile(**file.model_dump(), version_id=there[file.name].version_id))
    return FrozenDelivery(
        tenant=tenant,
        dataset=dataset,
        delivery=delivery,
        manifest_key=manifest_object.key,
        manifest_sha256=sha256_bytes(body),
        version_id=manifest_object.version_id,
        files=tuple(files),
    )


def _landed_files(store: ObjectStore, tenant: str, dataset: str, delivery: str) -> dict[str, LandedObject]:
    """What lies beside the manifest: name in NFC → object."""
    found: dict[str, LandedObject] = {}
    prefix = f"{dataset}/{delivery}/"
    for item in landed(store, tenant, prefix):
        name = unicodedata.normalize("NFC", item.key.removeprefix(prefix))
        if name in found:
            refuse(delivery, f"two of its files are named {name!r} once their accents are normalised", DELIVER_AGAIN)
        if name not in ("", MANIFEST):  # "" is the folder marker that some S3 clients write
            found[name] = item
    return found


def _compare(manifest: Manifest, there: dict[str, LandedObject]) -> None:
    listed = {file.name for file in manifest.files}
    if missing := sorted(listed - set(there)):
        refuse(manifest.delivery, f"its {MANIFEST} names {missing[0]!r}, which is not there", DELIVER_AGAIN)
    if extra := sorted(set(there) - listed):
        refuse(manifest.delivery, f"the file {extra[0]!r} is not in its {MANIFEST}", DELIVER_AGAIN)
    for file in manifest.files:
        if (size := there[file.name].size) != file.size:
            what = f"the file {file.name!r} has {size:,} bytes, its {MANIFEST} says {file.size:,}"
            refuse(manifest.delivery, what, DELIVER_AGAIN)


def _copy(store: ObjectStore, tenant: str, delivery: str, file: DeliveredFile, source: LandedObject) -> None:
    """Make the file a blob of the tenant, streamed through a temporary file, once its sha256 is what it should be."""
    with tempfile.NamedTemporaryFile() as temporary:
        digest = hashlib.sha256()
        with store.open(landing_bucket(tenant), source.key, source.version_id) as stream:
            while chunk := stream.read(CHUNK):
                digest.update(chunk)
                temporary.write(chunk)
        if (found := digest.hexdigest()) != file.sha256:
            what = f"the file {file.name!r} has sha256 {found[:16]}…, its {MANIFEST} says {file.sha256[:16]}…"
            refuse(delivery, what, DELIVER_AGAIN)
        temporary.flush()
        put_file(store, tenant, Path(temporary.name))


def _up_to(manifests: list[ManifestObject], request: Request) -> list[ManifestObject]:
    last = next((i for i, manifest in enumerate(manifests) if manifest.key == request.manifest_key), None)
    wanted = f"release {request.number} was requested for it"
    if last is None:
        refuse(request.delivery, f"{wanted}, but its {MANIFEST} is gone", f"restore it, or {DELIVER_AGAIN}")
    if manifests[last].etag != request.etag:
        refuse(request.delivery, f"its {MANIFEST} was written again after {wanted}", DELIVER_AGAIN)
    return manifests[: last + 1]


def _snapshot(release: Release, taken: list[FrozenDelivery], refused: list[dict[str, str]]) -> Record:
    files = {
        f"{delivery.delivery}/{file.name}": blob_ref(release.tenant, file.sha256, file.size)
        for delivery in taken
        for file in delivery.files
    }
    deliveries = [delivery.model_dump(mode="json", exclude={"tenant", "dataset"}) for delivery in taken]
    return Record(stage=STAGE, release=str(release), files=files, facts={"deliveries": deliveries, "refused": refused})
