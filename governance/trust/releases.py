"""Releases that hold: the release manifest as a target, signed by its tenant, with the digest of every other file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from governance.custody.blobs import Ref, blob_ref
from governance.custody.canonical import sha256_bytes
from governance.custody.manifest import MANIFEST
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.client import View
from governance.trust.errors import NotVouched, TrustRefused
from governance.trust.repository import Draft, publish
from governance.trust.roles import REVOKED, release_path, tenant_role


@dataclass(frozen=True)
class Vouched:
    """A release that holds: its release digest, and every file of its folder."""

    release: Release
    digest: str
    files: dict[str, Ref]


def publish_release(
    store: ObjectStore, keys_dir: Path, release: Release, manifest: bytes, files: Mapping[str, Ref]
) -> None:
    """Let the tenant's role vouch for the release; once is enough. `files`: all of its folder, by name.

    Raises TrustRefused when another digest bears this name already, or the release was revoked.
    """
    role, path = tenant_role(release.tenant), release_path(release)
    custom = {
        "files": {
            name: {"sha256": ref.sha256, "size": ref.size} for name, ref in sorted(files.items()) if name != MANIFEST
        }
    }

    def change(draft: Draft) -> None:
        if why := draft.role(role).unrecognized_fields.get(REVOKED, {}).get(path):
            raise TrustRefused(f"{release} was revoked ({why}); build a new release")
        standing = draft.role(role).targets.get(path)
        if standing is None:
            draft.put_target(role, path, manifest, custom)
        elif standing.hashes["sha256"] != sha256_bytes(manifest):
            raise TrustRefused(
                f"{release} is vouched for with release digest {standing.hashes['sha256'][:16]}… already"
            )

    publish(store, keys_dir, change)


def read_release(view: View, release: Release) -> Vouched:
    """The release as its tenant vouches for it now. Raises NotVouched where it does not, TrustRefused where unknown."""
    target = view.target(release_path(release))
    if target is None:
        raise NotVouched(
            f"{release} is not vouched for by {release.tenant}: it was never signed, or was revoked; "
            "sign it, or promote another release"
        )
    digest = target.hashes["sha256"]
    files = {name: (said["sha256"], said["size"]) for name, said in (target.custom or {}).get("files", {}).items()}
    files[MANIFEST] = (digest, target.length)
    return Vouched(release, digest, {name: blob_ref(release.tenant, *file) for name, file in files.items()})


def vouched_releases(view: View, tenant: str) -> list[Vouched]:
    """Every release of the tenant that holds, by model and number. Raises TrustRefused."""
    found = [path.removesuffix(".json").split("/") for path in view.release_paths(tenant)]
    named = [Release(tenant=tenant, task=task, number=int(number)) for _, task, number in found]
    ordered = sorted(named, key=lambda release: (release.task, release.number))
    return [read_release(view, release) for release in ordered]
