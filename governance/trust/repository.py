"""Changing the trust repository: read what holds, verified; change it; publish all of it by one compare-and-swap.

Every metadata file but timestamp.json is written once under its version. Whoever replaces timestamp.json first has
published; the other reads again and tries on what now holds. A kill before that leaves files that nothing names.
"""

import fcntl
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from securesystemslib.signer import Signer
from tuf.api.exceptions import RepositoryError, UnsignedMetadataError
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization import DeserializationError
from tuf.api.serialization.json import JSONSerializer

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import KeyRefused, TrustedKeys, trusted_keys
from governance.custody.store import AlreadyExists, Conflict, NotFound, ObjectStore
from governance.trust.client import refresh
from governance.trust.errors import TrustConflict, TrustRefused
from governance.trust.roles import METADATA, TOP_LEVEL, expiry, keys_of, target_key
from governance.trust.signers import signer

ATTEMPTS = 20
PAUSE_SECONDS = 0.05

Answer = TypeVar("Answer")
Signers = Mapping[str, Signer]


@dataclass
class Draft:
    """The repository as it holds, verified but for expiry, and on top of it what a change wants."""

    store: ObjectStore
    root: Metadata[Root]
    timestamp: Metadata[Timestamp]
    snapshot: Metadata[Snapshot]
    etag: str | None
    changed: set[str] = field(default_factory=set)
    bodies: dict[str, bytes] = field(default_factory=dict)
    _roles: dict[str, Metadata[Targets]] = field(default_factory=dict)

    def role(self, name: str) -> Targets:
        """What a role says now, to read. Raises TrustRefused."""
        return self.metadata(name).signed

    def edit(self, name: str) -> Targets:
        """The same, to change: it will be signed anew."""
        self.changed.add(name)
        return self.role(name)

    def create(self, name: str) -> None:
        """A role that says nothing yet."""
        self._roles[name] = Metadata(_unborn(Targets()))
        self.changed.add(name)

    def metadata(self, name: str) -> Metadata[Targets]:
        if name not in self._roles:
            meta = self.snapshot.signed.meta.get(f"{name}.json")
            if meta is None:
                raise TrustRefused(f"the trust repository has no role {name}; `pedigree keys init` adds new tenants")
            body = _read(self.store, f"{meta.version}.{name}.json")
            self._roles[name] = _verified(body, Targets, name, self.delegator(name), meta)
        return self._roles[name]

    def delegator(self, name: str) -> Root | Targets:
        """Who names the keys of a role."""
        return self.root.signed if name in TOP_LEVEL else self.role("targets")

    def put_target(self, role: str, path: str, body: bytes, custom: dict[str, Any] | None = None) -> None:
        target = TargetFile.from_data(path, body, ["sha256"])
        if custom:
            target.unrecognized_fields["custom"] = custom
        self.edit(role).targets[path] = target
        self.bodies[target_key(path, target.hashes["sha256"])] = body

    def read_target(self, role: str, path: str) -> bytes | None:
        """The target's bytes, verified; None where the role names none. Raises TrustRefused."""
        target = self.role(role).targets.get(path)
        if target is None:
            return None
        key = target_key(path, target.hashes["sha256"])
        if (body := self.bodies.get(key)) is None:
            body = _fetch(self.store, key)
            _check(lambda: target.verify_length_and_hashes(body), key)
        return body


def publish(
    store: ObjectStore, keys_dir: Path, change: Callable[[Draft], Answer], signers: Signers | None = None
) -> Answer:
    """Apply `change` to what holds and make the outcome hold; what it returned.

    `change` runs again on the newer state where somebody else published first; what it raises ends the attempt.
    signers: those to use instead of the present keys. Raises TrustRefused, TrustConflict, KeyRefused.
    """
    trusted = trusted_keys(keys_dir)
    for attempt in range(ATTEMPTS):
        with (trusted.folder / ".publishing").open("w") as lock:  # those of one machine take turns instead of racing
            fcntl.flock(lock, fcntl.LOCK_EX)
            draft = read(store, trusted)
            answer = change(draft)
            with suppress(Conflict):
                commit(draft, keys_dir, signers or {})
                # An audit entry belongs here: every promotion, rollback, revocation and key operation passes.
                refresh(store, trusted)  # as a region will; and what was published is remembered
                return answer
        time.sleep(random.uniform(0, PAUSE_SECONDS * (attempt + 1)))
    raise TrustConflict(f"others published {ATTEMPTS} times while this change was made; nothing of it holds; try again")


def read(store: ObjectStore, trusted: TrustedKeys) -> Draft:
    """What the repository says now: signatures, digests and versions verified, expiry not, for this is who renews it.

    Raises TrustRefused.
    """
    root = newest_root(store, trusted)
    try:
        body, etag = store.read_with_etag(CENTRAL_BUCKET, f"{METADATA}timestamp.json")
    except NotFound:
        raise TrustRefused("the trust repository has no timestamp.json; restore the object's last version") from None
    timestamp = _verified(body, Timestamp, "timestamp", root.signed)
    seen = trusted.folder / "metadata" / "timestamp.json"
    if seen.exists() and (before := Metadata[Timestamp].from_file(str(seen)).signed.version) > timestamp.signed.version:
        raise TrustRefused(
            f"timestamp.json is version {timestamp.signed.version}, seen was {before} already: somebody put an old "
            "one back; restore the object's newest version"
        )
    meta = timestamp.signed.snapshot_meta
    snapshot = _verified(_read(store, f"{meta.version}.snapshot.json"), Snapshot, "snapshot", root.signed, meta)
    return Draft(store, root, timestamp, snapshot, etag)


