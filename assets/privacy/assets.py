"""scrubbed_dataset: the rows without the people, each with a subject tag."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.detection.assets import pii_detector
from assets.line import REFERENCE, building, materialized, picture, releases, table
from assets.privacy.report import draw_counts
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.keys import trusted_keys
from governance.custody.records import publish, read_passed
from governance.custody.store import ObjectStore
from governance.privacy.policy import plausible
from governance.privacy.pseudonyms import load_tenant_key
from governance.privacy.subject_keys import keys_file
from governance.tenants import Company

if TYPE_CHECKING:
    from assets.privacy.residue_check import ResidueReport
    from assets.privacy.scrub import Scrubbed

RESIDUE_SAMPLE = 1000  # records that the independent pass reads closely
CANARIES = 1000


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
            description="an independent pass finds nobody whom any row names, nothing like an identifier in a sample, "
            "and no canary",
        )
    ],
)
def scrubbed_dataset(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    work: dg.ResourceParam[Path],
    ray_address: dg.ResourceParam[str],
    normalized_dataset: Ref,
) -> dg.MaterializeResult:
    """PII out, subject UUIDs in; the same person has the same surrogate within the tenant, and only there."""
    from assets.detection.reading import reader_now
    from assets.privacy.residue_check import Sample, find_residues
    from assets.privacy.scrub import Options, scrub

    with building(context, company, work) as (release, model, folder):
        rows, records = folder / "rows.parquet", folder / "records.parquet"
        fetch_blob(store, read_passed(store, normalized_dataset).files["rows.parquet"], rows)
        privacy = company.tenants[release.tenant].privacy
        reader, make = reader_now(store, company, trusted_keys(keys_dir), folder / "detector")
        context.log.info(f"{reader.name} reads, detector {reader.digest}")
        options = Options(make, privacy, keys_file(keys_dir, release.tenant), CANARIES, ray=ray_address)
        done = scrub(rows, model, load_tenant_key(keys_dir, release.tenant), folder, context.log.info, options)
        sample = Sample(RESIDUE_SAMPLE, model.training.seed, plausible(privacy.operators))
        residue = find_residues(rows, records, model, sample, done.everyday)
        clean = not residue.residues and not done.planted.left
        facts = {
            "records": done.records,
            "spans": done.spans,
            "detector": reader.lineage,
            "recognizers": done.counted("recognizer"),
            "operators": done.counted("operator"),
            "canaries": {"planted": done.planted.count, "left": len(done.planted.left)},
            "checks": {"no_pii_residue": clean},
        }
        inputs = {"normalized_dataset": normalized_dataset} | reader.inputs
        ref = publish(store, release, "scrubbed_dataset", inputs, {"records.parquet": records}, facts)
        return materialized(
            ref,
            {
                "detector": f"{reader.name} {reader.digest}",
                **_report(done),
                "entities": picture(draw_counts(done.spans, folder / "entities.png")),
            },
            [dg.AssetCheckResult(check_name="no_pii_residue", passed=clean, metadata=_second_opinion(done, residue))],
        )


def _report(done: "Scrubbed") -> dict[str, Any]:
    """What was done to the text, in numbers."""
    return {
        "records": done.records,
        "masked": table(
            {"entity": e, "recognizer": r, "operator": o, "spans": n} for (e, r, o), n in done.masked.items()
        ),
        "names that are words here": len(done.everyday),
        "text MB": done.text_bytes / 1e6,
        "text MB/s": done.text_bytes / 1e6 / done.seconds,
    }


def _second_opinion(done: "Scrubbed", residue: "ResidueReport") -> dict[str, Any]:
    leaks = Counter(done.planted.left)
    return {
        "records searched for everybody": residue.searched,
        "records read closely": residue.checked,
        "residues": table(vars(found) for found in residue.residues[:50]),
        "canaries planted": done.planted.count,
        "canaries left": table({"kind": kind, "format": form, "left": n} for (kind, form), n in sorted(leaks.items())),
    }
