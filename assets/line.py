"""What every asset of the line shares: the release partitions, and how a reference becomes a materialization."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg

from governance.custody.blobs import Ref

# A release is a partition: everything from snapshot to signature maps 1:1 on it.
releases = dg.DynamicPartitionsDefinition(name="release")


def materialized(
    ref: Ref, metadata: Mapping[str, Any], checks: Sequence[dg.AssetCheckResult] = ()
) -> dg.MaterializeResult[Ref]:
    """A stage's result: the reference travels, the bytes stay in the store, the data version is their sha256."""
    return dg.MaterializeResult(
        value=ref,
        data_version=dg.DataVersion(ref.sha256),
        metadata={"record": ref.uri, "sha256": ref.sha256, **metadata},
        check_results=checks,
    )


def table(rows: Iterable[Mapping[str, Any]]) -> dg.MetadataValue:
    """Rows of one shape as a Dagster metadata table; no rows is said in words."""
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records) if records else dg.MetadataValue.text("none")


def picture(path: Path) -> dg.MetadataValue:
    """A PNG shown inside the Dagster UI."""
    return dg.MetadataValue.md(f"![{path.stem}](data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()})")


def _cell(value: Any) -> str | int | float | bool | None:
    return value if isinstance(value, str | int | float | bool | None) else str(value)
