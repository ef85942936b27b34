"""Signing: from an adapter whose gate report passed to a release bundle in the central bucket, written once."""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from governance.audit.acts import Act, RecordAct
from governance.custody.blobs import CENTRAL_BUCKET, Ref, read_blob
from governance.custody.bundle import assemble, sign_release
from governance.custody.canonical import canonical_json, sha256_document
from governance.custody.keys import release_key as private_release_key
from governance.custody.keys import trusted_keys
from governance.custody.manifest import MANIFEST, BaseDigest, Environment, ReleaseManifest, build_manifest
from governance.custody.provenance import Run, gate_result, provenance
from governance.custody.records import fetch_files, pointed, publish, read_passed, read_record, release_key
from governance.custody.sbom import sbom
from governance.custody.store import AlreadyExists, NotFound, ObjectStore
from governance.gate.report import GateReport, checks
from governance.gate.verdict import require_gate
from governance.tenants import Model, Release
from governance.trust.releases import publish_release

STAGE = "signed_artifact"


class AlreadySigned(RuntimeError):
    """A release is signed once; what it is cannot change afterwards."""


def sign(
    store: ObjectStore,
    keys_dir: Path,
    release: Release,
    model: Model,
    adapter: Ref,
    report: Ref,
    base: BaseDigest,
    environment: Environment,
    run: Run,
    work: Path,
    record: RecordAct,
) -> Ref:
    """Refuse unless this adapter's own report passed; else lay out, sign, attest and store the release.

    Taken up again after a kill, the same adapter and report end in the same release. Raises GateRefused, CheckFailed,
    AlreadySigned, TrustRefused. Before the release can be found, `record` writes its entry into the audit log.
    """
    judged = require_gate(store, report, release, adapter)
    if (standing := signed(store, release, adapter, report)) is not None:
        _vouch(store, keys_dir, release, standing)
        return standing
    lineage = _lineage(store, adapter)
    adapter_folder, folder = work / "adapter", work / "release"
    fetch_files(store, read_passed(store, adapter), adapter_folder)
    manifest = build_manifest(release, adapter_folder, base, lineage, environment)
    assemble(folder, adapter_folder, manifest)
    key, trusted = private_release_key(keys_dir, release.tenant), trusted_keys(keys_dir)
    predicates = _predicates(store, manifest, model, report, judged, run)
    digest = sign_release(folder, manifest, key, predicates, trusted)
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*") if path.is_file()}
    inputs = {"lora_adapter": adapter, "validation_report": report}
    ref = publish(store, release, STAGE, inputs, files, {"release_digest": digest})
    record(_act(release, digest, report, judged))
    try:
        store.put_once(CENTRAL_BUCKET, release_key(release, STAGE), canonical_json(ref.model_dump()))
    except AlreadyExists:
        raise _already(release) from None
    _vouch(store, keys_dir, release, ref)
    return ref


def signed(store: ObjectStore, release: Release, adapter: Ref, report: Ref) -> Ref | None:
    """The release's bundle if these were signed already. Raises AlreadySigned when it was something else."""
    try:
        ref = pointed(store, release, STAGE)
    except NotFound:
        return None
    if read_record(store, ref).inputs != {"lora_adapter": adapter, "validation_report": report}:
        raise _already(release)
    return ref


def _vouch(store: ObjectStore, keys_dir: Path, release: Release, bundle: Ref) -> None:
    """Make it a target of the trust repository, which is what regions believe."""
    files = read_record(store, bundle).files
    publish_release(store, keys_dir, release, read_blob(store, files[MANIFEST]), files)


def _act(release: Release, digest: str, report: Ref, judged: GateReport) -> Act:
    return Act(
        what="signing",
        who=STAGE,
        why=f"the gate passed: {', '.join(checks(judged))}",
        tenant=release.tenant,
        model=release.model,
        release=str(release),
        digests={"release": digest, "report": report.sha256},
    )


def _already(release: Release) -> AlreadySigned:
    return AlreadySigned(f"{release} is signed already and stays as it is; deliver again or retrain for a new release")


def _lineage(store: ObjectStore, adapter: Ref) -> dict[str, Ref]:
    """Stage → record, from the adapter back to the snapshot."""
    lineage = {"lora_adapter": adapter}
    for stage, upstream in (
        ("lora_adapter", "scrubbed_dataset"),
        ("scrubbed_dataset", "normalized_dataset"),
        ("normalized_dataset", "raw_dataset"),
    ):
        lineage[upstream] = read_passed(store, lineage[stage]).inputs[upstream]
    return lineage


def _predicates(
    store: ObjectStore, manifest: ReleaseManifest, model: Model, report: Ref, judged: GateReport, run: Run
) -> Mapping[str, dict]:
    config = sha256_document(model.model_dump(mode="json"))
    document = read_record(store, report).files["report.json"]
    deliveries = read_record(store, manifest.came_from["raw_dataset"]).facts["deliveries"]
    finished = run.model_copy(update={"finished": datetime.now(UTC)})
    return {
        "gate": gate_result(document, config, passed=[name for name, (passed, *_) in checks(judged).items() if passed]),
        "provenance": provenance(manifest, deliveries, config, finished),
        "sbom": sbom(),
    }
