"""Promotion: make one signed release answer for a model in one region, or leave the old one answering.

Rollback is promotion of an older release; there is no second path.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from governance.custody.keys import trusted_keys
from governance.custody.live import LivePointer, read_live, write_live
from governance.custody.manifest import ReleaseManifest
from governance.custody.records import Record, fetch_files, pointed, read_record
from governance.custody.store import ObjectStore
from governance.custody.verify import verify_release
from governance.gate.verdict import require_gate
from governance.tenants import Release
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
    pointer: LivePointer
    reply: Reply
    previous: int | None


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
    """Verify, stage, switch, probe, and publish the live pointer; the region's old version answers until the switch.

    Raises ReleaseRefused, GateRefused, NotFound before anything changed; PromotionFailed after the way back.
    """
    bundle = signed_bundle(store, release)
    manifest = _stage(store, keys_dir, home, release, bundle, base_sha256, log)
    digest = str(bundle.facts["release_digest"])
    previous = repository.live(home.root, release.served_name)
    standing = read_live(store, release.tenant, release.task, home.name, trusted_keys(keys_dir))
    log(f"{home.name}: switching {release.model} from {previous or 'nothing'} to {release.number}")
    repository.switch(home.root, release)
    try:
        reply = probe(home, release, digest)
    except PromotionFailed:
        if previous is not None:
            repository.switch(home.root, release.model_copy(update={"number": previous}))
        else:
            repository.withdraw(home.root, release.served_name)
        raise
    pointer = write_live(
        store,
        keys,
        release=release,
        region=home.name,
        digest=digest,
        standing=standing,
        reason=reason,
        approver=approver,
        at=datetime.now(UTC),
    )
    repository.prune(home.root, release.served_name)
    log(f"{home.name}: {manifest.release} answers as {digest[:16]}…")
    return Promotion(pointer, reply, previous)


def signed_bundle(store: ObjectStore, release: Release) -> Record:
    """The signed_artifact record of a release, with its gate verified from the report, not from any run.

    Raises NotFound when it was never signed, GateRefused when the report is not what was signed or did not pass.
    """
    bundle = read_record(store, pointed(store, release, "signed_artifact"))
    require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    return bundle


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


def _stage(
    store: ObjectStore,
    keys_dir: Path,
    home: RegionHome,
    release: Release,
    bundle: Record,
    base_sha256: str,
    log: Callable[[str], None],
) -> ReleaseManifest:
    trusted = trusted_keys(keys_dir)

    def verify(folder: Path) -> ReleaseManifest:
        return verify_release(
            folder,
            trusted,
            expect_model=release.model,
            expect_digest=str(bundle.facts["release_digest"]),
            expect_base=base_sha256,
        )

    log(f"{home.name}: staging {release} ({len(bundle.files)} files)")
    folder = repository.stage(home.root, release, lambda into: fetch_files(store, bundle, into))
    return repository.install(home.root, release, folder, verify)
