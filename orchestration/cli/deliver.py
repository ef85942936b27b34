"""deliver, generate: how files get into a tenant's landing bucket, and example files to start with."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TransferSpeedColumn
from rich.table import Table

from orchestration.settings import load_settings

console = Console()


class DeliveryInterrupted(RuntimeError):
    """The upload was cut off; the same command continues it."""


def deliver(
    tenant: Annotated[str, typer.Argument(help="as in pedigree.yaml")],
    dataset: Annotated[str, typer.Argument(help="as in pedigree.yaml")],
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", help="files; a folder means all files under it")],
    name: Annotated[str | None, typer.Option(help="of the delivery; named after its content when left out")] = None,
) -> None:
    """Upload files as one delivery. Cut off, the same command continues it; repeated, it changes nothing."""
    from boto3.exceptions import S3UploadFailedError
    from botocore.exceptions import BotoCoreError, ClientError

    from assets.ingestion.delivery import deliver as upload

    settings = load_settings()
    settings.company().task_of_dataset(tenant, dataset)
    store = settings.store()
    tasks: dict[str, TaskID] = {}
    with _progress() as progress:

        def advance(file: str, sent: int, size: int) -> None:
            if file not in tasks:
                tasks[file] = progress.add_task(file, total=size)
            progress.advance(tasks[file], sent)

        try:
            delivery = upload(store, tenant, dataset, paths, name, advance)
        except (BotoCoreError, ClientError, S3UploadFailedError, OSError) as fault:
            raise DeliveryInterrupted(
                f"the delivery to {tenant}/{dataset} was cut off: {fault}; run the same command again, "
                "what has arrived is not sent twice"
            ) from fault
    count = len(delivery.manifest.files)
    how = f"{delivery.sent} of {count} files sent" if delivery.sent else f"all {count} files were there already"
    console.print(f"[bold]{tenant}/{dataset}/{delivery.name}[/] is closed, {how}", highlight=False)


def generate(
    folder: Annotated[Path, typer.Argument(help="a folder that does not exist yet, or is empty")],
    rows: Annotated[int, typer.Option(min=20, help="rows of each delivery")] = 3500,
    seed: Annotated[int, typer.Option(help="other numbers give other people and texts")] = 7,
) -> None:
    """Write example deliveries of the three tenants of pedigree.yaml: FOLDER/TENANT/DATASET/DELIVERY/."""
    from orchestration.samples import generate as write

    table = Table("tenant", "dataset", "delivery", "files", "what it shows")
    with console.status(f"writing {rows} rows a delivery into {folder}"):
        for sample in write(folder, rows=rows, seed=seed):
            files = ", ".join(path.name for path in sorted(sample.folder.iterdir()))
            table.add_row(sample.tenant, sample.dataset, sample.delivery, files, sample.shows)
    console.print(table)


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    return Progress(*columns, console=console)
