"""What every asset of the line shares: the release partitions, and how a reference becomes a materialization."""

import base64
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import dagster as dg

from governance.custody.blobs import Ref
from governance.tenants import Company, Model, Release

# A release is a partition: everything from snapshot to signature maps 1:1 on it.
releases = dg.DynamicPartitionsDefinition(name="release")

# Dagster takes an asset with checks for one without an output unless its type is told.
REFERENCE = dg.PythonObjectDagsterType(Ref)


@dataclass(frozen=True)
class Pages:
    """A folder of pages for people, and the address at which it is served, if it is."""

    folder: Path
    url: str | None

    def link(self, page: Path) -> dg.MetadataValue:
        if self.url is None:
            return dg.MetadataValue.path(page)
        return dg.MetadataValue.url(f"{self.url}/{quote(str(page.relative_to(self.folder)))}")


@contextmanager
def building(context: dg.AssetExecutionContext, company: Company, work: Path) -> Iterator[tuple[Release, Model, Path]]:
    """The release that is built, its model as declared, and a folder that is gone afterwards."""
    release = Release.parse(context.partition_key)
    with TemporaryDirectory(dir=work) as folder:
        yield release, company.model(release.tenant, release.task), Path(folder)


def materialized(
    ref: Ref, metadata: Mapping[str, Any], checks: Sequence[dg.AssetCheckResult] = ()
) -> dg.MaterializeResult:
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
