"""`pedigree trace`, `verify`, `promote` and `rollback` as they are typed, where nothing was ever signed.

What they say of a signed release is in test_line_end_to_end.py and in the demo.
"""

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from governance.tenants import Release
from orchestration import cli
from orchestration.demo.watching import StoryFailed, expect, wait_for_launch, wait_for_runs
from orchestration.launch import LaunchFailed, promotion, runs_of
from orchestration.settings import Settings
from tests.conftest import StartStack

Typed = Callable[..., Any]
MOVE = ("--reason", "a test", "--approver", "the test")


@pytest.fixture(scope="module")
def settings(start_stack: StartStack) -> Settings:
    """A real webserver, a real daemon, a real store; no region runs."""
    return start_stack("dagster-daemon")


@pytest.fixture
def typed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Typed]:
    monkeypatch.setenv("PEDIGREE_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("COLUMNS", "200")
    yield lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


def test_a_release_that_was_never_signed_is_not_verified(typed: Typed) -> None:
    answer = typed("verify", "loomworks.log-triage@1")
    assert answer.exit_code == 1
    assert "has no signed_artifact" in " ".join(answer.output.split())


def test_a_trace_names_the_link_that_is_missing_and_fails(typed: Typed) -> None:
    answer = typed("trace", "loomworks/log-triage", "--offline")
    assert answer.exit_code == 1 and "✘" in answer.output and "mumbai" in answer.output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("trace", "nobody/task"), "no tenant 'nobody'"),
        (("verify", "not-a-release"), "not-a-release"),
        (("rollback", "loomworks/log-triage", "--to", 1, *MOVE, "--region", "atlantis"), "no region atlantis"),
    ],
)
def test_a_name_that_nobody_declared_is_said_in_a_sentence(typed: Typed, words: tuple[object, ...], said: str) -> None:
    answer = typed(*words)
    assert answer.exit_code == 1 and said in " ".join(answer.output.split()) and "Traceback" not in answer.output


def test_a_rollback_to_a_release_that_was_never_built_is_a_failed_run_with_its_reason(
    typed: Typed, settings: Settings
) -> None:
    answer = typed("rollback", "loomworks/log-triage", "--to", 1, *MOVE, "--region", "mumbai")
    assert answer.exit_code == 1
    assert "mumbai: FAILURE" in answer.output and "has no signed_artifact yet" in " ".join(answer.output.split())
    (run,) = runs_of(settings.dagster_url, {"dagster/partition/region": "mumbai"})
    told = io.StringIO()
    (again,) = wait_for_runs(Console(file=told), settings.dagster_url, {"the rollback": run.run_id}).values()
    assert again.status == "FAILURE" and any("has no signed_artifact yet" in error for error in again.errors)


def test_the_demo_names_what_the_sensor_never_launched(settings: Settings) -> None:
    with pytest.raises(StoryFailed, match=r"launched nothing for loomworks.log-triage@9 within 1 s"):
        wait_for_launch(Console(file=io.StringIO()), settings.dagster_url, ["loomworks.log-triage@9"], patience=1)
    with pytest.raises(StoryFailed, match="it must not"):
        expect(False, "it must not")


def test_a_webserver_that_is_gone_is_said(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> None:
    release = Release(tenant="loomworks", task="log-triage", number=1)
    with pytest.raises(LaunchFailed, match="is the stack up"):
        promotion("http://127.0.0.1:9", release, "mumbai", "a test", "the test")
    monkeypatch.setenv("PEDIGREE_DAGSTER_URL", "http://127.0.0.1:9")
    assert typed("promote", str(release), *MOVE).exit_code == 1
