"""What MLflow, the catalogue, is told of a release: one run a training, one registry version a signed release.

Nothing is read back from it as truth. The adapter is logged as plain artifacts: mlflow.transformers reloads a model
that was saved from a local base with random weights.
"""

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.custody.canonical import sha256_document, sha256_file
from governance.tenants import Release

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient
    from mlflow.entities import Run

    from assets.training.finetune import Finetuned

ALIAS = "signed"  # the newest signed version of a model
DATASET_DIGEST = 36  # characters MLflow keeps of a dataset's digest; a tag holds the whole
MODEL_PARAMETER = 6000  # characters MLflow keeps of a parameter's value


class TrackingConflict(RuntimeError):
    """MLflow already holds something else under this release's name."""


def track(
    uri: str,
    experiment: str,
    release: Release,
    finetuned: "Finetuned",
    *,
    params: Mapping[str, Any],
    digests: Mapping[str, str],
    folder: Path,
    metrics: Mapping[str, float] | None = None,
    tags: Mapping[str, str] | None = None,
) -> str:
    """Log the training of `release` as one finished MLflow run of `experiment`; give its run id.

    `digests`: sha256 of each dataset by name. `folder`: the adapter's files. A run that a killed build left open is
    ended as KILLED; the finished run of the same adapter is given again, so a re-execution makes no second one.
    """
    client = _client(uri)
    where = _experiment(client, uri, experiment)
    adapter = folder_digest(folder)
    for run in client.search_runs([where], f"tags.`pedigree.release` = '{release}'"):
        if run.info.status in ("RUNNING", "SCHEDULED"):
            client.set_terminated(run.info.run_id, "KILLED")
        elif run.info.status == "FINISHED" and run.data.tags.get("pedigree.adapter") == adapter:
            return str(run.info.run_id)
    named = {"pedigree.release": str(release), "pedigree.adapter": adapter}
    named |= {f"pedigree.digest.{name}": digest for name, digest in digests.items()}
    run = client.create_run(where, tags={**(tags or {}), **named}, run_name=str(release))
    status = "FAILED"
    try:
        _log_training(client, run, finetuned, params, metrics or {})
        _log_datasets(client, run, digests)
        client.log_figure(run.info.run_id, confusion_figure(finetuned), "confusion.png")
        client.log_artifacts(run.info.run_id, str(folder), "adapter")
        status = "FINISHED"
    finally:
        client.set_terminated(run.info.run_id, status)
    return str(run.info.run_id)


def register(uri: str, release: Release, run_id: str, digest: str, tags: Mapping[str, str] | None = None) -> str:
    """Register a signed release as a version of `tenant.task`; give the version. Its adapter is that of `run_id`.

    Once a release, whenever it is called again. Raises TrackingConflict when the release has another digest there.
    """
    client = _client(uri)
    name = release.served_name
    _ensure_model(client, name)
    versions = client.search_model_versions(f"name = '{name}'")
    version = next((v for v in versions if v.tags.get("pedigree.release") == str(release)), None)
    if version is None:
        # The tags go in with the version, in one transaction: a kill cannot leave a version that nobody recognizes.
        version = client.create_model_version(
            name,
            source=f"{client.get_run(run_id).info.artifact_uri}/adapter",
            run_id=run_id,
            tags={**(tags or {}), "pedigree.release": str(release), "pedigree.digest": digest},
        )
    elif (registered := version.tags.get("pedigree.digest")) != digest:
        raise TrackingConflict(
            f"MLflow has {release} as version {version.version} of {name} with digest {registered}, not {digest}; "
            "a signed release never changes: build a new one"
        )
    if all(int(other.version) <= int(version.version) for other in versions):
        client.set_registered_model_alias(name, ALIAS, version.version)
    return str(version.version)


def run_of(uri: str, release: Release, adapter: str) -> str | None:
    """The finished run in which `adapter` (its `folder_digest`) of `release` was trained; None when MLflow lost it."""
    client = _client(uri)
    if (experiment := client.get_experiment_by_name(release.model)) is None:
        return None
    wanted = f"tags.`pedigree.release` = '{release}' AND tags.`pedigree.adapter` = '{adapter}'"
    runs = client.search_runs([experiment.experiment_id], f"{wanted} AND attributes.status = 'FINISHED'")
    return str(runs[0].info.run_id) if runs else None


def folder_digest(folder: Path) -> str:
    """One sha256 for all files of `folder`, by name and content."""
    return sha256_document({path.name: sha256_file(path) for path in sorted(folder.iterdir())})


def confusion_figure(finetuned: "Finetuned") -> "Figure":
    """The validation part's confusion matrix as a picture: rows are the labels, columns the answers."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    labels, counts = finetuned.labels, finetuned.confusion
    side = min(24.0, 4.0 + 0.3 * len(labels))
    figure = Figure(figsize=(side, side), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    shares = [[count / max(1, sum(row)) for count in row] for row in counts]
    axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=1.0)
    axes.set_xticks(range(len(labels)), labels, rotation=90)
    axes.set_yticks(range(len(labels)), labels)
    axes.set(xlabel="answered", ylabel="label", title=f"validation, epoch {finetuned.best_epoch}")
    for row, line in enumerate(counts):
        for column, count in enumerate(line):
            if count:
                shade = "white" if shares[row][column] > 0.5 else "black"
                axes.text(column, row, str(count), ha="center", va="center", color=shade, fontsize=7)
    return figure


def _client(uri: str) -> "MlflowClient":
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"  # read when mlflow is imported
    from mlflow import MlflowClient

    if database := _database(uri):
        database.parent.mkdir(parents=True, exist_ok=True)
    return MlflowClient(tracking_uri=uri, registry_uri=uri)


def _database(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _experiment(client: "MlflowClient", uri: str, name: str) -> str:
    """The experiment's id, made when missing. Without a server, artifacts lie beside the database, not in the cwd."""
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    database = _database(uri)
    location = None if database is None else (database.parent.resolve() / "artifacts" / name).as_uri()
    try:
        return str(client.create_experiment(name, location))
    except MlflowException:
        if found := client.get_experiment_by_name(name):  # another run made it in between
            return str(found.experiment_id)
        raise


def _ensure_model(client: "MlflowClient", name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise


def _log_training(
    client: "MlflowClient",
    run: "Run",
    finetuned: "Finetuned",
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
) -> None:
    from mlflow.entities import Metric, Param

    now = int(time.time() * 1000)
    best = asdict(finetuned.epochs[finetuned.best_epoch - 1])
    measured = {f"best_{name}": value for name, value in best.items()} | dict(metrics)
    points = [Metric(name, value, now, 0) for name, value in measured.items()]
    for report in finetuned.epochs:
        curve = {name: value for name, value in asdict(report).items() if name != "epoch"}
        points += [Metric(name, value, now, report.epoch) for name, value in curve.items()]
    facts = dict(params) | {
        "labels": len(finetuned.labels),
        "trained_parameters": finetuned.parameters,
        "frozen_parameters": finetuned.frozen_parameters,
        "class_weights": finetuned.class_weights is not None,
    }
    client.log_batch(
        run.info.run_id, points, [Param(name, str(value)[:MODEL_PARAMETER]) for name, value in facts.items()]
    )


def _log_datasets(client: "MlflowClient", run: "Run", digests: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput

    datasets: Sequence[DatasetInput] = [
        DatasetInput(Dataset(name, digest[:DATASET_DIGEST], "sha256", digest)) for name, digest in digests.items()
    ]
    client.log_inputs(run.info.run_id, datasets)
