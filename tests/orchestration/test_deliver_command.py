"""`pedigree generate` and `pedigree deliver`, as they are typed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.ingestion.landing import closed_deliveries
from orchestration import cli
from orchestration.settings import Settings
from tests.conftest import StartStack

Typed = Callable[..., Any]


@pytest.fixture(scope="module")
def settings(start_stack: StartStack) -> Settings:
    return start_stack("seaweedfs")


@pytest.fixture
def typed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("PEDIGREE_STATE_DIR", str(settings.state_dir))
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *words: CliRunner().invoke(cli.app, [str(word) for word in words])


def _unwrapped(output: str) -> str:
    """The terminal's width breaks lines where it likes."""
    return " ".join(output.split())


def test_examples_are_written_delivered_and_not_delivered_twice(
    typed: Typed, settings: Settings, tmp_path: Path
) -> None:
    written = typed("generate", tmp_path / "samples", "--rows", 40)
    assert written.exit_code == 0, written.output
    assert "loomworks" in written.output and "labels shuffled" in written.output
    folder = tmp_path / "samples/northbank/tickets/first"
    first, again = typed("deliver", "northbank", "tickets", folder), typed("deliver", "northbank", "tickets", folder)
    assert "2 of 2 files sent" in _unwrapped(first.output)
    assert "all 2 files were there already" in _unwrapped(again.output)
    assert len(closed_deliveries(settings.store(), "northbank", "tickets")) == 1


@pytest.mark.parametrize(
    ("tenant", "dataset", "said"),
    [
        ("nobody", "tickets", "no tenant 'nobody'"),
        ("northbank", "nothing", "no dataset 'nothing'; declared: tickets"),
        ("northbank", "tickets", "is empty; leave it out"),
    ],
)
def test_what_cannot_be_delivered_is_said_in_a_sentence(
    typed: Typed, tmp_path: Path, tenant: str, dataset: str, said: str
) -> None:
    (tmp_path / "a.jsonl").touch()
    answer = typed("deliver", tenant, dataset, tmp_path / "a.jsonl")
    assert answer.exit_code == 1
    assert said in _unwrapped(answer.output) and "Traceback" not in answer.output


def test_a_store_that_is_gone_says_that_the_command_can_be_repeated(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jsonl").write_text("{}\n")
    monkeypatch.setenv("PEDIGREE_S3_ENDPOINT", "http://127.0.0.1:9")
    answer = typed("deliver", "northbank", "tickets", tmp_path / "a.jsonl")
    assert answer.exit_code == 1
    assert "run the same command again" in _unwrapped(answer.output)
