"""The cluster's Dagster instance keeps step logs in S3: its own configuration, against a real S3 server."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from orchestration.settings import CHECKOUT, Settings

RUN = """
import dagster as dg
@dg.asset
def spoken() -> None:
    print("a line of the step's own output")
with dg.DagsterInstance.get() as instance:
    dg.materialize([spoken], instance=instance)
"""


def test_what_a_step_prints_reaches_the_bucket(start_stack: Callable[..., Settings], tmp_path: Path) -> None:
    settings = start_stack("seaweedfs")
    store = settings.store()
    store.ensure_bucket("logs", versioned=False)
    declared = yaml.safe_load((CHECKOUT / "deploy" / "dagster.yaml").read_text())
    here = {"compute_logs": declared["compute_logs"], "telemetry": declared["telemetry"]}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(here))
    environment = {
        "DAGSTER_HOME": str(tmp_path),
        "PEDIGREE_COMPUTE_LOGS_BUCKET": "logs",
        "PEDIGREE_S3_ENDPOINT": str(settings.s3_endpoint),
        "AWS_ACCESS_KEY_ID": settings.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": settings.s3_secret_key.get_secret_value(),
        "AWS_DEFAULT_REGION": settings.s3_region,
    }
    subprocess.run([sys.executable, "-c", RUN], env=os.environ | environment, cwd=tmp_path, check=True)
    logs = [store.read("logs", info.key) for info in store.list("logs", "compute-logs/")]
    assert any(b"a line of the step's own output" in log for log in logs)
