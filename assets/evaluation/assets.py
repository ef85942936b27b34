"""validation_report: the gate. Candidate against the live and the best-ever champion, on golden and on new rows."""

from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq

from assets.evaluation.champions import champions, signed_before
from assets.evaluation.evaluate import Contender, evaluate
from assets.line import REFERENCE, building, materialized, picture, releases
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.records import fetch_files, publish, read_passed
from governance.custody.store import ObjectStore
from governance.gate.golden import grow
from governance.gate.report import Against, checks, markdown
from governance.tenants import Company
from serving.engine import base_folder

STAGE = "validation_report"


@dg.asset(
    partitions_def=releases,
    group_name="line",
    io_manager_key="references",
    dagster_type=REFERENCE,
    # The checks block the rest of this run; signing and promotion read the report itself.
    check_specs=[dg.AssetCheckSpec(name, asset=STAGE, blocking=True) for name in ("f1", "accuracy", "latency", "bias")],
)
def validation_report(
    context: dg.AssetExecutionContext,
    store: dg.ResourceParam[ObjectStore],
    company: dg.ResourceParam[Company],
    keys_dir: dg.ResourceParam[Path],
    work: dg.ResourceParam[Path],
    scrubbed_dataset: Ref,
    lora_adapter: Ref,
) -> dg.MaterializeResult:
    """Improvement or parity, proved on held-out people by the engine that serves; else a refusal with its reasons."""
    from assets.training.split import split

    with building(context, company, work) as (release, model, folder):
        signed, out = signed_before(store, release), folder / "out"
        fetch_blob(store, read_passed(store, scrubbed_dataset).files["records.parquet"], folder / "records.parquet")
        parts = split(pq.read_table(folder / "records.parquet"), model.training)
        golden = None
        if signed:
            fetch_blob(store, signed[-1].golden, folder / "golden.parquet")
            golden = pq.read_table(folder / "golden.parquet")
        opponents: dict[Against, Contender] = {}
        for role, each in champions(store, company, keys_dir, release, signed).items():
            fetch_files(store, each.bundle, folder / str(each.release))
            adapter = each.bundle.inputs["lora_adapter"].sha256
            opponents[role] = Contender(str(each.release), folder / str(each.release), adapter)
        fetch_files(store, read_passed(store, lora_adapter), folder / "candidate")
        candidate = Contender(str(release), folder / "candidate", lora_adapter.sha256)
        base = company.bases[model.base]
        report = evaluate(
            candidate,
            opponents,
            parts.evaluation,
            golden,
            parts.train,
            model,
            base_folder(base),
            out,
            context.log.info,
            base.dtype,
        )
        # This version counts only once the release is signed: it is read through the signed bundle.
        pq.write_table(grow(golden, parts.evaluation, str(release)), out / "golden.parquet")
        ref = publish(
            store,
            release,
            STAGE,
            {"scrubbed_dataset": scrubbed_dataset, "lora_adapter": lora_adapter},
            {path.name: path for path in out.iterdir()},
            {"passed": report.passed, "label_drift": bool(report.label_drift and report.label_drift.collapsed)},
        )
        metadata = {
            "report": dg.MetadataValue.md(markdown(report)),
            "macro_f1": report.macro_f1,
            "accuracy": report.accuracy,
            **{path.stem: picture(path) for path in sorted(out.glob("*.png"))},
        }
    results = [
        dg.AssetCheckResult(check_name=name, passed=passed, description=said, metadata=facts)
        for name, (passed, said, facts) in checks(report).items()
    ]
    return materialized(ref, {"passed": report.passed, **metadata}, results)
