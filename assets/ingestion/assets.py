"""raw_dataset: the frozen snapshot of deliveries that a release is built from."""

import dagster as dg

from assets.ingestion.snapshot import freeze_release
from assets.line import REFERENCE, materialized, releases, table
from governance.custody.records import read_record
from governance.custody.store import ObjectStore
from governance.tenants import Company, Release

client_bucket = dg.AssetSpec(
    "client_bucket",
    group_name="line",
    kinds={"s3"},
    description="Where tenants deliver: `landing-<tenant>/<dataset>/<delivery>/`, closed by `_MANIFEST.json`.",
)


@dg.asset(
    partitions_def=releases,
    group_name="line",
    kinds={"s3"},
    io_manager_key="references",
    dagster_type=REFERENCE,
    deps=[client_bucket],
)
def raw_dataset(
    context: dg.AssetExecutionContext, store: dg.ResourceParam[ObjectStore], company: dg.ResourceParam[Company]
) -> dg.MaterializeResult:
    """Object keys, version ids, sizes and sha256 of every file the release comes from; nothing is copied twice."""
    release = Release.parse(context.partition_key)
    dataset = company.model(release.tenant, release.task).dataset
    ref = freeze_release(store, release, dataset, context.log.info)
    record = read_record(store, ref)
    return materialized(
        ref,
        {
            "deliveries": table(
                {
                    "delivery": delivery["delivery"],
                    "files": len(delivery["files"]),
                    "bytes": sum(file["size"] for file in delivery["files"]),
                    "manifest sha256": delivery["manifest_sha256"],
                }
                for delivery in record.facts["deliveries"]
            ),
            "refused": table(record.facts["refused"]),
        },
    )
