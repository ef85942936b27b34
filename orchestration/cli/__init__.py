"""The `pedigree` command line: one file a group of commands, each group added by one line here.

A group imports what is heavy inside its commands, so that `pedigree --help` stays quick.
"""

import functools
from collections.abc import Callable
from typing import Any

import typer
from rich.console import Console

from orchestration.cli import access, audit, deliver, demo, keys, privacy, releases, stack

ROOMS = {"orchestration", "assets", "serving", "governance"}

app = typer.Typer(
    help="From a client's files to a signed adapter that answers in every region, and back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def add(group: str, *commands: Callable[..., Any], to: typer.Typer = app) -> None:
    """Add a group of commands; each is called by the name of its function."""
    for command in commands:
        to.command(rich_help_panel=group)(_explained(command))


def _explained(command: Callable[..., Any]) -> Callable[..., Any]:
    """Our own errors are sentences for people: shown as such, exit code 1. Any other error is a bug: traceback."""

    @functools.wraps(command)
    def explained(*args: Any, **options: Any) -> Any:
        try:
            return command(*args, **options)
        except Exception as fault:
            if type(fault).__module__.partition(".")[0] not in ROOMS:
                raise
            Console(stderr=True, highlight=False).print(str(fault), style="red", markup=False)
            raise typer.Exit(1) from fault

    return explained


add("The local stack", stack.up, stack.down, stack.status, demo.demo)
add("Deliveries", deliver.deliver, deliver.generate)
add("Releases", releases.trace, releases.verify, releases.promote, releases.rollback, releases.reconcile)
add("Privacy", privacy.reidentify, privacy.forget)
trust = typer.Typer(help="The trust repository and its keys.", no_args_is_help=True)
app.add_typer(trust, name="keys", rich_help_panel="Releases")
add("Keys", keys.init, keys.refresh, keys.rotate, keys.revoke, keys.status, to=trust)
log = typer.Typer(help="Who did what and why, and proofs of it.", no_args_is_help=True)
app.add_typer(log, name="audit", rich_help_panel="Releases")
add("The audit log", audit.verify, audit.show, audit.prove, audit.growth, to=log)
add("The gateway", access.token, access.api_key)
