"""Proofs that can be checked without us, made with a few reads, in the C2SP text forms.

Inclusion: c2sp.org/tlog-proof. Consistency: the body of a request to a c2sp.org/tlog-witness.
"""

import base64
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import cache

from governance.audit.checkpoint import ORIGIN, AuditRefused, Checkpoint, merged, opened, signers, witness_name
from governance.audit.keys import log_public, witness_public
from governance.audit.log import published_key, read_head, read_stored
from governance.audit.tree import (
    Hash,
    PeaksAndLeaf,
    consistency_ranges,
    consistent,
    included,
    inclusion_ranges,
    range_root,
)
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import KeyRefused, TrustedKeys
from governance.custody.store import ObjectStore


def prove(store: ObjectStore, trusted: TrustedKeys, index: int) -> tuple[bytes, str]:
    """The line of an entry, and the proof that it is in the log, under the checkpoint that most have signed.

    Raises AuditRefused when the entry is not under a checkpoint, or is not what was signed.
    """
    note = _most_signed(store, trusted, index)
    proof = inclusion(store, opened(note, ORIGIN, log_public(trusted)), index)
    return read_stored(store, index).line, f"c2sp.org/tlog-proof@v1\nindex {index}\n{_lines(proof)}\n{note}"


def prove_growth(store: ObjectStore, trusted: TrustedKeys, old: int) -> str:
    """The proof that the log as it is now begins with its first `old` entries. Raises AuditRefused."""
    head = read_head(store, log_public(trusted))
    if not 0 < old <= head.checkpoint.size:
        raise AuditRefused(f"the log has {head.checkpoint.size} entries, so it never grew from {old}")
    read = _reader(store)
    proof = [range_root(leaves, read) for leaves in consistency_ranges(old, head.checkpoint.size)]
    before = range_root((0, old), read)
    if not consistent(old, head.checkpoint.size, proof, before, head.checkpoint.root):
        raise AuditRefused(f"the log does not begin with its first {old} entries; {_look()}")
    return f"old {old}\n{_lines(proof)}\n{head.note}"


def inclusion(store: ObjectStore, checkpoint: Checkpoint, index: int) -> list[Hash]:
    """The hashes that lead from entry `index` to the checkpoint's root. Raises AuditRefused when they do not."""
    if not 0 <= index < checkpoint.size:
        raise AuditRefused(f"there is no entry {index}; the checkpoint covers {checkpoint.size}, counted from 0")
    read = _reader(store)
    proof = [range_root(leaves, read) for leaves in inclusion_ranges(index, checkpoint.size)]
    if not included(read(index)[-1], index, checkpoint.size, proof, checkpoint.root):
        raise AuditRefused(f"entry {index} does not lead to the root of {checkpoint.size} entries; {_look()}")
    return proof


def grew(store: ObjectStore, old: Checkpoint, new: Checkpoint) -> bool:
    """Whether the log of `new` begins with the log of `old`. Raises AuditRefused when an entry is gone."""
    read = _reader(store)
    proof = [range_root(leaves, read) for leaves in consistency_ranges(old.size, new.size)]
    return consistent(old.size, new.size, proof, old.root, new.root)


def _most_signed(store: ObjectStore, trusted: TrustedKeys, index: int) -> str:
    """Of the newest checkpoint and those that regions countersigned: one over the entry, with all its signatures."""
    notes = [read_head(store, log_public(trusted)).note, *_countersigned(store, trusted)]
    covering = [merged(note, notes) for note in notes if note and _size(note) > index]
    if not covering:
        raise AuditRefused(f"no checkpoint covers an entry {index}")
    return max(covering, key=lambda note: (len(signers(note)), _size(note)))


def _countersigned(store: ObjectStore, trusted: TrustedKeys) -> Iterator[str]:
    """What regions published. What is not signed by them is passed over, verify.py names it; and what a former key of
    the log signed, which a verifier may not have."""
    for info in store.list(CENTRAL_BUCKET, published_key("")):
        region = info.key.removeprefix(published_key(""))
        with suppress(ValueError, KeyRefused):
            note = store.read(CENTRAL_BUCKET, info.key).decode()
            opened(note, witness_name(region), witness_public(trusted, region))
            opened(note, ORIGIN, log_public(trusted))
            yield note


def _size(note: str) -> int:
    return int(note.split("\n")[1])


def _reader(store: ObjectStore) -> PeaksAndLeaf:
    @cache
    def read(index: int) -> Sequence[Hash]:
        stored = read_stored(store, index)
        return (*stored.peaks, stored.leaf)

    return read


def _lines(proof: Sequence[Hash]) -> str:
    return "".join(f"{base64.b64encode(each).decode()}\n" for each in proof)


def _look() -> str:
    return "`pedigree audit verify` names what was changed"