def newest_root(store: ObjectStore, trusted: TrustedKeys) -> Metadata[Root]:
    """From the first root that is trusted to the newest, each signed by the one before. Raises TrustRefused."""
    anchor = trusted.folder / "root.json"
    if not anchor.exists():
        raise TrustRefused(f"no trust repository is known: {anchor} is missing; run `pedigree keys init`")
    root: Metadata[Root] = Metadata[Root].from_bytes(anchor.read_bytes())
    while True:
        try:
            body = store.read(CENTRAL_BUCKET, f"{METADATA}{root.signed.version + 1}.root.json")
        except NotFound:
            return root
        newer = _verified(body, Root, "root", root.signed)
        _check(lambda now=newer: now.signed.verify_delegate("root", now.signed_bytes, now.signatures), "root.json")  # type: ignore[misc]
        if newer.signed.version != root.signed.version + 1:
            raise TrustRefused(f"{root.signed.version + 1}.root.json says that it is version {newer.signed.version}")
        root = newer


def commit(draft: Draft, keys_dir: Path, signers: Signers) -> None:
    """Write the targets, the changed roles, the snapshot, and last the timestamp. Raises Conflict, KeyRefused."""
    for key, body in draft.bodies.items():
        put_same(draft.store, key, body)
    for name in sorted(draft.changed):
        metadata = draft.metadata(name)
        body = _write_next(draft, metadata, name, keys_dir, signers)
        draft.snapshot.signed.meta[f"{name}.json"] = _meta(metadata.signed.version, body)
    body = _write_next(draft, draft.snapshot, "snapshot", keys_dir, signers)
    draft.timestamp.signed.snapshot_meta = _meta(draft.snapshot.signed.version, body)
    draft.timestamp.signed.version += 1
    body = _sign(draft, draft.timestamp, "timestamp", keys_dir, signers)
    draft.store.replace(CENTRAL_BUCKET, f"{METADATA}timestamp.json", body, draft.etag)


def sign(metadata: Metadata[Any], role: str, keys_dir: Path, signers: Signers) -> bytes:
    """Sign by every key of the role with a new expiry; the file's bytes. Raises KeyRefused."""
    metadata.signed.expires = datetime.now(UTC).replace(microsecond=0) + expiry(role)
    metadata.signatures.clear()
    for name in keys_of(role):
        metadata.sign(signers.get(name) or signer(keys_dir, name), append=True)
    return metadata.to_bytes(JSONSerializer(compact=True))


def put_same(store: ObjectStore, key: str, body: bytes) -> None:
    """Write once; that the same bytes are there already is well. Raises TrustRefused."""
    try:
        store.put_once(CENTRAL_BUCKET, key, body)
    except AlreadyExists:
        if _fetch(store, key) != body:
            raise TrustRefused(f"{key} holds other bytes than its name says; restore its first version") from None


def first(store: ObjectStore, root: Metadata[Root]) -> Draft:
    """A repository that says nothing yet."""
    snapshot, timestamp = _unborn(Snapshot()), _unborn(Timestamp())
    snapshot.meta.clear()
    draft = Draft(store, root, Metadata(timestamp), Metadata(snapshot), None)
    draft.create("targets")
    return draft


def _write_next(draft: Draft, metadata: Metadata[Any], role: str, keys_dir: Path, signers: Signers) -> bytes:
    """Write it under the next version that is free: one may be taken by whoever was killed, or wins the race."""
    while True:
        metadata.signed.version += 1
        body = _sign(draft, metadata, role, keys_dir, signers)
        try:
            draft.store.put_once(CENTRAL_BUCKET, f"{METADATA}{metadata.signed.version}.{role}.json", body)
        except AlreadyExists:
            continue
        return body


def _sign(draft: Draft, metadata: Metadata[Any], role: str, keys_dir: Path, signers: Signers) -> bytes:
    """As `sign`; never what no region would trust. Raises KeyRefused."""
    body = sign(metadata, role, keys_dir, signers)
    try:
        draft.delegator(role).verify_delegate(role, metadata.signed_bytes, metadata.signatures)
    except UnsignedMetadataError:
        raise KeyRefused(
            f"the key {role!r} that is here is not the one that the trust repository names; nothing was published; "
            f"finish `pedigree keys rotate {role}`, or bring the right key"
        ) from None
    return body


def _verified(body: bytes, kind: Any, role: str, delegator: Root | Targets, meta: MetaFile | None = None) -> Any:
    def verify() -> Metadata[Any]:
        if meta:
            meta.verify_length_and_hashes(body)
        metadata: Metadata[Any] = Metadata[kind].from_bytes(body)
        if metadata.signed.type != kind.type:
            raise RepositoryError(f"it is {metadata.signed.type} metadata")
        delegator.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        return metadata

    return _check(verify, f"{role}.json")


def _check(verify: Callable[[], Any], name: str) -> Any:
    try:
        return verify()
    except (RepositoryError, DeserializationError, ValueError) as refused:
        raise TrustRefused(f"{name} of the trust repository is refused: {refused}; restore its last version") from None


def _read(store: ObjectStore, name: str) -> bytes:
    return _fetch(store, f"{METADATA}{name}")


def _fetch(store: ObjectStore, key: str) -> bytes:
    try:
        return store.read(CENTRAL_BUCKET, key)
    except NotFound:
        raise TrustRefused(f"{key} is gone from the central bucket; restore the object's last version") from None


def _meta(version: int, body: bytes) -> MetaFile:
    return MetaFile(version, len(body), {"sha256": sha256(body).hexdigest()})


def _unborn(signed: Any) -> Any:
    signed.version = 0  # the first that is written is 1
    return signed
