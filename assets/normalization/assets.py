"""normalized_dataset: every delivery under one contract, in Parquet, with bad rows set aside."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from assets.line import REFERENCE, Pages, building, materialized, releases, table
from assets.normalization.normalize import Normalized, TooManyBadRows, normalize
from governance.contracts.drift import change_rows, drift
from governance.contracts.expectations import Expectations, expectations
from governance.contracts.labels import check_labels
from governance.contracts.rows_check import contract_failures
from governance.contracts.schema import schema_rows
from governance.contracts.source import SourceFile
from governance.custody.blobs import Ref, put_file, read_blob
from governance.custody.records import fetch_files, pointed, publish, read_passed, read_record
from governance.custody.store import NotFound, ObjectStore
from governance.tenants import Company, Contract, Release

STAGE = "normalized_dataset"
SHOWN_PATHS = 500


@dg.asset(
    partitions_def=releases,
    group_name="line",
    kinds={"parquet", "pydantic"},
    io_manager_key="references",
    dagster_type=REFERENCE,
    check_specs=[
        dg.AssetCheckSpec("contract", asset=STAGE, blocking=True, description="pandera, on the contract"),
        dg.AssetCheckSpec("expectations", asset=STAGE, blocking=True, description="Great Expectations, on the content"),
        dg.AssetCheckSpec("drift", asset=STAGE, description="the schema against the last release's"),
    ],
)
def normalized_dataset(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    work: dg.ResourceParam[Path],
    pages: dg.ResourceParam[Pages],
    raw_dataset: Ref,
) -> dg.MaterializeResult:
    """Rows under the contract, quarantine beside them, and the schema that was found."""
    with building(context, company, work) as (release, model, folder):
        out = folder / "out"
        done = _normalize(store, release, model.contract, raw_dataset, folder, out, context.log.info)
        broken = contract_failures(out / "rows.parquet", model.contract)
        content = expectations(out / "rows.parquet", model, pages.folder / str(release))
        labels = check_labels(out / "rows.parquet", model) if content.success else {}
        facts = {
            "rows": done.rows,
            "quarantined": done.quarantined,
            "rows_by_delivery": _rows_by_delivery(out / "rows.parquet"),
            "faults": dict(done.faults),
            "labels": labels,
            "checks": {"contract": not broken, "expectations": content.success},
        }
        files = {name: out / name for name in ("rows.parquet", "quarantine.parquet", "schema.json")}
        ref = publish(store, release, STAGE, {"raw_dataset": raw_dataset}, files, facts)
    changes = change_rows(drift(_last_schema(store, release), done.schema))
    metadata = {
        "rows": done.rows,
        "quarantined": done.quarantined,
        "quarantine": table({"rule": rule, "rows": count} for rule, count in done.faults.items()),
        "schema": table(schema_rows(done.schema)[:SHOWN_PATHS]),
        "drift": table(changes),
        "labels": table({"label": label, "rows": count} for label, count in labels.items()),
    }
    return materialized(ref, metadata, _checks(broken, content, changes, pages.link(content.docs_index)))


def _normalize(
    store: ObjectStore,
    release: Release,
    contract: Contract,
    raw_dataset: Ref,
    folder: Path,
    out: Path,
    log: Callable[[str], None],
) -> Normalized:
    snapshot = read_passed(store, raw_dataset)
    fetched = fetch_files(store, snapshot, folder / "raw")
    files = [
        SourceFile(delivery["delivery"], file["name"], fetched[f"{delivery['delivery']}/{file['name']}"])
        for delivery in snapshot.facts["deliveries"]
        for file in delivery["files"]
    ]
    try:
        return normalize(files, contract, out, log)
    except TooManyBadRows as refused:
        kept = put_file(store, release.tenant, refused.quarantine)
        raise TooManyBadRows(str(refused).replace(str(refused.quarantine), kept.uri), refused.quarantine) from refused


def _rows_by_delivery(rows: Path) -> dict[str, int]:
    counts = pq.read_table(rows, columns=["delivery"])["delivery"].value_counts()
    return {str(each["values"]): int(each["counts"].as_py()) for each in counts}


def _last_schema(store: ObjectStore, release: Release) -> dict[str, Any] | None:
    """The schema of the newest earlier release that was normalized."""
    for number in range(release.number - 1, 0, -1):
        try:
            last = read_record(store, pointed(store, release.model_copy(update={"number": number}), STAGE))
        except NotFound:
            continue
        return dict(json.loads(read_blob(store, last.files["schema.json"])))
    return None


def _checks(
    broken: list[dict[str, Any]], content: Expectations, changes: list[dict[str, Any]], docs: dg.MetadataValue
) -> list[dg.AssetCheckResult]:
    return [
        dg.AssetCheckResult(check_name="contract", passed=not broken, metadata={"failures": table(broken)}),
        dg.AssetCheckResult(
            check_name="expectations",
            passed=content.success,
            metadata={"results": table(content.results), "data docs": docs},
        ),
        dg.AssetCheckResult(
            check_name="drift",
            passed=not changes,
            severity=dg.AssetCheckSeverity.WARN,
            description=f"{len(changes)} changes" if changes else "as the last release's",
            metadata={"changes": table(changes)},
        ),
    ]
