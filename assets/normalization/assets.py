"""normalized_dataset: every delivery under one contract, in Parquet, with bad rows set aside."""

import json
from pathlib import Path

import dagster as dg

from assets.line import materialized, releases, table
from assets.normalization.build import build
from governance.custody.blobs import Ref
from governance.custody.records import publish, read_record
from governance.custody.store import ObjectStore
from governance.tenants import Company, Release


@dg.asset(
    partitions_def=releases,
    group_name="line",
    kinds={"parquet", "pydantic"},
    io_manager_key="references",
    check_specs=[
        dg.AssetCheckSpec("contract", "normalized_dataset", blocking=True, description="pandera, on the contract"),
        dg.AssetCheckSpec("expectations", "normalized_dataset", blocking=True, description="Great Expectations"),
        dg.AssetCheckSpec("drift", "normalized_dataset", description="schema against the last release's"),
    ],
)
def normalized_dataset(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    work: dg.ResourceParam[Path],
    raw_dataset: Ref,
) -> dg.MaterializeResult:
    """Rows under the contract, quarantine beside them, and the schema that was found."""
    release = Release.parse(context.partition_key)
    ...
