"""Each promise has an alert that fires when it is broken, and only then."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

RULES = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"


def test_the_alerts_fire_when_they_should() -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    done = subprocess.run(
        [promtool, "test", "rules", "request_path_test.yml"], cwd=RULES, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_asks_for_metrics_that_exist_and_says_what_to_do() -> None:
    from prometheus_client import REGISTRY

    import serving.gateway.exchange
    import serving.worker.worker  # noqa: F401

    known = {sample.name for family in REGISTRY.collect() for sample in family.samples} | {
        name for family in REGISTRY.collect() for name in (family.name, f"{family.name}_total", f"{family.name}_bucket")
    }
    (group,) = yaml.safe_load((RULES / "request_path.yml").read_text())["groups"]
    for rule in group["rules"]:
        asked = set(re.findall(r"(?<!:)\bpedigree_\w+\b(?!:)", rule["expr"]))
        assert asked <= known, f"{rule}: {asked - known}"
        if "alert" in rule:
            assert rule["annotations"]["action"]
            assert rule["labels"]["severity"] in ("page", "ticket")
