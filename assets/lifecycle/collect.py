"""Nightly garbage collection: blobs that no release, delivery or pointer leads to, and folders of killed runs.

Mark and sweep per tenant. Releases and their Dagster runs and partitions are never touched: deleting those would
delete lineage and the way back. A reference that cannot be read stops the sweep of its tenant: fail closed.
"""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from governance.audit.acts import Act, RecordAct
from governance.custody.blobs import CENTRAL_BUCKET, Ref, read_blob
from governance.custody.canonical import sha256_document
from governance.custody.store import ObjectInfo, ObjectStore

# Younger than this may belong to a build that is still running.
GRACE = timedelta(hours=24)


@dataclass(frozen=True)
class Collected:
    tenant: str
    kept: int
    removed: int
    bytes: int


def collect(store: ObjectStore, tenant: str, record: RecordAct, grace: timedelta = GRACE) -> Collected:
    """Remove the tenant's unreachable blobs older than `grace`, after `record` wrote so into the audit log.

    Raises NotFound, DigestMismatch before removing any.
    """
    blobs = f"{tenant}/blobs/"
    everything = list(store.list(CENTRAL_BUCKET, f"{tenant}/"))
    roots = [info for info in everything if not info.key.startswith(blobs)]
    reachable = _reachable(store, roots)
    oldest = datetime.now(UTC) - grace
    garbage = [
        info
        for info in everything
        if info.key.startswith(blobs) and info.key not in reachable and info.last_modified < oldest
    ]
    if garbage:
        record(_act(tenant, garbage))
    for info in garbage:
        store.delete(CENTRAL_BUCKET, info.key, every_version=True)
    return Collected(tenant, len(reachable), len(garbage), sum(info.size for info in garbage))


def _act(tenant: str, garbage: list[ObjectInfo]) -> Act:
    return Act(
        what="garbage collection",
        who="gc_report",
        why=f"no release, delivery or pointer leads to {len(garbage)} blobs",
        tenant=tenant,
        digests={"removed": sha256_document([info.key for info in garbage])},
    )


def clear_work(work: Path, grace: timedelta = GRACE) -> int:
    """Remove work folders that a killed run left; returns how many."""
    stale = [folder for folder in work.iterdir() if time.time() - folder.stat().st_mtime > grace.total_seconds()]
    for folder in stale:
        shutil.rmtree(folder, ignore_errors=True)
    return len(stale)


def _reachable(store: ObjectStore, roots: list[ObjectInfo]) -> set[str]:
    """Keys of all blobs that the tenant's pointers lead to, through records, by breadth."""
    waiting = [ref for info in roots for ref in _refs(json.loads(store.read(CENTRAL_BUCKET, info.key)))]
    seen: set[str] = set()
    while waiting:
        ref = waiting.pop()
        key = ref.bucket_and_key[1]
        if key in seen:
            continue
        seen.add(key)
        waiting.extend(_refs_inside(store, ref))
    return seen


def _refs_inside(store: ObjectStore, ref: Ref) -> Iterator[Ref]:
    """References held by the document behind `ref`; data files hold none and are told by not being JSON."""
    if store.stat(*ref.bucket_and_key) is None:
        return iter(())
    if ref.size > 4 << 20 or not (body := read_blob(store, ref)).startswith(b"{"):
        return iter(())
    return _refs(json.loads(body))


def _refs(document: Any) -> Iterator[Ref]:
    if isinstance(document, dict):
        if {"uri", "sha256", "size"} <= document.keys() and str(document["uri"]).startswith("s3://"):
            yield Ref(uri=document["uri"], sha256=document["sha256"], size=document["size"])
        for value in document.values():
            yield from _refs(value)
    elif isinstance(document, list):
        for value in document:
            yield from _refs(value)
