"""lora_adapter: the delta and head of one release, trained on the scrubbed records of its training subjects."""

from pathlib import Path
from tempfile import TemporaryDirectory

import dagster as dg

from assets.line import releases
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.records import read_passed
from governance.custody.store import ObjectStore
from governance.tenants import Company, Release
from serving.engine.base import base_folder


@dg.asset(
    partitions_def=releases, group_name="line", kinds={"pytorch", "mlflow"}, io_manager_key="references", pool="gpu"
)
def lora_adapter(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    catalogue: dg.ResourceParam[str],
    work: dg.ResourceParam[Path],
    scrubbed_dataset: Ref,
) -> dg.MaterializeResult:
    """LoRA by peft on the resident base, head beside it; deterministic given the release."""

    release = Release.parse(context.partition_key)
    model = company.model(release.tenant, release.task)
    base = base_folder(company.bases[model.base])
    with TemporaryDirectory(dir=work) as folder:
        records = Path(folder, "records.parquet")
        fetch_blob(store, read_passed(store, scrubbed_dataset).files["records.parquet"], records)
        ...
