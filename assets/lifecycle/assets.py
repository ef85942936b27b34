"""retention_report and gc_report: what was let go, and why."""

from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg

from assets.lifecycle.collect import clear_work, collect
from assets.lifecycle.retention import expire
from assets.line import table
from governance.audit.log import append
from governance.custody.store import ObjectStore
from governance.tenants import Company


@dg.asset(group_name="lifecycle", kinds={"s3"})
def retention_report(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
) -> dg.MaterializeResult:
    """Unscrubbed bytes older than each tenant's retention are removed; the digests and the line stay."""
    now, record = datetime.now(UTC), partial(append, store, keys_dir, run=context.run_id)
    expired = [
        item
        for name, tenant in company.tenants.items()
        for item in expire(store, name, list(tenant.models), tenant.retention_days, now, record)
    ]
    return dg.MaterializeResult(metadata={"expired": len(expired), "what": table(vars(item) for item in expired[:200])})


@dg.asset(group_name="lifecycle", kinds={"s3"})
def gc_report(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    work: dg.ResourceParam[Path],
) -> dg.MaterializeResult:
    """Blobs that nothing leads to, and folders that killed runs left, older than a day, are removed."""
    record = partial(append, store, keys_dir, run=context.run_id)
    collected = [collect(store, name, record) for name in company.tenants]
    return dg.MaterializeResult(
        metadata={"tenants": table(vars(each) for each in collected), "work folders": clear_work(work)}
    )
