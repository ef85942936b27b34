"""The dashboards show metrics that exist, by queries that Prometheus takes."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.deploy.metrics import asked, known

DASHBOARDS = sorted((Path(__file__).resolve().parents[2] / "deploy" / "grafana").glob("*.json"))


def queries(dashboard: Path) -> list[str]:
    """With what the variables are at first."""
    told = json.loads(dashboard.read_text())
    given = {f"${each['name']}": each["query"] for each in told["templating"]["list"] if each["type"] == "textbox"}
    found = [target["expr"] for panel in told["panels"] for target in panel["targets"]]
    return [re.sub(r"\$\w+", lambda name: given[name[0]], query) for query in found]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_each_panel_asks_for_metrics_that_exist(dashboard: Path) -> None:
    for query in queries(dashboard):
        assert asked(query), query
        assert asked(query) <= known(), f"{query}: {asked(query) - known()}"


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.stem)
def test_each_query_is_one_that_prometheus_takes(dashboard: Path, tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if not promtool:
        pytest.skip("promtool is not installed; Debian's package `prometheus` has it")
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries(dashboard))]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": dashboard.stem, "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", "rules.yml"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
