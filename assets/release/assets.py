"""signed_artifact: what may be promoted. Refuses unless this adapter's own gate report passed.

trust_report: the roles that say what holds, signed anew before they expire. key_change: a key or release that changes.
"""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from assets.line import REFERENCE, materialized, releases, table
from assets.release.sign import AlreadySigned, sign
from governance.audit.acts import revoking
from governance.audit.log import append
from governance.audit.rotation import rotate_key
from governance.custody.blobs import Ref
from governance.custody.canonical import sha256_document
from governance.custody.keys import trusted_keys
from governance.custody.manifest import BaseDigest, Environment
from governance.custody.provenance import Run
from governance.custody.records import read_passed, read_record
from governance.custody.store import ObjectStore
from governance.tenants import Company, Release
from governance.trust.keys import renew, status
from governance.trust.revocation import RevocationUnclear, revoke
from governance.trust.roles import tenant_role
from serving.engine import base_digest, base_folder


@dg.asset(
    partitions_def=releases, group_name="line", kinds={"mlflow"}, io_manager_key="references", dagster_type=REFERENCE
)
def signed_artifact(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    catalogue: dg.ResourceParam[str],
    work: dg.ResourceParam[Path],
    environment: dg.ResourceParam[Environment],
    lora_adapter: Ref,
    validation_report: Ref,
) -> dg.MaterializeResult:
    """Manifest, signature, provenance, SBOM and the gate's statement, stored once, registered in MLflow."""
    from assets.training.tracking import register, run_of

    release = Release.parse(context.partition_key)
    if context.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=context.asset_key, asset_partitions=[context.partition_key]), limit=1
    ).records:
        raise AlreadySigned(f"{release} is signed already and stays as it is; retrain or deliver for a new release")
    model = company.model(release.tenant, release.task)
    files = read_passed(store, lora_adapter).files
    mlflow_run = run_of(catalogue, release, sha256_document({name: file.sha256 for name, file in files.items()}))
    started = context.instance.get_run_stats(context.run_id).start_time
    now = datetime.now(UTC)
    run = Run(
        builder="urn:pedigree:dagster",
        dagster_run_id=context.run_id,
        mlflow_run_id=mlflow_run,
        started=datetime.fromtimestamp(started, UTC) if started else now,
        finished=now,
    )
    base = BaseDigest(name=model.base, sha256=base_digest(base_folder(company.bases[model.base])))
    with TemporaryDirectory(dir=work) as folder:
        ref = sign(
            store,
            keys_dir,
            release,
            model,
            lora_adapter,
            validation_report,
            base,
            environment,
            run,
            Path(folder),
            partial(append, store, keys_dir, run=context.run_id),
        )
    bundle = read_record(store, ref)
    digest = str(bundle.facts["release_digest"])
    version = register(catalogue, release, mlflow_run, digest) if mlflow_run else "the training run is gone"
    return materialized(
        ref,
        {
            "release_digest": digest,
            "mlflow_version": version,
            "files": table(
                {"file": name, "bytes": file.size, "sha256": file.sha256} for name, file in bundle.files.items()
            ),
        },
    )


@dg.asset(
    group_name="lifecycle",
    kinds={"tuf"},
    check_specs=[dg.AssetCheckSpec("nothing_expires", asset="trust_report", description="every role holds")],
)
def trust_report(
    store: dg.ResourceParam[ObjectStore], company: dg.ResourceParam[Company], keys_dir: dg.ResourceParam[Path]
) -> dg.MaterializeResult:
    """What has lived half its time is signed anew; the timestamp always, or regions would take it for frozen."""
    renew(store, keys_dir, map(tenant_role, company.tenants))
    roles = status(store, trusted_keys(keys_dir))
    due = [role.role for role in roles if role.expired]
    return dg.MaterializeResult(
        metadata={"roles": table({**vars(role), "keys": ", ".join(role.keys)} for role in roles)},
        check_results=[
            dg.AssetCheckResult(
                check_name="nothing_expires", passed=not due, description=", ".join(due) or "every role holds"
            )
        ],
    )


class KeyChange(dg.Config):
    """One of `rotate` (a key's name) and `revoke` (a release, `<tenant>.release`, or `promotion` with `since`, ISO)."""

    rotate: str = ""
    revoke: str = ""
    since: str = ""
    reason: str
    approver: str


@dg.asset(group_name="lifecycle", kinds={"tuf"})
def key_change(
    context: dg.AssetExecutionContext,
    config: KeyChange,
    store: dg.ResourceParam[ObjectStore],
    keys_dir: dg.ResourceParam[Path],
) -> dg.MaterializeResult:
    """Rotate a key, or take back what must not be believed any more: `pedigree keys`, with a record in Dagster."""
    if bool(config.rotate) == bool(config.revoke):
        raise RevocationUnclear("give one of `rotate` and `revoke`")
    if config.rotate:
        rotate_key(store, keys_dir, config.rotate, config.approver, config.reason, context.run_id)
        said = [f"{config.rotate} is a fresh key"]
    else:
        since = datetime.fromisoformat(config.since).astimezone(UTC) if config.since else None
        append(store, keys_dir, revoking(config.revoke, config.reason, config.approver), context.run_id)
        said = revoke(store, keys_dir, config.revoke, config.reason, config.approver, since)
    for sentence in said:
        context.log.info(sentence)
    asked = {"rotate": config.rotate, "revoke": config.revoke, "reason": config.reason, "approver": config.approver}
    return dg.MaterializeResult(metadata={**asked, "done": "; ".join(said) or "it answered nowhere"})
