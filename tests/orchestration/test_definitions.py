"""Dagster loads the definitions quickly, validates them, and every environment declares its schedules."""

import json
import os
import subprocess
import sys
from datetime import time

import pytest
import yaml

from orchestration.jobs import build_release
from orchestration.schedules import CRONS, build_schedules
from orchestration.settings import CHECKOUT, Window

MEASURE = """
import sys, time
began = time.process_time()
import orchestration.definitions
heavy = {"torch", "peft", "transformers", "mlflow", "great_expectations", "spacy", "presidio_analyzer", "sklearn"}
print(time.process_time() - began, sorted(heavy & set(sys.modules)))
"""


def test_definitions_load_without_any_heavy_library_and_in_under_three_seconds() -> None:
    took, heavy = subprocess.run(
        [sys.executable, "-c", MEASURE], cwd=CHECKOUT, capture_output=True, text=True, check=True
    ).stdout.split(maxsplit=1)
    assert json.loads(heavy.replace("'", '"')) == []
    assert float(took) < 3  # of CPU time: a busy machine must not fail it


def test_dagster_validates_the_workspace(tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("home")
    done = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-w", "workspace.yaml"],
        cwd=CHECKOUT,
        env={**os.environ, "DAGSTER_HOME": str(home)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_schedule_that_an_environment_does_not_name_is_an_error() -> None:
    with pytest.raises(ValueError, match="staging"):
        build_schedules("staging")
    assert all(crons.keys() == CRONS["production"].keys() for crons in CRONS.values())
    assert all(CRONS["production"].values())


@pytest.mark.parametrize(
    ("start", "end", "moment", "inside"),
    [("22:00", "06:00", "23:00", True), ("22:00", "06:00", "06:00", False), ("09:00", "17:00", "08:59", False)],
)
def test_the_training_window_may_span_midnight(start: str, end: str, moment: str, inside: bool) -> None:
    window = Window(start=time.fromisoformat(start), end=time.fromisoformat(end))
    assert window.contains(time.fromisoformat(moment)) is inside


@pytest.mark.parametrize("instance", ["dagster.yaml", "deploy/dagster.yaml"])
def test_builds_never_take_every_place_of_the_run_queue(instance: str) -> None:
    runs = yaml.safe_load((CHECKOUT / instance).read_text())["concurrency"]["runs"]
    limits = {limit["key"]: limit for limit in runs["tag_concurrency_limits"]}
    (bound,) = [limits[key] for key, value in build_release.tags.items() if limits[key]["value"] == value]
    assert bound["limit"] < runs["max_concurrent_runs"]
