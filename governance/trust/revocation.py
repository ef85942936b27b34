"""Revocation: a release or a key that must not be believed any more. One publication, so nobody sees the half of it.

Where a revoked release answers, the same publication points back to the last one that still holds. Where none does,
the pointer stays and leads nowhere: the region takes the model out of service.
"""

from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from securesystemslib.signer import Signer

from governance.custody.keys import RELEASE, trusted_keys
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.client import refresh
from governance.trust.errors import TrustRefused
from governance.trust.keys import exchange_key, next_signer, take_next
from governance.trust.live import LivePointer, history, parse_pointer, point, vouched_digest
from governance.trust.repository import Draft, publish
from governance.trust.roles import PROMOTION, REVOKED, is_tenant_role, release_path, tenant_role


class RevocationUnclear(ValueError):
    """A revocation needs to be told more."""


def revoke(
    store: ObjectStore, keys_dir: Path, what: str, reason: str, approver: str, since: datetime | None = None
) -> list[str]:
    """Revoke a release (`tenant.task@number`), a tenant's key (`tenant.release`), or `promotion` since a moment.

    What answers instead, a sentence a region. Raises RevocationUnclear, ConfigurationError, and as the three below.
    """
    if what == PROMOTION:
        if since is None:
            raise RevocationUnclear("since when may the promotion key have been in other hands? give `since`")
        return revoke_promotion_key(store, keys_dir, since, reason, approver)
    if is_tenant_role(what):
        return revoke_tenant_key(store, keys_dir, what.removesuffix(RELEASE), reason, approver)
    return revoke_release(store, keys_dir, Release.parse(what), reason, approver)


def revoke_release(store: ObjectStore, keys_dir: Path, release: Release, reason: str, approver: str) -> list[str]:
    """The release holds nowhere any more, and never again; what answers instead, a sentence a region.

    Raises TrustRefused when the tenant does not vouch for it.
    """
    role, path = tenant_role(release.tenant), release_path(release)

    def change(draft: Draft) -> list[str]:
        if path not in draft.role(role).targets:
            raise TrustRefused(f"{release} is not vouched for, so there is nothing to revoke")
        _withdraw(draft, role, [path], reason)
        return list(_point_back(draft, f"{release} was revoked: {reason}", approver))

    return publish(store, keys_dir, change)


def revoke_tenant_key(store: ObjectStore, keys_dir: Path, tenant: str, reason: str, approver: str) -> list[str]:
    """A fresh key for the tenant; every release that the old one vouched for is revoked, for nobody can tell them from
    the thief's. As `revoke_release`."""
    role = tenant_role(tenant)

    def change(draft: Draft, fresh: Signer) -> list[str]:
        _withdraw(draft, role, list(draft.role(role).targets), reason)
        exchange_key(draft, role, fresh, keep_former=False)
        return list(_point_back(draft, f"the release key of {tenant} was revoked: {reason}", approver))

    return _with_fresh_key(store, keys_dir, role, change)


def revoke_promotion_key(store: ObjectStore, keys_dir: Path, since: datetime, reason: str, approver: str) -> list[str]:
    """A fresh promotion key; what was promoted since that time is taken back by new pointers. As `revoke_release`."""

    def change(draft: Draft, fresh: Signer) -> list[str]:
        exchange_key(draft, PROMOTION, fresh, keep_former=False)
        said = []
        for pointer in _pointers(draft):
            if pointer.at >= since:
                why = f"the promotion key was revoked: {reason}"
                said.append(_back(draft, pointer, lambda then: then.at < since, why, approver))
        return said

    return _with_fresh_key(store, keys_dir, PROMOTION, change)


def _with_fresh_key(
    store: ObjectStore, keys_dir: Path, name: str, change: Callable[[Draft, Signer], list[str]]
) -> list[str]:
    fresh = next_signer(keys_dir, name)
    said = publish(store, keys_dir, lambda draft: change(draft, fresh), {name: fresh})
    take_next(keys_dir, name)
    refresh(store, trusted_keys(keys_dir))
    return said


def _withdraw(draft: Draft, role: str, paths: list[str], reason: str) -> None:
    said = draft.edit(role)
    revoked = said.unrecognized_fields.setdefault(REVOKED, {})
    for path in paths:
        del said.targets[path]
        revoked[path] = reason


def _point_back(draft: Draft, reason: str, approver: str) -> Iterator[str]:
    for pointer in _pointers(draft):
        if vouched_digest(draft, Release.parse(pointer.release)) != pointer.digest:
            yield _back(draft, pointer, lambda _: True, reason, approver)


def _back(draft: Draft, pointer: LivePointer, held: Callable[[LivePointer], bool], reason: str, approver: str) -> str:
    where = f"{pointer.model} in {pointer.region}"
    for then in reversed(history(draft.store, pointer)[:-1]):
        release = Release.parse(then.release)
        if held(then) and vouched_digest(draft, release) == then.digest:
            point(draft, release, then.digest, pointer.region, reason, approver)
            return f"{where}: back to {release}"
    return f"{where}: no earlier release holds, so none answers"


def _pointers(draft: Draft) -> list[LivePointer]:
    found = []
    for path in sorted(draft.role(PROMOTION).targets):
        _, region, tenant, task = path.removesuffix(".json").split("/")
        body = draft.read_target(PROMOTION, path)
        found.append(parse_pointer(body or b"", f"{tenant}/{task}", region))
    return found
