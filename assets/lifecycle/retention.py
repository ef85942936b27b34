"""Weekly retention: a tenant's unscrubbed bytes go when the days it agreed to are over; the line stays.

Removed are the delivered files and everything of the stages before scrubbing. Each blob leaves a tombstone under
its digest, so a trace says "expired by retention" where it would else find a broken link.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from assets.ingestion.manifest import landing_bucket
from governance.audit.acts import Act, RecordAct
from governance.custody.blobs import CENTRAL_BUCKET, Ref
from governance.custody.records import pointed, read_record
from governance.custody.store import NotFound, ObjectStore
from governance.custody.tombstones import Tombstone, bury, list_removed
from governance.tenants import Release

UNSCRUBBED = ("raw_dataset", "normalized_dataset")


@dataclass(frozen=True)
class Expired:
    tenant: str
    what: str
    sha256: str
    bytes: int
    age_days: int


def expire(
    store: ObjectStore, tenant: str, tasks: list[str], days: int, now: datetime, record: RecordAct
) -> list[Expired]:
    """Remove what is older than `days`; a blob that a younger release still uses stays.

    Before anything goes, `record` writes into the audit log how much it is and the digest of the whole list.
    """
    oldest = now - timedelta(days=days)
    young: set[str] = set()
    old: dict[str, tuple[str, Ref, datetime]] = {}
    for name, ref, written in _unscrubbed(store, tenant, tasks):
        if written >= oldest:
            young.add(ref.sha256)
        else:
            old[ref.sha256] = (name, ref, written)
    expired = [
        Expired(tenant, name, ref.sha256, ref.size, (now - written).days)
        for name, ref, written in old.values()
        if ref.sha256 not in young and store.stat(*ref.bucket_and_key)
    ]
    landed = [info for info in store.list(landing_bucket(tenant), "") if info.last_modified < oldest]
    delivered = [Expired(tenant, info.key, "", info.size, (now - info.last_modified).days) for info in landed]
    if gone := expired + delivered:
        removed = list_removed(store, tenant, {item.sha256 or item.what: item.what for item in gone})
        record(_act(tenant, days, len(gone), removed))
        tombstone = Tombstone(reason=f"retention of {days} days", at=now.astimezone(UTC), removed=removed)
        for item in expired:
            bury(store, tenant, item.sha256, tombstone)
            store.delete(*old[item.sha256][1].bucket_and_key, every_version=True)
    for info in landed:
        store.delete(landing_bucket(tenant), info.key, every_version=True)
    return gone


def _act(tenant: str, days: int, gone: int, removed: Ref) -> Act:
    return Act(
        what="retention",
        who="retention_report",
        why=f"{gone} objects older than the {days} days that were agreed",
        tenant=tenant,
        digests={"removed": removed.sha256},
    )


def _unscrubbed(store: ObjectStore, tenant: str, tasks: list[str]) -> Iterator[tuple[str, Ref, datetime]]:
    """Files of the stages before scrubbing, of every release: name, reference, when they were written."""
    for task in tasks:
        for info in store.list(CENTRAL_BUCKET, f"{tenant}/{task}/releases/"):
            number, name = info.key.split("/")[-2:]
            stage = name.removesuffix(".json")
            if stage not in UNSCRUBBED:
                continue
            release = Release(tenant=tenant, task=task, number=int(number))
            try:
                record = read_record(store, pointed(store, release, stage))
            except NotFound:
                continue
            for file, ref in record.files.items():
                yield f"{release} {stage} {file}", ref, info.last_modified
