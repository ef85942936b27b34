"""What a build found, as tables for people: drift and quarantine of a delivery, the reasons of the gate."""

import io
import json

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from governance.contracts.drift import drift
from governance.custody.blobs import read_blob
from governance.custody.records import Record, pointed, read_record
from governance.custody.store import ObjectStore
from governance.gate.report import GateReport
from governance.tenants import Release


def drift_and_quarantine(console: Console, store: ObjectStore, release: Release) -> None:
    """The schema's changes since the release before, and the first rows that were set aside."""
    before = _record(store, release.model_copy(update={"number": release.number - 1}), "normalized_dataset")
    record = _record(store, release, "normalized_dataset")
    schemas = [json.loads(read_blob(store, each.files["schema.json"])) for each in (before, record)]
    changes = Table("drift", "where", "what")
    for change in drift(*schemas):
        changes.add_row(change.kind, change.path, change.detail)
    console.print(changes)
    aside = pq.read_table(io.BytesIO(read_blob(store, record.files["quarantine.parquet"]))).to_pylist()
    rows = Table("set aside", "rule", "message", title=f"{len(aside)} rows in quarantine, {record.facts['rows']} good")
    for row in aside[:5]:
        rows.add_row(f"{row['delivery']}/{row['file']}:{row['row']}", row["rule"], row["message"])
    console.print(rows)


def gate_reasons(store: ObjectStore, release: Release) -> tuple[str, ...]:
    """Why the gate stopped the release."""
    report = _record(store, release, "validation_report").files["report.json"]
    return GateReport.model_validate_json(read_blob(store, report)).reasons


def _record(store: ObjectStore, release: Release, stage: str) -> Record:
    return read_record(store, pointed(store, release, stage))
