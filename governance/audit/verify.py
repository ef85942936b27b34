"""The whole log held against its checkpoint and against what every region saw: what was changed, and where."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from governance.audit.acts import subject_of
from governance.audit.checkpoint import AuditRefused, Checkpoint
from governance.audit.keys import former_log_keys, log_public
from governance.audit.log import PREFIX, Stored, checked, entry_key, read_head, read_many
from governance.audit.tree import Hash, grown, root
from governance.audit.witness import last_seen, published
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import KeyRefused, PublicKey, TrustedKeys
from governance.custody.store import ObjectStore


@dataclass
class Verdict:
    """`size`: entries under the checkpoint; `pending`: written, not yet under one. `seen`: region → entries it saw."""

    size: int = 0
    pending: int = 0
    seen: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def verify_log(store: ObjectStore, trusted: TrustedKeys, regions: Mapping[str, Path]) -> Verdict:
    """Read every entry and hold it against the checkpoint and the witnesses; `regions`: name → root.

    A log that is not whole is a verdict with faults, not an error.
    """
    verdict = Verdict()
    try:
        keys = [log_public(trusted), *former_log_keys(trusted)]
        signed = read_head(store, keys[0]).checkpoint
    except (AuditRefused, KeyRefused) as refused:
        verdict.faults.append(str(refused))
        return verdict
    verdict.size = signed.size
    seen = _seen(store, trusted, regions, verdict)
    held = {info.key for info in store.list(CENTRAL_BUCKET, f"{PREFIX}entries/")}
    while entry_key(signed.size + verdict.pending) in held:
        verdict.pending += 1
    strays = sorted(held - {entry_key(index) for index in range(signed.size + verdict.pending)})
    verdict.faults += [f"{key} lies beyond the end of the log; no appender put it there; remove it" for key in strays]
    entries: list[Stored] = []
    for reached, entry in enumerate(read_many(store, range(signed.size + verdict.pending))):
        if isinstance(entry, AuditRefused):
            verdict.faults.append(str(entry))
        elif len(entries) == reached:
            entries.append(entry)
    _hold_against(signed, seen, _Recomputed(entries), keys, verdict)
    return verdict


class _Recomputed:
    """What the entries give: the peaks and the root of every size."""

    def __init__(self, entries: list[Stored]) -> None:
        self.entries = entries
        self.peaks: list[tuple[Hash, ...]] = [()]
        for index, entry in enumerate(entries):
            self.peaks.append(grown(self.peaks[-1], index, entry.leaf))

    def gives(self, checkpoint: Checkpoint) -> bool:
        """Whether the checkpoint is of these entries; false as well where some of its entries could not be read."""
        return checkpoint.size < len(self.peaks) and root(self.peaks[checkpoint.size]) == checkpoint.root


def _seen(
    store: ObjectStore, trusted: TrustedKeys, regions: Mapping[str, Path], verdict: Verdict
) -> list[tuple[str, Checkpoint]]:
    """What each region countersigned, from its disk and from the bucket."""
    found = []
    for region, folder in regions.items():
        try:
            on_disk = last_seen(store, trusted, region, folder)
            in_bucket = published(store, trusted, region)
        except (AuditRefused, KeyRefused) as refused:
            verdict.faults.append(str(refused))
            continue
        both = [checkpoint for checkpoint in (on_disk, in_bucket) if checkpoint]
        found += [(region, checkpoint) for checkpoint in dict.fromkeys(both)]
        verdict.seen[region] = max((checkpoint.size for checkpoint in both), default=0)
    return found


def _hold_against(
    signed: Checkpoint, seen: list[tuple[str, Checkpoint]], found: _Recomputed, keys: list[PublicKey], verdict: Verdict
) -> None:
    holds = [checkpoint.size for _, checkpoint in seen if found.gives(checkpoint)]
    for region, checkpoint in seen:
        if checkpoint.size > signed.size:
            verdict.faults.append(
                f"{region} countersigned {checkpoint.size} entries, the checkpoint covers {signed.size}: entries "
                f"{signed.size} to {checkpoint.size - 1} were cut off, or an old checkpoint was put back"
            )
        elif checkpoint.size <= len(found.entries) and not found.gives(checkpoint):
            good = max((size for size in holds if size < checkpoint.size), default=0)
            verdict.faults.append(
                f"the {checkpoint.size} entries that {region} countersigned had another root: one of the entries "
                f"{good} to {checkpoint.size - 1} was rewritten after that{_and_signed_again(signed, found)}"
            )
    verdict.faults += _changed(signed, found, keys)


def _and_signed_again(signed: Checkpoint, found: _Recomputed) -> str:
    return ", and the log signed again over it: a fork" if found.gives(signed) else ""


def _changed(signed: Checkpoint, found: _Recomputed, keys: list[PublicKey]) -> list[str]:
    """The first entry that is not the one that was written there: each carries the signed root of the tree with it.

    Of the keys, the present one first, a former one says nothing of what no checkpoint covers yet.
    """
    whole = found.gives(signed)
    for index in range(signed.size if whole else 0, len(found.entries)):
        try:
            checked(index, found.peaks[index], found.entries[index], keys if index < signed.size else keys[:1])
        except AuditRefused as refused:
            return [f"{refused} (it says: {_says(found.entries[index])})"]
    if not whole and signed.size <= len(found.entries):
        return [f"the checkpoint of {signed.size} entries is not over these entries"]
    odd = [index for index, entry in enumerate(found.entries) if entry.peaks != found.peaks[index]]
    return [f"the peaks stored with entry {index} were changed; the entry itself is whole" for index in odd]


def _says(entry: Stored) -> str:
    """What the object says that it is, for a person to compare."""
    try:
        said = entry.said
    except AuditRefused:
        return "nothing that an entry says"
    return f"entry {said.get('index')}, {said.get('what')} of {subject_of(said)} by {said.get('who')}"
