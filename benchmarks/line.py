"""One build, from raw to signed, twice: as a Dagster run, and as the same functions called one after the other.

Each in a process of its own on a fresh store, after one delivery of the bank's example dataset.
"""

import os
import time
from pathlib import Path
from typing import Any

from governance.tenants import Release
from orchestration.settings import Settings

RELEASE = Release(tenant="northbank", task="support-intents", number=1)


def deliver_sample(settings: Settings, samples: Path, rows: int) -> None:
    """The bank's first example delivery, and the request for its release."""
    from assets.ingestion.delivery import deliver
    from assets.ingestion.landing import closed_deliveries
    from assets.ingestion.requests import request_release
    from orchestration.samples import generate

    (sample,) = [sample for sample in generate(samples, rows) if sample.tenant == RELEASE.tenant]
    store = settings.store()
    deliver(store, sample.tenant, sample.dataset, [sample.folder], sample.delivery)
    (manifest,) = closed_deliveries(store, sample.tenant, sample.dataset)
    request_release(store, RELEASE.tenant, RELEASE.task, manifest)


def under_dagster(state_dir: Path) -> float:
    """Wall seconds of the run of build_release, with a Dagster database on disk; imports included."""
    began = _enter(state_dir)
    import dagster as dg

    from orchestration.definitions import build_defs

    home = state_dir / "dagster_home"
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: { enabled: false }\n")
    os.environ["DAGSTER_HOME"] = str(home)
    with dg.DagsterInstance.get() as instance:
        instance.add_dynamic_partitions("release", [str(RELEASE)])
        build_defs().resolve_job_def("build_release").execute_in_process(partition_key=str(RELEASE), instance=instance)
    return time.perf_counter() - began


def directly(state_dir: Path) -> float:
    """Wall seconds of the stages' own functions, each given what the one before it returned; imports included."""
    began = _enter(state_dir)
    import dagster as dg

    from assets.evaluation.assets import validation_report
    from assets.ingestion.assets import raw_dataset
    from assets.line import Pages
    from assets.normalization.assets import normalized_dataset
    from assets.privacy.assets import scrubbed_dataset
    from assets.release.assets import signed_artifact
    from assets.training.assets import lora_adapter
    from governance.custody.records import point
    from orchestration.attribution import environment
    from orchestration.settings import CHECKOUT, load_settings

    settings = load_settings()
    work = settings.state_dir / "work"
    work.mkdir(exist_ok=True)
    given: dict[str, Any] = {
        "store": settings.store(),
        "company": settings.company(),
        "keys_dir": settings.keys_dir,
        "catalogue": settings.mlflow_uri,
        "work": work,
        "ray_address": settings.ray_address,
        "pages": Pages(settings.pages_dir, None),
        "environment": environment(CHECKOUT),
    }
    for stage, wants in (
        (raw_dataset, ("store", "company")),
        (normalized_dataset, ("store", "company", "work", "pages", "raw_dataset")),
        (scrubbed_dataset, ("store", "company", "keys_dir", "work", "ray_address", "normalized_dataset")),
        (lora_adapter, ("store", "company", "catalogue", "work", "scrubbed_dataset")),
        (validation_report, ("store", "company", "keys_dir", "work", "scrubbed_dataset", "lora_adapter")),
        (
            signed_artifact,
            ("store", "company", "keys_dir", "catalogue", "work", "environment", "lora_adapter", "validation_report"),
        ),
    ):
        name = stage.key.to_user_string()
        with dg.build_asset_context(partition_key=str(RELEASE)) as context:
            done: Any = stage(context, **{want: given[want] for want in wants})
        given[name] = done.value
        point(given["store"], RELEASE, name, done.value)
    return time.perf_counter() - began


def _enter(state_dir: Path) -> float:
    os.environ["PEDIGREE_STATE_DIR"] = str(state_dir)
    return time.perf_counter()
