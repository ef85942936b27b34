"""Promotion: let one signed release answer for a model in one region, or leave the old one answering.

Rollback is promotion of an older release; there is no second path. Nothing is pushed: the live pointer is published,
and the region's replica follows it and says, signed, what came of it.
"""

import time
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from governance.audit.acts import RecordAct, publishing, returning
from governance.custody.keys import PublicKey, TrustedKeys, trusted_keys
from governance.custody.records import Record, pointed, read_record
from governance.custody.store import ObjectStore
from governance.gate.verdict import require_gate
from governance.tenants import Release
from governance.trust.client import refresh
from governance.trust.live import (
    LivePointer,
    history,
    live_models,
    live_pointer,
    read_live,
    withdraw_live,
    write_live,
)
from serving.replication.statement import RegionStatement, read_statement

PATIENCE = 180.0  # seconds until the region must have said what came of a pointer
LEADER_PATIENCE = 60.0  # seconds until the leader's own promotion must have begun
LOOK_SECONDS, LOOK_PART = 0.05, 0.05  # between two looks: so long, or this part of the time waited so far

Found = TypeVar("Found")


class PromotionFailed(RuntimeError):
    """The region did not come to answer with the release; it answers with what it had before."""


class LeaderAwaited(RuntimeError):
    """A rollout begins with another region, in which the release does not answer."""


@dataclass(frozen=True)
class RegionHome:
    """A region as this installation reaches it: name, folder, address of its Triton and of its replica.

    leader: the region in which a release must answer before it may here, None for the one that a rollout begins with.
    """

    name: str
    root: Path
    address: str
    replica: str
    leader: str | None = None


@dataclass(frozen=True)
class Promotion:
    """What now holds in the region, and the region's own word for it."""

    pointer: LivePointer
    said: RegionStatement


def promote(
    store: ObjectStore,
    keys_dir: Path,
    home: RegionHome,
    release: Release,
    reason: str,
    approver: str,
    log: Callable[[str], None],
    record: RecordAct,
) -> Promotion:
    """Verify the gate, publish the live pointer, and wait until the region says that the release answers.

    The region's old version answers until its switch. Before a pointer comes its entry in the audit log, by `record`.
    A newer release waits until it answers in the region's leader; an older one, a rollback, waits for nobody.
    Raises GateRefused, NotFound, TrustRefused, AuditRefused, LeaderAwaited, PromotionConflict before anything was
    published; PromotionFailed after the way back.
    """
    trusted = trusted_keys(keys_dir)
    digest = str(signed_bundle(store, release).facts["release_digest"])
    standing = read_live(store, release.tenant, release.task, home.name, trusted)
    if home.leader and (standing is None or release.number > Release.parse(standing.release).number):
        log(f"{home.name}: waits until {release} answers in {home.leader}")
        _wait_for_leader(store, trusted, home.leader, release, digest)
    number, before = (standing.number + 1, standing.release) if standing else (1, None)
    record(publishing(release, digest, home.name, number, before, approver, reason))
    pointer = write_live(store, keys_dir, release, digest, home.name, reason, approver, standing)
    log(f"{home.name}: pointer {pointer.number} names {release}, before it {standing.release if standing else 'none'}")
    try:
        said = follow(store, keys_dir, home, pointer)
    except PromotionFailed as failed:
        _put_back(store, keys_dir, home, pointer, standing, str(failed), record)
        raise
    log(f"{home.name}: {said.release} answers since {said.since:%Y-%m-%d %H:%M:%S} UTC")
    return Promotion(pointer, said)


def signed_bundle(store: ObjectStore, release: Release) -> Record:
    """The signed_artifact record of a release, with its gate verified from the report, not from any run.

    Raises NotFound when it was never signed, GateRefused when the report is not what was signed or did not pass.
    """
    bundle = read_record(store, pointed(store, release, "signed_artifact"))
    require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    return bundle


def follow(store: ObjectStore, keys_dir: Path, home: RegionHome, pointer: LivePointer) -> RegionStatement:
    """What the region said of the pointer, when it answers so. Raises PromotionFailed, StatementRefused, KeyRefused."""
    key = trusted_keys(keys_dir).region(home.name)
    _wake(home)
    said = _looking(lambda: _said(store, pointer, key), PATIENCE)
    if said is None:
        why = replica_fault(home) or f"its replica, at {home.replica or 'no address'}, names no fault"
        raise PromotionFailed(
            f"{home.name} did not say within {PATIENCE:.0f} s what came of pointer {pointer.number}, which names "
            f"{pointer.release}; {why}"
        )
    if said.refused is not None:
        raise PromotionFailed(
            f"{home.name} refuses {pointer.release}: {said.refused}; {said.release or 'nothing'} answers there"
        )
    return said


