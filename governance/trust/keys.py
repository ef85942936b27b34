"""Looking after the trust repository: making it, keeping it fresh, and changing keys, each step one that a kill at any
moment leaves to be taken up by the same command."""

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import Signer
from tuf.api.metadata import DelegatedRole, Delegations, Metadata, Root, Targets
from tuf.api.serialization.json import JSONSerializer

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.durable import create_once
from governance.custody.keys import ROLE_KEYS, ROOT_KEYS, KeyRefused, TrustedKeys, create_key, trusted_keys
from governance.custody.store import AlreadyExists, ObjectStore
from governance.trust.client import refresh
from governance.trust.errors import TrustConflict, TrustRefused
from governance.trust.repository import Draft, commit, first, newest_root, publish, put_same, read, sign
from governance.trust.roles import (
    METADATA,
    PROMOTION,
    RETIRED,
    ROOT_THRESHOLD,
    TOP_LEVEL,
    expiry,
    is_tenant_role,
    keys_of,
    paths_of,
    role_of,
    tenant_role,
)
from governance.trust.signers import signer


@dataclass(frozen=True)
class RoleState:
    """What `pedigree keys status` says of a role."""

    role: str
    version: int
    expires: datetime
    threshold: int
    keys: tuple[str, ...]

    @property
    def expired(self) -> bool:
        return self.expires <= datetime.now(UTC)


def create_anchor(keys_dir: Path) -> None:
    """The first root, where there is none: what regions are given, before there is anything in the store."""
    anchor = trusted_keys(keys_dir).folder / "root.json"
    if not anchor.exists():
        create_once(anchor, sign(_first_root(keys_dir), "root", keys_dir, {}), 0o644)


def establish(store: ObjectStore, keys_dir: Path, tenants: Iterable[str]) -> None:
    """Make the repository where there is none, give every tenant that has none its role, renew what is due.

    The private keys and the anchor must be there. Raises KeyRefused, TrustRefused.
    """
    trusted = trusted_keys(keys_dir)
    anchor = trusted.folder / "root.json"
    if not anchor.exists():
        raise TrustRefused(f"{anchor} is missing; restore the keys, or begin anew with `pedigree keys init`")
    try:
        put_same(store, f"{METADATA}1.root.json", anchor.read_bytes())
    except TrustRefused:
        raise TrustRefused(
            f"the central bucket has a trust repository of another root than {anchor}; restore the keys"
        ) from None
    roles = [PROMOTION, *map(tenant_role, tenants)]
    if store.stat(CENTRAL_BUCKET, f"{METADATA}timestamp.json") is None:
        draft = first(store, newest_root(store, trusted))
        _add_roles(draft, keys_dir, roles)
        commit(draft, keys_dir, {})
    else:
        renew(store, keys_dir, roles)
    refresh(store, trusted)


def renew(store: ObjectStore, keys_dir: Path, roles: Iterable[str] = ()) -> None:
    """Sign anew what has lived half its time, and the timestamp always; roles that are missing are added.

    Raises TrustRefused, TrustConflict, KeyRefused.
    """

    def change(draft: Draft) -> None:
        delegations = draft.role("targets").delegations
        known = (delegations and delegations.roles) or {}
        _add_roles(draft, keys_dir, [role for role in roles if role not in known])
        for name in ["targets", *known]:
            if _due(name, draft.role(name).expires):
                draft.edit(name)

    root = newest_root(store, trusted_keys(keys_dir))
    if _due("root", root.signed.expires):
        _write_root(store, keys_dir, root, [])
    publish(store, keys_dir, change)


def rotate(store: ObjectStore, keys_dir: Path, name: str) -> None:
    """Replace the key `name` by a fresh one. A tenant's former key signs nothing new, but its releases still hold.

    Raises KeyRefused, TrustRefused, TrustConflict.
    """
    fresh = next_signer(keys_dir, name)
    if role_of(name) in TOP_LEVEL:
        _rotate_in_root(store, keys_dir, name, fresh)
    else:
        publish(store, keys_dir, lambda draft: exchange_key(draft, name, fresh, keep_former=True), {name: fresh})
        take_next(keys_dir, name)
    refresh(store, trusted_keys(keys_dir))


def next_signer(keys_dir: Path, name: str) -> Signer:
    """The key that will be `name`, made at the first call and kept as `<name>.next.pem`. Raises KeyRefused."""
    if name not in ROLE_KEYS and not is_tenant_role(name):
        raise KeyRefused(f"there is no key {name!r}; there are audit, {', '.join(ROLE_KEYS)} and <tenant>.release")
    if not (keys_dir / f"{name}.pem").exists() and name not in ROOT_KEYS:  # two of the root's three replace a lost one
        raise KeyRefused(f"{keys_dir / name}.pem is missing, so it is not rotated here; rotate it where it is kept")
    create_key(keys_dir, f"{name}.next")
    return signer(keys_dir, f"{name}.next")


def take_next(keys_dir: Path, name: str) -> None:
    """`<name>.next.pem` becomes the key; the former one is kept under its time."""
    present = keys_dir / f"{name}.pem"
    if present.exists():
        former = keys_dir / "former" / f"{name}.{datetime.now(UTC):%Y%m%dT%H%M%S}.pem"
        former.parent.mkdir(exist_ok=True, mode=0o700)
        create_once(former, present.read_bytes(), 0o600)
    (keys_dir / f"{name}.next.pem").rename(present)


