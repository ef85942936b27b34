"""The log in the central bucket: one object an entry, written once, and a signed checkpoint over all of them.

    _audit/entries/<index>       the entry, one line of JSON; the peaks of the tree before it, one a line; an empty
                                 line, and the signed checkpoint of the tree with it
    _audit/checkpoint            the newest of these checkpoints, replaced by compare-and-swap
    _audit/witness/<region>      what each region countersigned last
    _audit/keys/<key id>         the index of the entry that says when the key was made

An entry is in the log when `checkpoint` covers it. Of two appenders at one index one writes it, the other moves on to
the next. An appender killed between entry and checkpoint leaves an entry that the next one takes along: its own
checkpoint shows that it was written with the log's key, and not by whoever can write into the bucket.
"""

import base64
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from governance.audit.acts import Act, entry
from governance.audit.checkpoint import ORIGIN, AuditRefused, Checkpoint, is_last, opened, signed
from governance.audit.keys import LOG, log_key, log_public
from governance.audit.tree import Hash, grown, leaf_hash, root
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import (
    KeyRefused,
    PrivateKey,
    PublicKey,
    key_id,
    private_key,
    read_public,
    trusted_keys,
    variable,
)
from governance.custody.store import AlreadyExists, Conflict, NotFound, ObjectStore

PREFIX = "_audit/"  # no tenant's name can begin like this
CHECKPOINT = f"{PREFIX}checkpoint"
READERS = 8

EMPTY = Checkpoint(0, root(()))


@dataclass(frozen=True)
class Head:
    """The checkpoint that holds now, the note it came in, and the etag to replace it by; no etag: no entry yet."""

    checkpoint: Checkpoint
    note: str
    etag: str | None


@dataclass(frozen=True)
class Stored:
    """One entry's object: the line that is the leaf, the peaks of the tree before it, the checkpoint with it."""

    line: bytes
    peaks: tuple[Hash, ...]
    note: str

    @property
    def leaf(self) -> Hash:
        return leaf_hash(self.line)

    @property
    def said(self) -> dict[str, Any]:
        """What the line says. Raises AuditRefused."""
        try:
            return dict(json.loads(self.line))
        except (ValueError, TypeError) as broken:
            raise AuditRefused(f"it is not an entry: {self.line[:60]!r}") from broken

    def body(self) -> bytes:
        return b"\n".join([self.line, *map(base64.b64encode, self.peaks), b"", self.note.encode()])


def append(store: ObjectStore, keys_dir: Path, act: Act, run: str | None = None, heir: PrivateKey | None = None) -> int:
    """Write the act into the log and return its index; when this returns, a signed checkpoint covers it.

    `run`: the Dagster run that acts. `heir`: the key that signs all that comes after, see rotation.py. Raises
    AuditRefused when the log is not what its checkpoint signed, KeyRefused.
    """
    key, public = log_key(keys_dir), log_public(trusted_keys(keys_dir))
    if key.public_key() != public:
        raise KeyRefused(f"the audit log's key in {keys_dir} is not the one that is trusted; put the old key back")
    at, salt = datetime.now(UTC), secrets.token_hex(16)
    head = read_head(store, public)
    _refuse_retired(head.note, head.checkpoint.size, public)
    written = _write(store, head.checkpoint, key, heir, lambda index: entry(act, index, at, run, salt))
    ours = opened(written.note, ORIGIN, public)
    while head.checkpoint.size < ours.size:
        try:
            store.replace(CENTRAL_BUCKET, CHECKPOINT, written.note.encode(), head.etag)
            break
        except Conflict:
            head = read_head(store, public)
    return ours.size - 1


def record_new_keys(store: ObjectStore, keys_dir: Path, who: str) -> None:
    """An entry for every key that has none yet; a receipt beside the log keeps it to one."""
    folders = (trusted_keys(keys_dir).folder, keys_dir)  # beside the private keys lie the public halves of a KMS's
    public = {path.stem: read_public(path) for folder in folders for path in folder.glob("*.pub")}
    files = [path.stem for path in keys_dir.glob("*.pem") if not os.environ.get(variable(path.stem))]
    for name in files:
        public.setdefault(name, private_key(keys_dir, name).public_key())
    for name, key in sorted(public.items()):
        receipt = f"{PREFIX}keys/{key_id(key)}"
        if store.stat(CENTRAL_BUCKET, receipt) is None:
            digests = {"key": key_id(key)}
            act = Act(what="key creation", who=who, why="there was no such key", key=name, digests=digests)
            store.put(CENTRAL_BUCKET, receipt, str(append(store, keys_dir, act)).encode())