def replica_fault(home: RegionHome) -> str | None:
    """Why the region's replica follows nothing new just now, in its own words; None where it does or has no address."""
    if not home.replica:
        return None
    try:
        urllib.request.urlopen(f"{home.replica}/ready", timeout=5).close()
    except urllib.error.HTTPError as unready:
        return f"{home.name} follows nothing new: {unready.read().decode()}"
    except OSError as away:
        return f"the replica of {home.name} does not answer at {home.replica}: {away}; `pedigree up` starts it"
    return None


def _wait_for_leader(store: ObjectStore, trusted: TrustedKeys, leader: str, release: Release, digest: str) -> None:
    """Until `leader` says that it answers with the release. Raises LeaderAwaited, StatementRefused, KeyRefused."""
    key = trusted.region(leader)

    def promoted() -> LivePointer | None:
        pointer = read_live(store, release.tenant, release.task, leader, trusted)
        return pointer if pointer and pointer.digest == digest else None

    pointer = _looking(promoted, LEADER_PATIENCE)
    said = _looking(lambda: _said(store, pointer, key), PATIENCE) if pointer else None
    if said is None:
        raise LeaderAwaited(
            f"{release} does not answer in {leader}, which comes first (the order of `regions` in pedigree.yaml); "
            f"materialize promoted_model at {leader}|{release}, then here again"
        )
    if said.refused is not None:
        raise LeaderAwaited(f"{leader}, which comes first, refuses {release}: {said.refused}")


def _said(store: ObjectStore, pointer: LivePointer, key: PublicKey) -> RegionStatement | None:
    """The region's word on the pointer, None while it has said nothing of it."""
    said = read_statement(store, pointer.region, pointer.model, key)
    return said if said and said.pointer == pointer.sha256 else None


def _looking(look: Callable[[], Found | None], patience: float) -> Found | None:
    """What `look` finds within so many seconds."""
    began = time.monotonic()
    while (waited := time.monotonic() - began) < patience:
        if (found := look()) is not None:
            return found
        time.sleep(max(LOOK_SECONDS, LOOK_PART * waited))
    return None


def put_back_returned(store: ObjectStore, keys_dir: Path, home: RegionHome, record: RecordAct) -> list[str]:
    """Where the region returned by itself in a release's first minutes: let the pointer say so too, announced before.

    What it returned from, a sentence each. Raises StatementRefused, KeyRefused, TrustRefused, AuditRefused,
    PromotionConflict.
    """
    trusted = trusted_keys(keys_dir)
    view, told = refresh(store, trusted), list[str]()
    for model in live_models(view, home.name):
        pointer = live_pointer(view, model, home.name)
        said = read_statement(store, home.name, model, trusted.region(home.name))
        if pointer and said and said.refused and said.returned and said.pointer == pointer.sha256:
            before = next(each for each in reversed(history(store, pointer)) if each.digest == said.digest)
            _put_back(store, keys_dir, home, pointer, before, said.refused, record)
            told.append(f"{home.name} returned from {pointer.release} to {before.release}: {said.refused}")
    return told


def _put_back(
    store: ObjectStore,
    keys_dir: Path,
    home: RegionHome,
    pointer: LivePointer,
    standing: LivePointer | None,
    why: str,
    record: RecordAct,
) -> None:
    """After a refusal: what answered before is what holds again, by a new pointer that says why."""
    if standing is None:
        record(returning(Release.parse(pointer.release), home.name, why))
        withdraw_live(store, keys_dir, pointer)
    else:
        before = Release.parse(standing.release)
        record(returning(before, home.name, why, standing.digest, pointer.number + 1))
        write_live(store, keys_dir, before, standing.digest, home.name, why, "automatic return", pointer)
    _wake(home)


def _wake(home: RegionHome) -> None:
    with suppress(OSError, ValueError):  # it looks by itself, too
        urllib.request.urlopen(urllib.request.Request(f"{home.replica}/wake", method="POST"), timeout=2).close()
