"""Entries for people, as they are stored (verify.py proves them); the proved entry of a pointer or a removal."""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from governance.audit.acts import subject_of, without_identifiers
from governance.audit.checkpoint import AuditRefused
from governance.audit.keys import log_public
from governance.audit.log import read_head, read_many, read_stored
from governance.audit.proofs import inclusion
from governance.custody.keys import TrustedKeys
from governance.custody.store import ObjectStore
from governance.trust.live import LivePointer

AT_ONCE = 64
NEAR = 64  # entries around a time; appenders' clocks differ by less than so many acts


def newest(store: ObjectStore, size: int, limit: int, model: str | None = None) -> list[dict[str, Any]]:
    """Up to `limit` of the first `size` entries, newest first; of one model, or of all. Raises AuditRefused."""
    found: list[dict[str, Any]] = []
    for end in range(size, 0, -AT_ONCE):
        for stored in read_many(store, range(end - 1, max(end - AT_ONCE, 0) - 1, -1)):
            if isinstance(stored, AuditRefused):
                raise stored
            if model in (None, stored.said.get("model")):
                found.append(stored.said)
        if len(found) >= limit:
            break
    return found[:limit]


def row(said: dict[str, Any]) -> dict[str, Any]:
    """An entry as the columns of a table."""
    return {
        "index": said.get("index"),
        "when": str(said.get("at"))[:19],
        "what": said.get("what"),
        "of": subject_of(said),
        "who": said.get("who"),
        "why": said.get("why"),
        "run": said.get("run", ""),
    }


def announced(store: ObjectStore, trusted: TrustedKeys, pointer: LivePointer) -> int:
    """The index of the entry that announced the pointer, its inclusion proved. Raises AuditRefused."""
    index = _proved(store, trusted, pointer.at, lambda said: _announces(said, pointer))
    if index is None:
        raise AuditRefused(
            f"no entry of the audit log announces live pointer {pointer.number} of {pointer.model} in "
            f"{pointer.region}: somebody wrote it without Pedigree; find out who holds the promotion key"
        )
    return index


def removal_announced(store: ObjectStore, trusted: TrustedKeys, tenant: str, removed: str, at: datetime) -> int:
    """The index of the entry by which retention announced a list (its sha256) of removed blobs. Raises AuditRefused."""
    expected = ("retention", tenant, {"removed": removed})
    index = _proved(
        store, trusted, at, lambda said: expected == tuple(said.get(name) for name in ("what", "tenant", "digests"))
    )
    if index is None:
        raise AuditRefused(
            f"no entry of the audit log announces the removal of the list {removed} of {tenant}: what is gone did not "
            "expire, somebody removed it; restore it"
        )
    return index


def _proved(
    store: ObjectStore, trusted: TrustedKeys, at: datetime, is_it: Callable[[dict[str, Any]], bool]
) -> int | None:
    """The index of such an entry of about that time, its inclusion proved. Raises AuditRefused.

    Entries lie in the order of their time, but for clocks that differ: a search for the time, then a look around.
    """
    checkpoint = read_head(store, log_public(trusted)).checkpoint
    after = bisect_right(
        range(checkpoint.size),
        at,
        key=lambda index: datetime.fromisoformat(str(read_stored(store, index).said.get("at"))),
    )
    for index in _around(after, checkpoint.size):
        if is_it(read_stored(store, index).said):
            inclusion(store, checkpoint, index)
            return index
    return None


def _announces(said: dict[str, Any], pointer: LivePointer) -> bool:
    """An entry announces one pointer; that of a revocation, every pointer that goes back because of it."""
    if said.get("what") in ("release revocation", "key revocation"):
        return (said.get("who"), said.get("why")) == (pointer.approver, without_identifiers(pointer.reason))
    expected = (pointer.model, pointer.region, pointer.release, pointer.number, {"release": pointer.digest})
    return expected == tuple(said.get(name) for name in ("model", "region", "release", "pointer", "digests"))


def _around(after: int, size: int) -> Iterator[int]:
    for distance in range(NEAR):
        yield from (index for index in (after - 1 - distance, after + distance) if 0 <= index < size)
