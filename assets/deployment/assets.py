"""promoted_model (release × region) and live_model (region): what should answer, and what really does."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import dagster as dg

from assets.deployment.observe import observe, observe_model
from assets.deployment.promote import RegionHome, promote, put_back_returned, replica_fault
from assets.line import releases, table
from governance.audit.acts import refusal_recorded
from governance.audit.log import append
from governance.audit.witness import witness_faults
from governance.custody.keys import trusted_keys
from governance.custody.store import ObjectStore
from governance.tenants import Company, Release
from serving.engine.base import base_digest, base_folder


class Approval(dg.Config):
    """Who wants it and why; Dagster has no users, so the record carries them."""

    reason: str
    approver: str


def build_deployment(regions: Sequence[str]) -> list[dg.AssetsDefinition]:
    """The two assets that are partitioned by region; the regions are configuration."""
    by_region = dg.StaticPartitionsDefinition(list(regions))

    @dg.asset(
        partitions_def=dg.MultiPartitionsDefinition({"release": releases, "region": by_region}),
        deps=["signed_artifact"],  # not loaded: a release that was never signed is a refusal like any other
        group_name="line",
        kinds={"triton"},
        check_specs=[
            dg.AssetCheckSpec("serves_digest", asset="promoted_model", description="the region's Triton says so")
        ],
    )
    def promoted_model(
        context: dg.AssetExecutionContext,
        config: Approval,
        store: dg.ResourceParam[ObjectStore],
        company: dg.ResourceParam[Company],
        keys_dir: dg.ResourceParam[Path],
        regions: dg.ResourceParam[dict[str, RegionHome]],
    ) -> dg.MaterializeResult:
        """Publish the live pointer; the region follows it. Rollback: materialize this at `region|older-release`."""
        partition = context.partition_key.keys_by_dimension
        release, region = Release.parse(partition["release"]), partition["region"]
        base = base_digest(base_folder(company.bases[company.model(release.tenant, release.task).base]))
        home, record = regions[region], partial(append, store, keys_dir, run=context.run_id)
        with refusal_recorded(record, release, region, config.approver):
            done = promote(store, keys_dir, home, release, config.reason, config.approver, context.log.info, record)
        seen = observe_model(home, keys_dir, done.pointer, base)  # asked again: the check is its own witness
        return dg.MaterializeResult(
            data_version=dg.DataVersion(done.pointer.digest),
            metadata={
                "release_digest": done.pointer.digest,
                "pointer": done.pointer.number,
                "previous": done.pointer.previous or "none",
                "reason": config.reason,
                "approver": config.approver,
            },
            check_results=[
                dg.AssetCheckResult(
                    check_name="serves_digest",
                    passed=seen.fault is None,
                    description=seen.fault or "as promoted",
                    metadata={"answers": seen.answers, "digest": seen.digest},
                )
            ],
        )

    @dg.asset(
        partitions_def=by_region,
        deps=[dg.AssetDep(promoted_model)],
        group_name="line",
        kinds={"triton"},
        check_specs=[
            dg.AssetCheckSpec(
                "serves_promoted", asset="live_model", description="answers and files are what was promoted"
            )
        ],
    )
    def live_model(
        context: dg.AssetExecutionContext,
        store: dg.ResourceParam[ObjectStore],
        company: dg.ResourceParam[Company],
        keys_dir: dg.ResourceParam[Path],
        regions: dg.ResourceParam[dict[str, RegionHome]],
    ) -> dg.MaterializeResult:
        """What this region's Triton answers with, per model, against the signed pointers and the files on its disk.

        Where the region returned from a release by itself, its pointer is put back and the audit log told.
        """
        home = regions[context.partition_key]
        try:
            faults = put_back_returned(store, keys_dir, home, partial(append, store, keys_dir, run=context.run_id))
        except Exception as refused:  # told beside what is observed all the same
            faults = [f"the pointers of {home.name} are not put back: {refused}"]
        seen = observe(store, company, keys_dir, home)
        faults += [fault for fault in (replica_fault(home), *(model.fault for model in seen)) if fault]
        faults += witness_faults(store, trusted_keys(keys_dir), home.name, home.root)
        for fault in faults:
            context.log.error(fault)
        return dg.MaterializeResult(
            metadata={"models": table(model.row() for model in seen)},
            check_results=[
                dg.AssetCheckResult(
                    check_name="serves_promoted", passed=not faults, description="; ".join(faults) or "all as promoted"
                )
            ],
        )

    return [promoted_model, live_model]
