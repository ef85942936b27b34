"""lora_adapter: the delta and head of one release, trained on the scrubbed records of its training subjects."""

from dataclasses import asdict
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from assets.line import REFERENCE, building, materialized, picture, releases, table
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.records import publish, read_passed
from governance.custody.store import ObjectStore
from governance.tenants import Company
from serving.engine import base_digest, base_folder

STAGE = "lora_adapter"


@dg.asset(
    partitions_def=releases,
    group_name="line",
    kinds={"pytorch", "mlflow"},
    io_manager_key="references",
    dagster_type=REFERENCE,
    pool="gpu",
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
    from assets.training.finetune import finetune
    from assets.training.split import examples, split
    from assets.training.tracking import confusion_figure, tracked

    with building(context, company, work) as (release, model, folder):
        base = base_folder(company.bases[model.base])
        records, out = folder / "records.parquet", folder / "out"
        fetch_blob(store, read_passed(store, scrubbed_dataset).files["records.parquet"], records)
        parts = split(pq.read_table(records), model.training)
        train, validation = examples(parts.train), examples(parts.validation)
        rows = {"train": parts.train.num_rows, "validation": parts.validation.num_rows}
        params = model.training.model_dump() | rows
        digests = {"scrubbed_dataset": scrubbed_dataset.sha256, "base": base_digest(base)}
        with tracked(catalogue, release, params, digests, {"dagster.run_id": context.run_id}) as run:
            done = finetune(base, train, validation, model.training, out, context.log.info, run.epoch)
            run_id = run.finish(done, out)
        confusion_figure(done).savefig(confusion := folder / "confusion.png")
        ref = publish(
            store,
            release,
            STAGE,
            {"scrubbed_dataset": scrubbed_dataset},
            {path.name: path for path in out.iterdir()},
            {"base": digests["base"], "labels": done.labels, "best_epoch": done.best_epoch, **rows},
        )
        metadata = {
            "mlflow_run": run_id,
            "epochs": table(asdict(epoch) for epoch in done.epochs),
            "parameters": done.parameters,
            "confusion": picture(confusion),
            **{f"{name} rows": count for name, count in rows.items()},
        }
    return materialized(ref, metadata)
