"""up, down, status: the local stack."""

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.table import Table

from orchestration.settings import Settings, load_settings

if TYPE_CHECKING:
    from orchestration.stack import Health

console = Console()


def up() -> None:
    """Start the local stack, or what is missing of it, and wait until every part answers."""
    from orchestration import stack

    settings = start_with_progress(load_settings())
    console.print(_table(stack.health(settings)))


def down() -> None:
    """Stop every part of the local stack, with all its processes."""
    from orchestration import stack

    with console.status("waiting for the parts to end"):
        ran = stack.stop(load_settings())
    console.print(f"stopped {', '.join(ran)}" if ran else "nothing was running")


def status() -> None:
    """What runs and whether it does its work, asked now. Exit code 1 when a part is down."""
    from orchestration import stack

    parts = stack.health(load_settings())
    console.print(_table(parts))
    raise typer.Exit(0 if all(part.healthy for part in parts) else 1)


def start_with_progress(settings: Settings, parts: Iterable[str] | None = None) -> Settings:
    """`stack.start`, saying what is waited for; the settings with the addresses. Raises StackError."""
    from orchestration import stack

    began: dict[str, float] = {}
    with console.status("looking at what runs") as line:

        def report(part: str, news: str) -> None:
            if news == "starting":
                began[part] = time.monotonic()
            else:
                console.print(f"[green]✔[/] {part} answers after {time.monotonic() - began.pop(part):.1f} s")
            line.update(f"waiting for {', '.join(began)}")

        return stack.start(settings, parts, report)


def _table(parts: "Iterable[Health]") -> Table:
    table = Table("part", "pid", "health")
    table.add_column("address", overflow="fold")
    for part in parts:
        health = "[green]healthy[/]" if part.healthy else f"[red]{part.remark}[/]"
        table.add_row(part.part, str(part.pid or "–"), health, part.address)
    return table
