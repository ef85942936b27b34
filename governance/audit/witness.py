"""A region as witness: it remembers the last checkpoint that it saw, and countersigns only a log that grew from it.

So whoever holds the bucket and the log's own key can still not show a region another past: its memory is a file on
its own disk, its signature that of its own key. What it countersigned is published beside the log for others.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from governance.audit.checkpoint import AuditRefused, Checkpoint, countersigned, opened, witness_name
from governance.audit.keys import log_public, witness_folder, witness_key, witness_public
from governance.audit.log import published_key, read_head
from governance.audit.proofs import grew
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.durable import replace
from governance.custody.keys import KeyRefused, PublicKey, TrustedKeys
from governance.custody.store import NotFound, ObjectStore, StoreError


def witness(store: ObjectStore, trusted: TrustedKeys, region: str, region_root: Path) -> Checkpoint | None:
    """Hold the log against what this region saw last; keep and countersign it if it grew from that.

    None while the log has no entry. Raises AuditRefused when the log shrank or is another, KeyRefused.
    """
    key = witness_key(region_root, region)
    if key.public_key() != witness_public(trusted, region):
        raise KeyRefused(
            f"{region} has a witness key that nobody trusts; if its disk was lost, and with it what it saw, remove "
            f"{trusted.folder}/witness-{region}.pub and run `pedigree up`"
        )
    with _one_at_a_time(region_root):
        head = read_head(store, log_public(trusted))
        last = last_seen(store, trusted, region, region_root)
        if last:
            _refuse_unless_grown(store, last, head.checkpoint, region)
        if head.etag is None or head.checkpoint == last:
            return last
        note = countersigned(head.note, witness_name(region), key)
        replace(kept_file(region_root), note.encode())
        store.put(CENTRAL_BUCKET, published_key(region), note.encode())
    return head.checkpoint


def witness_faults(store: ObjectStore, trusted: TrustedKeys, region: str, region_root: Path) -> list[str]:
    """`witness`, with its refusal as a sentence; one of the log, not of the store, is kept for the replica to show."""
    kept = fault_file(region_root)
    try:
        witness(store, trusted, region, region_root)
    except (AuditRefused, KeyRefused, StoreError) as refused:
        sentence = f"{region} does not countersign the audit log: {refused}"
        if not isinstance(refused, StoreError):
            kept.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            replace(kept, sentence.encode())
        return [sentence]
    kept.unlink(missing_ok=True)
    return []


def last_seen(store: ObjectStore, trusted: TrustedKeys, region: str, region_root: Path) -> Checkpoint | None:
    """What the region countersigned last, from its own disk, else as it was published. Raises AuditRefused."""
    public, kept = witness_public(trusted, region), kept_file(region_root)
    try:
        return _opened(kept.read_bytes(), str(kept), region, public)
    except FileNotFoundError:
        return published(store, trusted, region)


def published(store: ObjectStore, trusted: TrustedKeys, region: str) -> Checkpoint | None:
    """What the region countersigned last, as the bucket shows it to others. Raises AuditRefused."""
    key = published_key(region)
    try:
        return _opened(store.read(CENTRAL_BUCKET, key), key, region, witness_public(trusted, region))
    except NotFound:
        return None


def kept_file(region_root: Path) -> Path:
    return witness_folder(region_root) / "checkpoint"


def fault_file(region_root: Path) -> Path:
    """There while the region refuses to countersign; it says why."""
    return witness_folder(region_root) / "fault"


@contextmanager
def _one_at_a_time(region_root: Path) -> Iterator[None]:
    """Of two that look at once, the slower must not put back an older checkpoint."""
    folder = witness_folder(region_root)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _opened(note: bytes, where: str, region: str, key: PublicKey) -> Checkpoint:
    try:
        return opened(note.decode(), witness_name(region), key)
    except ValueError as refused:
        raise AuditRefused(f"what {region} countersigned ({where}) cannot be trusted: {refused}") from refused


def _refuse_unless_grown(store: ObjectStore, last: Checkpoint, now: Checkpoint, region: str) -> None:
    if now.size < last.size:
        raise AuditRefused(
            f"{region} countersigned {last.size} entries and the checkpoint covers {now.size}: entries {now.size} to "
            f"{last.size - 1} were cut off, or an old checkpoint was put back; restore both from the bucket's history"
        )
    if not grew(store, last, now):
        raise AuditRefused(
            f"the log of {now.size} entries does not begin with the {last.size} that {region} countersigned: an entry "
            f"below {last.size} was rewritten after that; `pedigree audit verify` narrows it down"
        )
