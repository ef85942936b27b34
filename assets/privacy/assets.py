"""scrubbed_dataset: the rows without the people, each with a subject tag."""

from pathlib import Path

import dagster as dg

from assets.detection.assets import pii_detector
from assets.line import REFERENCE, building, materialized, releases, table
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.keys import trusted_keys
from governance.custody.records import publish, read_passed
from governance.custody.store import ObjectStore
from governance.privacy.pseudonyms import load_tenant_key
from governance.tenants import Company

# Records that the independent pass reads again.
RESIDUE_SAMPLE = 1000


@dg.asset(
    partitions_def=releases,
    deps=[pii_detector],
    group_name="line",
    kinds={"presidio", "parquet"},
    io_manager_key="references",
    dagster_type=REFERENCE,
    check_specs=[
        dg.AssetCheckSpec(
            "no_pii_residue",
            asset="scrubbed_dataset",
            blocking=True,
            description="an independent pass over a sample finds no direct identifier",
        )
    ],
)
def scrubbed_dataset(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    work: dg.ResourceParam[Path],
    normalized_dataset: Ref,
) -> dg.MaterializeResult:
    """PII out, subject UUIDs in; the same person has the same surrogate within the tenant, and only there."""
    from assets.detection.reading import reader_now
    from assets.privacy.residue_check import residue_sample
    from assets.privacy.scrub import scrub

    with building(context, company, work) as (release, model, folder):
        rows, records = folder / "rows.parquet", folder / "records.parquet"
        fetch_blob(store, read_passed(store, normalized_dataset).files["rows.parquet"], rows)
        reader, make = reader_now(store, company, trusted_keys(keys_dir), folder / "detector")
        context.log.info(f"{reader.name} reads, detector {reader.digest}")
        done = scrub(rows, model, load_tenant_key(keys_dir, release.tenant), folder, context.log.info, make)
        residue = residue_sample(rows, records, model, RESIDUE_SAMPLE, model.training.seed)
        ref = publish(
            store,
            release,
            "scrubbed_dataset",
            {"normalized_dataset": normalized_dataset} | reader.inputs,
            {"records.parquet": records},
            {
                "records": done.records,
                "spans": done.spans,
                "detector": reader.lineage,
                "checks": {"no_pii_residue": not residue.residues},
            },
        )
    return materialized(
        ref,
        {
            "records": done.records,
            "detector": f"{reader.name} {reader.digest}",
            "masked": table({"entity": name, "spans": n} for name, n in sorted(done.spans.items())),
        },
        [
            dg.AssetCheckResult(
                check_name="no_pii_residue",
                passed=not residue.residues,
                metadata={
                    "records read": residue.checked,
                    "residues": table(vars(found) for found in residue.residues[:50]),
                },
            )
        ],
    )
