import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient

from assets.training import tracking
from assets.training.finetune import EpochReport, Finetuned
from assets.training.tracking import TrackingConflict, register, tracked
from governance.tenants import Release

DIGEST, OTHER = "a" * 64, "b" * 64
FINETUNED = Finetuned(
    labels=["card", "loan"],
    epochs=[EpochReport(1, 0.9, 0.5, 0.6, 0.8), EpochReport(2, 0.4, 0.8, 0.9, 0.3), EpochReport(3, 0.3, 0.7, 0.8, 0.4)],
    best_epoch=2,
    class_weights=None,
    confusion=[[4, 1], [0, 5]],
    parameters=10,
    frozen_parameters=100,
)


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """One database for the module: making its tables takes seconds. Each test has a tenant of its own."""
    return f"sqlite:///{tmp_path_factory.mktemp('mlflow') / 'nested' / 'mlflow.db'}"


@pytest.fixture
def client(uri: str) -> MlflowClient:
    return tracking._client(uri)


@pytest.fixture
def release(request: pytest.FixtureRequest) -> Release:
    return Release(tenant=f"t{abs(hash(request.node.name))}"[:30], task="intents", number=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"weights")
    (tmp_path / "adapter" / "head.json").write_text("{}")
    return tmp_path / "adapter"


@pytest.fixture
def training(uri: str, release: Release, folder: Path) -> Callable[[], str]:
    """A training as the asset tracks it, from its first epoch to its files; gives the run that stands for it."""

    def once() -> str:
        params = {"rank": 16, "targets": ("query", "value")}
        with tracked(uri, release, params, {"scrubbed_dataset": DIGEST}, {"dagster.run_id": "run"}) as run:
            for report in FINETUNED.epochs:
                run.epoch(report)
            return run.finish(FINETUNED, folder)

    return once


def runs_of(client: MlflowClient, release: Release) -> dict[str, str]:
    experiment = client.get_experiment_by_name(release.model)
    assert experiment is not None
    return {run.info.run_id: run.info.status for run in client.search_runs([experiment.experiment_id])}


def test_a_run_holds_curves_parameters_digests_picture_and_plain_files(
    client: MlflowClient, release: Release, training: Callable[[], str], tmp_path: Path
) -> None:
    run = client.get_run(training())
    assert run.info.status == "FINISHED" and run.info.run_name == str(release)
    curve = client.get_metric_history(run.info.run_id, "macro_f1")
    assert [(point.step, point.value) for point in curve] == [(1, 0.5), (2, 0.8), (3, 0.7)]
    assert run.data.metrics["best_macro_f1"] == 0.8 and run.data.metrics["best_epoch"] == 2
    assert run.data.params["rank"] == "16" and run.data.params["trained_parameters"] == "10"
    assert run.data.tags["pedigree.digest.scrubbed_dataset"] == DIGEST
    assert [entry.dataset.source for entry in run.inputs.dataset_inputs] == [DIGEST]
    kept = Path(client.download_artifacts(run.info.run_id, "adapter", str(tmp_path)))
    assert {path.name: path.read_bytes() for path in kept.iterdir()} == {
        "adapter_model.safetensors": b"weights",
        "head.json": b"{}",
    }
    picture = Path(client.download_artifacts(run.info.run_id, "confusion.png", str(tmp_path)))
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_artifacts_lie_beside_the_database_and_not_in_the_working_folder(
    client: MlflowClient, uri: str, training: Callable[[], str]
) -> None:
    where = client.get_run(training()).info.artifact_uri
    assert where.startswith(Path(uri.removeprefix("sqlite:///")).parent.as_uri())
    assert not Path("mlruns").exists()


def test_a_re_execution_finds_the_finished_run_again(
    client: MlflowClient, release: Release, training: Callable[[], str], folder: Path
) -> None:
    assert training() == training()
    assert len(runs_of(client, release)) == 1
    (folder / "head.json").write_text('{"other": "adapter"}')
    assert training() not in (None, "") and len(runs_of(client, release)) == 2


def test_a_run_left_open_by_a_killed_build_is_closed_and_not_taken_for_done(
    client: MlflowClient, uri: str, release: Release, training: Callable[[], str], folder: Path
) -> None:
    # The child is killed the hard way between the run's creation and its end.
    if (child := os.fork()) == 0:
        MlflowClient.log_artifacts = lambda *args, **kwargs: os.kill(os.getpid(), 9)  # type: ignore[method-assign]
        training()
    os.waitpid(child, 0)
    assert list(runs_of(client, release).values()) == ["RUNNING"]
    done = training()
    runs = runs_of(client, release)
    assert runs.pop(done) == "FINISHED" and list(runs.values()) == ["KILLED"]


def test_curves_grow_while_the_training_goes_on_and_a_failed_one_leaves_a_failed_run(
    client: MlflowClient, uri: str, release: Release
) -> None:
    with pytest.raises(ZeroDivisionError), tracked(uri, release, {}, {}) as run:
        run.epoch(FINETUNED.epochs[0])
        assert [point.value for point in client.get_metric_history(run.run_id, "loss")] == [0.9]
        raise ZeroDivisionError
    assert list(runs_of(client, release).values()) == ["FAILED"]


def test_a_failure_while_logging_leaves_a_failed_run_and_the_next_try_succeeds(
    client: MlflowClient, release: Release, training: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: object, **kwargs: object) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as fault, pytest.raises(OSError, match="no space"):
        fault.setattr(MlflowClient, "log_artifacts", broken)
        training()
    assert list(runs_of(client, release).values()) == ["FAILED"]
    assert client.get_run(training()).info.status == "FINISHED"


def test_a_signed_release_is_registered_once(
    client: MlflowClient, uri: str, release: Release, training: Callable[[], str]
) -> None:
    run_id = training()
    assert register(uri, release, run_id, DIGEST) == register(uri, release, run_id, DIGEST) == "1"
    (version,) = client.search_model_versions(f"name = '{release.served_name}'")
    assert version.tags == {"pedigree.release": str(release), "pedigree.digest": DIGEST}
    assert version.run_id == run_id and version.source.endswith("/artifacts/adapter")
    assert client.get_model_version_by_alias(release.served_name, tracking.ALIAS).version == version.version


def test_a_kill_before_the_alias_is_mended_by_the_next_call(
    client: MlflowClient, uri: str, release: Release, training: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = training()
    with monkeypatch.context() as fault, pytest.raises(KeyboardInterrupt):
        fault.setattr(MlflowClient, "set_registered_model_alias", interrupted)
        register(uri, release, run_id, DIGEST)
    assert register(uri, release, run_id, DIGEST) == "1"
    assert client.get_model_version_by_alias(release.served_name, tracking.ALIAS).version in (1, "1")


def interrupted(*args: object) -> None:
    raise KeyboardInterrupt


def test_the_alias_stays_on_the_newest_release(
    client: MlflowClient, uri: str, release: Release, training: Callable[[], str]
) -> None:
    run_id = training()
    later = release.model_copy(update={"number": 2})
    assert register(uri, release, run_id, DIGEST) == "1"
    assert register(uri, later, run_id, OTHER) == "2"
    register(uri, release, run_id, DIGEST)
    assert str(client.get_model_version_by_alias(release.served_name, tracking.ALIAS).version) == "2"


def test_another_digest_for_a_registered_release_is_refused(
    uri: str, release: Release, training: Callable[[], str]
) -> None:
    run_id = training()
    register(uri, release, run_id, DIGEST)
    with pytest.raises(TrackingConflict, match="build a new one"):
        register(uri, release, run_id, OTHER)
