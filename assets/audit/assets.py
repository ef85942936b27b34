"""audit_log: the newest acts for people, and whether the log still is what was signed and seen."""

from pathlib import Path

import dagster as dg

from assets.deployment.promote import RegionHome
from assets.line import table
from governance.audit.find import newest, row
from governance.audit.verify import verify_log
from governance.custody.keys import trusted_keys
from governance.custody.store import ObjectStore

SHOWN = 50


@dg.asset(
    group_name="lifecycle",
    kinds={"s3"},
    check_specs=[
        dg.AssetCheckSpec("log_holds", asset="audit_log", description="every entry, against what was signed and seen")
    ],
)
def audit_log(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    keys_dir: dg.ResourceParam[Path],
    regions: dg.ResourceParam[dict[str, RegionHome]],
) -> dg.MaterializeResult:
    """Who did what and why, newest first; the whole log is read and held against its checkpoint and the witnesses."""
    verdict = verify_log(store, trusted_keys(keys_dir), {name: home.root for name, home in regions.items()})
    for fault in verdict.faults:
        context.log.error(fault)
    acts = [] if verdict.faults else newest(store, verdict.size, SHOWN)
    return dg.MaterializeResult(
        metadata={
            "entries": verdict.size,
            "waiting": verdict.pending,
            "seen": table({"region": region, "entries": size} for region, size in verdict.seen.items()),
            "acts": table(map(row, acts)),
        },
        check_results=[
            dg.AssetCheckResult(
                check_name="log_holds", passed=not verdict.faults, description="; ".join(verdict.faults) or "whole"
            )
        ],
    )