def read_head(store: ObjectStore, key: PublicKey) -> Head:
    """The checkpoint that holds now, verified. Raises AuditRefused when it was edited, or removed."""
    try:
        body, etag = store.read_with_etag(CENTRAL_BUCKET, CHECKPOINT)
    except NotFound:
        if any(store.list(CENTRAL_BUCKET, f"{PREFIX}witness/")):
            raise AuditRefused(f"{CHECKPOINT} is gone, but regions have countersigned one; {_restore()}") from None
        return Head(EMPTY, "", None)
    try:
        note = body.decode()
        return Head(opened(note, ORIGIN, key), note, etag)
    except ValueError as refused:
        raise AuditRefused(f"{CHECKPOINT} cannot be trusted: {refused}; {_restore()}") from refused


def read_stored(store: ObjectStore, index: int) -> Stored:
    """The object of one entry, as it is: nothing vouches for it yet. Raises AuditRefused."""
    try:
        hashes, _, note = store.read(CENTRAL_BUCKET, entry_key(index)).partition(b"\n\n")
        line, *peaks = hashes.split(b"\n")
        return Stored(line, tuple(base64.b64decode(peak, validate=True) for peak in peaks), note.decode())
    except NotFound as gone:
        raise AuditRefused(f"entry {index} is gone; {_restore()}") from gone
    except ValueError as broken:
        raise AuditRefused(f"entry {index} is not in the form of an entry; {_restore()}") from broken


def read_many(store: ObjectStore, indices: Iterable[int]) -> Iterator[Stored | AuditRefused]:
    """The objects of many entries in the order given; an error in the place of one that cannot be read."""

    def read(index: int) -> Stored | AuditRefused:
        try:
            return read_stored(store, index)
        except AuditRefused as refused:
            return refused

    with ThreadPoolExecutor(READERS) as readers:
        yield from readers.map(read, indices)


def peaks_at(store: ObjectStore, checkpoint: Checkpoint) -> tuple[Hash, ...]:
    """The peaks of the tree that the checkpoint signed, from the last entry. Raises AuditRefused if they are others."""
    if not checkpoint.size:
        return ()
    last = checkpoint.size - 1
    stored = read_stored(store, last)
    peaks = grown(stored.peaks, last, stored.leaf)
    if root(peaks) != checkpoint.root:
        raise AuditRefused(
            f"entry {last} does not give the root that the checkpoint of {checkpoint.size} entries signed; "
            "`pedigree audit verify` names what was changed"
        )
    return peaks


def entry_key(index: int) -> str:
    return f"{PREFIX}entries/{index:010}"


def published_key(region: str) -> str:
    """Where a region publishes what it countersigned last."""
    return f"{PREFIX}witness/{region}"


def checked(index: int, peaks: Sequence[Hash], stored: Stored, keys: Iterable[PublicKey]) -> tuple[Hash, ...]:
    """The peaks with this entry, if one of the keys signed the tree that it makes. Raises AuditRefused."""
    after = grown(peaks, index, stored.leaf)
    for key in keys:
        with suppress(AuditRefused):
            if opened(stored.note, ORIGIN, key) == Checkpoint(index + 1, root(after)):
                return after
    raise AuditRefused(
        f"entry {index} is not what was signed there: edited, moved, or put there without the log's key; {_restore()}, "
        "or if it has none, remove it"
    )


def _write(
    store: ObjectStore,
    signed_last: Checkpoint,
    key: PrivateKey,
    heir: PrivateKey | None,
    line: Callable[[int], bytes],
) -> Stored:
    """Put the line at the first free index behind what was signed last; what lies there already is checked.

    An entry that hands the log to the heir already is taken for ours.
    """
    size, peaks = signed_last.size, peaks_at(store, signed_last)
    while True:
        body = line(size)
        with_it = Checkpoint(size + 1, root(grown(peaks, size, leaf_hash(body))))
        there = ours = Stored(body, peaks, signed(with_it, key, heir))
        try:
            store.put_once(CENTRAL_BUCKET, entry_key(size), ours.body())
        except AlreadyExists:
            there = read_stored(store, size)  # another's; or ours, if the answer to the first attempt was lost
        if there.line == ours.line:
            return there
        peaks = checked(size, peaks, there, [key.public_key()])
        size += 1
        if heir and is_last(there.note, heir.public_key()):
            return there
        _refuse_retired(there.note, size, key.public_key())


def _refuse_retired(note: str, size: int, key: PublicKey) -> None:
    if note and not is_last(note, key):
        raise KeyRefused(
            f"entry {size - 1} of the audit log hands it to another key; `pedigree keys rotate {LOG}` again ends that"
        )


def _restore() -> str:
    return "restore the object from the bucket's history"
