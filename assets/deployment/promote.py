"""Promotion: make one signed release answer for a model in one region, or leave the old one answering.

Rollback is promotion of an older release; there is no second path.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from governance.custody.keys import trusted_keys
from governance.custody.records import Record, fetch_files, pointed, read_record
from governance.custody.store import ObjectStore
from governance.custody.verify import verify_release
from governance.gate.verdict import require_gate
from governance.tenants import Release
from governance.trust.live import LivePointer, read_live, write_live
from serving.triton import repository
from serving.triton.client import Reply, RequestFailed, ask

PROBE = "Is this the release that was promoted?"
PROBE_SECONDS = 60.0


class PromotionFailed(RuntimeError):
    """The region did not come to answer with the release; it answers with what it had before."""


@dataclass(frozen=True)
class RegionHome:
    """A region as this installation reaches it: its name, its Triton repository's root, its Triton's address."""

    name: str
    root: Path
    address: str


@dataclass(frozen=True)
class Promotion:
    """What now holds in the region, and what it answered to the probe."""

    pointer: LivePointer
    reply: Reply


def promote(
    store: ObjectStore,
    keys_dir: Path,
    home: RegionHome,
    release: Release,
    base_sha256: str,
    reason: str,
    approver: str,
    log: Callable[[str], None],
) -> Promotion:
    """Verify, stage, publish the live pointer, switch, probe; the region's old version answers until the switch.

    The pointer comes before the switch, so of two promoters the one that loses the pointer never switches. Raises
    ReleaseRefused, GateRefused, NotFound, TrustRefused, PromotionConflict before the region changed; PromotionFailed
    after the way back.
    """
    trusted = trusted_keys(keys_dir)
    bundle = signed_bundle(store, release)
    digest = str(bundle.facts["release_digest"])
    standing = read_live(store, release.tenant, release.task, home.name, trusted)
    log(f"{home.name}: staging and verifying {release} ({len(bundle.files)} files)")
    verify = partial(
        verify_release, trusted=trusted, expect_model=release.model, expect_digest=digest, expect_base=base_sha256
    )
    staged = repository.stage(home.root, release, lambda folder: fetch_files(store, bundle, folder), verify)
    repository.install(home.root, release, staged, verify)
    pointer = write_live(store, keys_dir, release, digest, home.name, reason, approver, standing)
    log(f"{home.name}: {release.model} from {standing.release if standing else 'nothing'} to {release}")
    repository.switch(home.root, release)
    try:
        reply = probe(home, release, digest)
    except PromotionFailed as failed:
        _put_back(store, keys_dir, home, release, pointer, standing, str(failed))
        raise
    repository.prune(home.root, release.served_name)
    return Promotion(pointer, reply)


def signed_bundle(store: ObjectStore, release: Release) -> Record:
    """The signed_artifact record of a release, with its gate verified from the report, not from any run.

    Raises NotFound when it was never signed, GateRefused when the report is not what was signed or did not pass.
    """
    bundle = read_record(store, pointed(store, release, "signed_artifact"))
    require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    return bundle


def _put_back(
    store: ObjectStore,
    keys_dir: Path,
    home: RegionHome,
    release: Release,
    pointer: LivePointer,
    standing: LivePointer | None,
    why: str,
) -> None:
    """After a failed probe: the version before answers again, by a new pointer that says why."""
    if standing is None:
        repository.withdraw(home.root, release.served_name)
        return
    before = Release.parse(standing.release)
    write_live(store, keys_dir, before, standing.digest, home.name, why, "automatic return", pointer)
    repository.switch(home.root, before)


def probe(home: RegionHome, release: Release, digest: str) -> Reply:
    """Ask the region until it answers with `digest`. Raises PromotionFailed with the last answer or error."""
    deadline, last = time.monotonic() + PROBE_SECONDS, "no answer"
    while time.monotonic() < deadline:
        try:
            reply = ask(home.address, release.served_name, [PROBE])
            if reply.release_digest == digest:
                return reply
            last = f"it answers with {reply.model_version}"
        except RequestFailed as error:
            last = str(error)
        time.sleep(0.1)
    raise PromotionFailed(
        f"{home.name} did not answer with {release} within {PROBE_SECONDS:.0f} s ({last}); "
        "the version before it was put back"
    )
