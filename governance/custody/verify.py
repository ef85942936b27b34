"""Whether a folder is a release that may serve: the one question that signing, promotion and every mount ask.

Imports nothing heavy: it also runs inside Triton's Python environment. Each file is read once.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

from governance.custody.canonical import sha256_bytes, sha256_file
from governance.custody.keys import KeyRefused, PublicKey, TrustedKeys
from governance.custody.manifest import ADAPTER_FILES, MANIFEST, ManifestInvalid, ReleaseManifest, parse_manifest
from governance.custody.provenance import ATTESTATIONS, passed_report
from governance.custody.sbom import lock_digest, packages_of
from governance.custody.signature import SIGNATURE, SignatureRefused, signed_files, signer_of
from governance.custody.statements import Statement, StatementRefused, open_statement
from governance.tenants import Release

ATTESTATION_FILES = {name: f"attestations/{name}.json" for name in ATTESTATIONS}
SIGNED_FILES = (*ADAPTER_FILES, MANIFEST)
RELEASE_FILES = frozenset({*SIGNED_FILES, SIGNATURE, *ATTESTATION_FILES.values()})


class ReleaseRefused(ValueError):
    """A folder is not a release that may serve; the message says where and why."""


def verify_release(
    folder: Path,
    trusted: TrustedKeys,
    expect_model: str | None = None,
    expect_digest: str | None = None,
    expect_base: str | None = None,
    hashed: Mapping[str, str] | None = None,
) -> ReleaseManifest:
    """The manifest of the release in `folder`, if every byte of it is vouched for by its tenant's release key.

    `expect_model`: `tenant/task` under whose name it would serve. `expect_digest`: the release digest that a live
    pointer names. `expect_base`: digest of the resident base. `hashed`: sha256 by name of files that were computed as
    they came, so they are not read once more. Raises ReleaseRefused.
    """
    try:
        _only_release_files(folder)
        manifest, digest = _read_manifest(folder, expect_model)
        keys = trusted.release(Release.parse(manifest.release).tenant)
        key = _check_files(folder, manifest, digest, keys, hashed or {})
        _check_expectations(manifest, digest, expect_digest, expect_base)
        for name in ATTESTATIONS:
            attested(name, (folder / ATTESTATION_FILES[name]).read_bytes(), key, manifest, digest)
    except (KeyRefused, ManifestInvalid, SignatureRefused, StatementRefused, ReleaseRefused, OSError) as refused:
        raise ReleaseRefused(
            f"release in {folder} refused: {refused}; stage it again from the central bucket"
        ) from refused
    return manifest


def attested(name: str, envelope: bytes, key: PublicKey, manifest: ReleaseManifest, digest: str) -> Statement:
    """The attestation `name` (gate, provenance, sbom), if `key` signed it about this release.

    A gate must have passed, and an SBOM list what is locked in the manifest. Raises StatementRefused naming the file.
    """
    try:
        said = open_statement(envelope, key, ATTESTATIONS[name])
        about = [(subject.name, subject.digest.get("sha256")) for subject in said.subject]
        if about != [(manifest.release, digest)]:
            raise StatementRefused(
                f"is about {about[0][0] if about else 'nothing'}, not about {manifest.release} {digest[:16]}…"
            )
        if name == "gate":
            passed_report(said)
        if name == "sbom":
            _check_lock(said, manifest)
    except StatementRefused as refused:
        raise StatementRefused(f"{ATTESTATION_FILES[name]} {refused}") from refused
    return said


def check_signed(found: dict[str, str], signed: dict[str, str]) -> None:
    """Compare file digests with those the signature vouches for. Raises SignatureRefused naming every difference."""
    altered = sorted(name for name in found.keys() & signed.keys() if found[name] != signed[name])
    faults = [f"{name} was altered after it was signed" for name in altered]
    faults += [f"{name} is not signed" for name in sorted(found.keys() - signed.keys())]
    faults += [f"{name} is signed but missing" for name in sorted(signed.keys() - found.keys())]
    if faults:
        raise SignatureRefused("; ".join(faults))


def _check_lock(bill: Statement, manifest: ReleaseManifest) -> None:
    lock = manifest.environment.lock_sha256
    if (listed := lock_digest(packages_of(bill.predicate))) != lock:
        raise StatementRefused(
            f"lists other packages ({listed[:16]}…) than those that {manifest.release} was built with ({lock[:16]}…)"
        )


def _only_release_files(folder: Path) -> None:
    if folder.is_symlink() or not folder.is_dir():
        raise ReleaseRefused("it is not a folder")
    found = set()
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(parent, name)
            mode, inside = path.lstat().st_mode, path.relative_to(folder).as_posix()
            if stat.S_ISREG(mode):
                found.add(inside)
            elif not (stat.S_ISDIR(mode) and inside == "attestations"):
                raise ReleaseRefused(f"{inside!r} is {_kind(mode)}, which a release never holds")
    if extra := sorted(found - RELEASE_FILES):
        raise ReleaseRefused(f"{', '.join(map(repr, extra))} does not belong to a release; somebody added it")
    if missing := sorted(RELEASE_FILES - found):
        raise ReleaseRefused(f"{', '.join(missing)} is missing")


def _kind(mode: int) -> str:
    kinds = {stat.S_IFLNK: "a symlink", stat.S_IFDIR: "a folder"}
    return kinds.get(stat.S_IFMT(mode), "neither a file nor a folder")


def _read_manifest(folder: Path, expect_model: str | None) -> tuple[ReleaseManifest, str]:
    body = (folder / MANIFEST).read_bytes()
    try:
        manifest = parse_manifest(body)
    except ManifestInvalid as invalid:
        raise ReleaseRefused(f"{MANIFEST} is not a release manifest: {invalid}") from invalid
    if expect_model is not None and manifest.model != expect_model:
        raise ReleaseRefused(f"it is {manifest.release}, a release of {manifest.model}, not of {expect_model}")
    return manifest, sha256_bytes(body)


def _check_files(
    folder: Path, manifest: ReleaseManifest, digest: str, keys: Sequence[PublicKey], hashed: Mapping[str, str]
) -> PublicKey:
    """The one of the tenant's keys that signed the folder."""
    try:
        signature = (folder / SIGNATURE).read_bytes()
        key = signer_of(signature, keys)
        signed = signed_files(signature, key)
    except SignatureRefused as refused:
        raise SignatureRefused(f"{SIGNATURE} {refused}") from refused
    found = {name: hashed.get(name) or sha256_file(folder / name) for name in ADAPTER_FILES}
    check_signed(found | {MANIFEST: digest}, signed)
    if found != {file.name: file.sha256 for file in manifest.files}:
        raise ReleaseRefused(f"{MANIFEST} lists other files than those signed beside it")
    return key


def _check_expectations(
    manifest: ReleaseManifest, digest: str, expect_digest: str | None, expect_base: str | None
) -> None:
    if expect_digest is not None and digest != expect_digest:
        raise ReleaseRefused(
            f"its release digest is {digest[:16]}…, expected was {expect_digest[:16]}…: {manifest.release} is signed, "
            "but it is not the one asked for"
        )
    if expect_base is not None and manifest.base.sha256 != expect_base:
        raise ReleaseRefused(
            f"it was trained on base {manifest.base.name} {manifest.base.sha256[:16]}…, resident is {expect_base[:16]}…"
        )
