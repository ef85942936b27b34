"""Releasing a detector: refused unless its gate passed, signed, stored as a link of the line, and pointed to."""

from pathlib import Path
from typing import Any

from assets.detection.build import Built
from assets.detection.judge import checks, report
from governance.custody.blobs import Ref, put_file
from governance.custody.canonical import canonical_json, sha256_document
from governance.custody.keys import create_keys, release_key
from governance.custody.provenance import TEST_RESULT, gate_result
from governance.custody.records import publish, read_record
from governance.custody.signature import sign_folder
from governance.custody.statements import sign_statement, statement
from governance.custody.store import ObjectStore
from governance.privacy.released import GATE, REPORT, STAGE, TENANT, point_to, released, tagger_digest
from governance.tenants import Release


class GateFailed(RuntimeError):
    """A detector is not good enough to be released; the message names the checks. The old one goes on scrubbing."""


def release_detector(store: ObjectStore, keys_dir: Path, folder: Path, built: Built, plan: dict[str, Any]) -> Ref:
    """Sign what `build` left in `folder`, store it and make it the detector that scrubs; its record.

    The same detector is released once: built again it ends in the record that stands. Raises GateFailed.
    """
    if failed := {name: figure for name, (passed, figure) in checks(built).items() if not passed}:
        said = "; ".join(f"{name} {figure}" for name, figure in failed.items())
        raise GateFailed(f"the detector was not released: {said}. The one before it goes on; add labelled examples")
    digest = tagger_digest(folder)
    standing = released(store)
    number = 1
    if standing is not None:
        before = read_record(store, standing)
        if before.facts["detector_digest"] == digest:
            return standing
        number = Release.parse(before.release).number + 1
    release = Release(tenant=TENANT, task="pii", number=number)
    (folder / REPORT).write_bytes(canonical_json(report(built, plan)))
    _sign(store, keys_dir, folder, release, digest, plan, sorted(checks(built)))
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    facts = {"detector_digest": digest, "checks": dict.fromkeys(sorted(checks(built)), True), **plan}
    ref = publish(store, release, STAGE, {}, files, facts)
    point_to(store, ref)
    return ref


def _sign(
    store: ObjectStore,
    keys_dir: Path,
    folder: Path,
    release: Release,
    digest: str,
    plan: dict[str, Any],
    passed: list[str],
) -> None:
    create_keys(keys_dir, [TENANT])  # the first detector of an installation makes its key
    key = release_key(keys_dir, TENANT)
    sign_folder(folder, key)
    gate = gate_result(put_file(store, TENANT, folder / REPORT), sha256_document(plan), passed)
    (folder / GATE).parent.mkdir()
    (folder / GATE).write_bytes(sign_statement(statement(str(release), digest, TEST_RESULT, gate), key))