def exchange_key(draft: Draft, name: str, fresh: Signer, keep_former: bool) -> None:
    """A delegated role is signed by `fresh` from now on."""
    draft.edit(name)  # read under the keys that hold so far
    targets: Targets = draft.edit("targets")
    delegations = targets.delegations
    assert delegations is not None and delegations.roles is not None
    role, key = delegations.roles[name], fresh.public_key
    if role.keyids == [key.keyid]:
        return  # a run before this one came so far
    former = [*role.unrecognized_fields.pop(RETIRED, []), *role.keyids]
    if keep_former and is_tenant_role(name):
        role.unrecognized_fields[RETIRED] = former
    else:
        for keyid in former:
            delegations.keys.pop(keyid, None)
    role.keyids = [key.keyid]
    delegations.keys[key.keyid] = key


def status(store: ObjectStore, trusted: TrustedKeys) -> list[RoleState]:
    """Every role as it holds now, also where it expired. Raises TrustRefused."""
    draft = read(store, trusted)
    root, targets = draft.root.signed, draft.role("targets")
    states = [
        _state(name, metadata.signed, root.roles[name])
        for name, metadata in (("root", draft.root), ("timestamp", draft.timestamp), ("snapshot", draft.snapshot))
    ]
    states.append(_state("targets", targets, root.roles["targets"]))
    for name, role in ((targets.delegations and targets.delegations.roles) or {}).items():
        states.append(_state(name, draft.role(name), role))
    return states


def _state(name: str, signed: Any, role: Any) -> RoleState:
    return RoleState(name, signed.version, signed.expires, role.threshold, tuple(keyid[:16] for keyid in role.keyids))


def _due(role: str, expires: datetime) -> bool:
    return expires - datetime.now(UTC) < expiry(role) / 2


def _add_roles(draft: Draft, keys_dir: Path, roles: list[str]) -> None:
    if not roles:
        return
    targets = draft.edit("targets")
    targets.delegations = targets.delegations or Delegations({}, {})
    for name in roles:
        key = signer(keys_dir, name).public_key
        assert targets.delegations.roles is not None
        targets.delegations.roles[name] = DelegatedRole(name, [key.keyid], 1, True, paths_of(name))
        targets.delegations.keys[key.keyid] = key
        draft.create(name)


def _first_root(keys_dir: Path) -> Metadata[Root]:
    root = Root(consistent_snapshot=True)
    for role in TOP_LEVEL:
        for name in keys_of(role):
            root.add_key(signer(keys_dir, name).public_key, role)
    root.roles["root"].threshold = ROOT_THRESHOLD
    return Metadata(root)


def _rotate_in_root(store: ObjectStore, keys_dir: Path, name: str, fresh: Signer) -> None:
    """First both keys hold, then everything is signed by the fresh one, then it alone holds."""
    role, root = role_of(name), newest_root(store, trusted_keys(keys_dir))
    if role == "root":
        kept = {each.public_key.keyid for each in _root_signers(keys_dir, besides=name)}
        _publish_root(store, keys_dir, root, role, kept | {fresh.public_key.keyid}, fresh)
        take_next(keys_dir, name)
        return
    if fresh.public_key.keyid not in root.signed.roles[role].keyids:
        root = _publish_root(store, keys_dir, root, role, set(root.signed.roles[role].keyids), fresh)
    take_next(keys_dir, name)
    publish(store, keys_dir, lambda draft: draft.edit("targets"))
    _publish_root(store, keys_dir, root, role, {fresh.public_key.keyid}, fresh)


def _root_signers(keys_dir: Path, besides: str = "") -> list[Signer]:
    """Those of the root's keys that are here. Raises KeyRefused when they are too few."""
    here = []
    for name in ROOT_KEYS:
        with contextlib.suppress(KeyRefused):
            here.append((name, signer(keys_dir, name)))
    if len(here) < ROOT_THRESHOLD:
        raise KeyRefused(f"{ROOT_THRESHOLD} of {', '.join(ROOT_KEYS)} must sign, {len(here)} are in {keys_dir}")
    return [each for name, each in here if name != besides]


def _publish_root(
    store: ObjectStore, keys_dir: Path, root: Metadata[Root], role: str, keep: set[str], fresh: Signer
) -> Metadata[Root]:
    """The next root, in which `fresh` and those of `keep` hold for the role. Raises TrustConflict, KeyRefused."""
    signed = root.signed
    signed.add_key(fresh.public_key, role)
    for keyid in set(signed.roles[role].keyids) - keep - {fresh.public_key.keyid}:
        signed.revoke_key(keyid, role)
    return _write_root(store, keys_dir, root, [fresh] if role == "root" else [])


def _write_root(store: ObjectStore, keys_dir: Path, root: Metadata[Root], more: list[Signer]) -> Metadata[Root]:
    root.signed.version += 1
    root.signed.expires = datetime.now(UTC).replace(microsecond=0) + expiry("root")
    root.signatures.clear()
    for each in [*_root_signers(keys_dir), *more]:
        root.sign(each, append=True)
    body = root.to_bytes(JSONSerializer(compact=True))
    try:
        store.put_once(CENTRAL_BUCKET, f"{METADATA}{root.signed.version}.root.json", body)
    except AlreadyExists:
        raise TrustConflict(
            f"root version {root.signed.version} was published by somebody else meanwhile; look, then try again"
        ) from None
    return root
