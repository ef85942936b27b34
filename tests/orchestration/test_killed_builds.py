"""SIGKILL in every stage, then again: the same release digest, nothing torn, nothing twice."""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient

from assets.ingestion.delivery import deliver
from assets.ingestion.landing import closed_deliveries
from assets.ingestion.requests import request_release
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import sha256_bytes
from governance.custody.records import pointed, read_record, release_key
from governance.tenants import Release
from orchestration.samples import generate
from orchestration.settings import CHECKOUT, Settings

STAGES = (
    "raw_dataset",
    "normalized_dataset",
    "scrubbed_dataset",
    "lora_adapter",
    "validation_report",
    "signed_artifact",
)
RELEASE = Release(tenant="loomworks", task="log-triage", number=1)
RUN = """
import sys
import dagster as dg
from orchestration.definitions import build_defs
with dg.DagsterInstance.get() as instance:
    instance.add_dynamic_partitions("release", [sys.argv[1]])
    job = build_defs().resolve_job_def("build_release")
    chosen = [dg.AssetKey(name) for name in sys.argv[2:]]
    done = job.execute_in_process(
        partition_key=sys.argv[1], instance=instance, asset_selection=chosen, raise_on_error=False
    )
    sys.exit(0 if done.success else 1)
"""


def _build(settings: Settings, company: Path, home: Path, stages: tuple[str, ...], kill_in: str | None = None) -> str:
    """Build these stages in a process of its own; killed shortly after `kill_in` started. Its log."""
    home.mkdir(exist_ok=True)
    (home / "dagster.yaml").write_text("telemetry: { enabled: false }\n")
    here = {
        "DAGSTER_HOME": str(home),
        "PEDIGREE_STATE_DIR": str(settings.state_dir),
        "PEDIGREE_COMPANY_FILE": str(company),
        "PEDIGREE_GIT_SHA": "0" * 40,  # whoever edits the checkout meanwhile must not change the digest
    }
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(RELEASE), *stages],
        cwd=CHECKOUT,
        env=os.environ | here,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    log = []
    for line in process.stderr:
        log.append(line)
        if kill_in and f'Started execution of step "{kill_in}"' in line:
            time.sleep(0.7)
            process.kill()
    assert process.wait() == (-9 if kill_in else 0), "".join(log)
    return "".join(log)


def _digest(settings: Settings) -> str:
    store = settings.store()
    return str(read_record(store, pointed(store, RELEASE, "signed_artifact")).facts["release_digest"])


@pytest.fixture
def company(small_company: Path, tmp_path: Path) -> Path:
    """Builds are many here, so their rows are few, and read twice."""
    declared = yaml.safe_load(small_company.read_text())
    declared["tenants"]["loomworks"]["models"]["log-triage"]["training"]["epochs"] = 2
    changed = tmp_path / "pedigree.yaml"
    changed.write_text(yaml.safe_dump(declared))
    return changed


@pytest.fixture
def delivered(
    start_stack: Callable[..., Settings], tmp_path: Path, company: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """An installation to which one delivery was made, and the request for its release."""
    monkeypatch.setenv("PEDIGREE_COMPANY_FILE", str(company))
    (sample,) = [s for s in generate(tmp_path / "samples", 600) if (s.tenant, s.delivery) == ("loomworks", "first")]
    settings = start_stack("seaweedfs")
    store = settings.store()
    deliver(store, sample.tenant, sample.dataset, [sample.folder], "first")
    request_release(store, RELEASE.tenant, RELEASE.task, *closed_deliveries(store, RELEASE.tenant, sample.dataset))
    return settings


def test_a_build_killed_in_every_stage_ends_in_the_same_release(
    delivered: Settings, company: Path, tmp_path: Path
) -> None:
    store = delivered.store()
    for done, stage in enumerate(STAGES):
        # Re-execution from where it stopped: the stage that was killed runs again, the next one is killed.
        _build(delivered, company, tmp_path / "killed", STAGES[max(0, done - 1) :], kill_in=stage)
    _build(delivered, company, tmp_path / "killed", STAGES[-1:])
    digest = _digest(delivered)

    for info in store.list(CENTRAL_BUCKET, "loomworks/blobs/"):
        assert sha256_bytes(store.read(CENTRAL_BUCKET, info.key)) == info.key.rpartition("/")[2]
    catalogue = MlflowClient(delivered.mlflow_uri, delivered.mlflow_uri)
    assert len(catalogue.search_model_versions(f"name = '{RELEASE.served_name}'")) == 1
    (experiment,) = [e for e in catalogue.search_experiments() if e.name == RELEASE.model]
    finished = [r for r in catalogue.search_runs([experiment.experiment_id]) if r.info.status != "KILLED"]
    assert [run.info.status for run in finished] == ["FINISHED"]

    for stage in STAGES:  # the same release once more, undisturbed
        store.delete(CENTRAL_BUCKET, release_key(RELEASE, stage))
    _build(delivered, company, tmp_path / "undisturbed", STAGES)
    assert _digest(delivered) == digest
