"""What MLflow, the catalogue, is told of a release: one run a training, one registry version a signed release.

Nothing is read back from it as truth. The adapter is logged as plain artifacts: mlflow.transformers reloads a model
that was saved from a local base with random weights.
"""

import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.custody.canonical import sha256_document, sha256_file
from governance.tenants import Release

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from mlflow import MlflowClient

    from assets.training.finetune import EpochReport, Finetuned

ALIAS = "signed"  # the newest signed version of a model
DATASET_DIGEST = 36  # characters MLflow keeps of a dataset's digest; a tag holds the whole
MODEL_PARAMETER = 6000  # characters MLflow keeps of a parameter's value


class TrackingConflict(RuntimeError):
    """MLflow already holds something else under this release's name."""


@contextmanager
def tracked(
    uri: str,
    release: Release,
    params: Mapping[str, Any],
    digests: Mapping[str, str],
    tags: Mapping[str, str] | None = None,
) -> Iterator["Tracked"]:
    """One MLflow run, in the experiment of the release's model, around one training; FAILED when the body raises.

    `digests`: sha256 of each dataset by name. A run that a killed build of this release left open is ended as KILLED.
    """
    client = _client(uri)
    where = _experiment(client, uri, release.model)
    for left in client.search_runs([where], f"tags.`pedigree.release` = '{release}'"):
        if left.info.status in ("RUNNING", "SCHEDULED"):
            client.set_terminated(left.info.run_id, "KILLED")
    named = {"pedigree.release": str(release)} | {f"pedigree.digest.{name}": value for name, value in digests.items()}
    run_id = client.create_run(where, tags={**(tags or {}), **named}, run_name=str(release)).info.run_id
    try:
        _log_params(client, run_id, params)
        _log_datasets(client, run_id, digests)
        yield Tracked(client, uri, release, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise


@dataclass(frozen=True)
class Tracked:
    """An MLflow run that is open while its training goes on."""

    client: "MlflowClient"
    uri: str
    release: Release
    run_id: str

    def epoch(self, report: "EpochReport") -> None:
        """A point on each curve."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        curve = {name: value for name, value in asdict(report).items() if name != "epoch"}
        points = [Metric(name, value, now, report.epoch) for name, value in curve.items()]
        self.client.log_batch(self.run_id, points)

    def finish(self, finetuned: "Finetuned", folder: Path) -> str:
        """Log what came out, `folder` being the adapter's files, and end the run; give its id.

        Where a finished run of the same adapter stands already, as after a re-execution, that one is kept and given.
        """
        adapter = folder_digest(folder)
        if earlier := run_of(self.uri, self.release, adapter):
            self.client.delete_run(self.run_id)
            return earlier
        _log_outcome(self.client, self.run_id, finetuned)
        self.client.log_figure(self.run_id, confusion_figure(finetuned), "confusion.png")
        self.client.log_artifacts(self.run_id, str(folder), "adapter")
        self.client.set_tag(self.run_id, "pedigree.adapter", adapter)
        self.client.set_terminated(self.run_id, "FINISHED")
        return self.run_id


def register(uri: str, release: Release, run_id: str, digest: str) -> str:
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
            tags={"pedigree.release": str(release), "pedigree.digest": digest},
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


def _log_params(client: "MlflowClient", run_id: str, params: Mapping[str, Any]) -> None:
    from mlflow.entities import Param

    client.log_batch(run_id, params=[Param(name, str(value)[:MODEL_PARAMETER]) for name, value in params.items()])


def _log_outcome(client: "MlflowClient", run_id: str, finetuned: "Finetuned") -> None:
    from mlflow.entities import Metric

    now = int(time.time() * 1000)
    best = asdict(finetuned.epochs[finetuned.best_epoch - 1])
    client.log_batch(run_id, [Metric(f"best_{name}", value, now, 0) for name, value in best.items()])
    facts = {
        "labels": len(finetuned.labels),
        "trained_parameters": finetuned.parameters,
        "frozen_parameters": finetuned.frozen_parameters,
        "class_weights": finetuned.class_weights is not None,
    }
    _log_params(client, run_id, facts)


def _log_datasets(client: "MlflowClient", run_id: str, digests: Mapping[str, str]) -> None:
    from mlflow.entities import Dataset, DatasetInput

    datasets: Sequence[DatasetInput] = [
        DatasetInput(Dataset(name, digest[:DATASET_DIGEST], "sha256", digest)) for name, digest in digests.items()
    ]
    client.log_inputs(run_id, datasets)
