"""Each promise has an alert that fires when it is broken, and only then."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.metrics import asked, known

FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
RULES = ["request_path", "regions"]


@pytest.mark.parametrize("rules", RULES)
def test_the_alerts_fire_when_they_should(rules: str) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    done = subprocess.run(
        [promtool, "test", "rules", f"{rules}_test.yml"], cwd=FOLDER, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("rules", RULES)
def test_each_alert_asks_for_metrics_that_exist_and_says_what_to_do(rules: str) -> None:
    (group,) = yaml.safe_load((FOLDER / f"{rules}.yml").read_text())["groups"]
    for rule in group["rules"]:
        assert asked(rule["expr"]) <= known(), f"{rule}: {asked(rule['expr']) - known()}"
        if "alert" in rule:
            assert rule["annotations"]["action"]
            assert rule["labels"]["severity"] in ("page", "ticket")
