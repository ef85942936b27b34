"""Making a release folder: the adapter's files, the manifest, the signature, the attestations, and nothing else."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from governance.custody.canonical import sha256_file
from governance.custody.keys import PrivateKey, TrustedKeys
from governance.custody.manifest import MANIFEST, ManifestInvalid, ReleaseManifest, release_digest
from governance.custody.provenance import ATTESTATIONS
from governance.custody.signature import sign_folder
from governance.custody.statements import sign_statement, statement
from governance.custody.verify import verify_release


def assemble(folder: Path, adapter: Path, manifest: ReleaseManifest) -> None:
    """Copy the adapter's files from `adapter` into the new `folder` and write release.json beside them.

    Raises FileExistsError when `folder` exists, ManifestInvalid when a file is not the manifest's.
    """
    folder.mkdir(parents=True)
    for file in manifest.files:
        copy = folder / file.name
        shutil.copyfile(adapter / file.name, copy)
        if sha256_file(copy) != file.sha256:
            raise ManifestInvalid(f"{adapter / file.name} changed after its manifest was made; build the release again")
    (folder / MANIFEST).write_bytes(manifest.canonical)


def sign_release(
    folder: Path,
    manifest: ReleaseManifest,
    key: PrivateKey,
    predicates: Mapping[str, dict[str, Any]],
    trusted: TrustedKeys,
) -> str:
    """Sign what `assemble` laid out and attest `predicates` (gate, provenance, sbom) about it; the release digest.

    What it leaves was verified as a region will. Raises ReleaseRefused, so a release that no region takes, one whose
    gate did not pass among them, is never handed on.
    """
    digest = release_digest(manifest)
    sign_folder(folder, key)
    (folder / "attestations").mkdir()
    for name, predicate_type in ATTESTATIONS.items():
        said = statement(manifest.release, digest, predicate_type, predicates[name])
        (folder / "attestations" / f"{name}.json").write_bytes(sign_statement(said, key))
    verify_release(folder, trusted, manifest.model, digest, manifest.base.sha256)
    return digest
