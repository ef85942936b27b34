"""Waiting for Dagster runs with a line that says what is waited for, and lasting lines for what got done."""

import time
from collections.abc import Iterable, Mapping

from rich.console import Console

from orchestration.launch import Run, read_run, runs_of

PATIENCE = 900.0


class StoryFailed(RuntimeError):
    """Something in the story did not go as it must; the message says what."""


def wait_for_runs(console: Console, url: str, waited: Mapping[str, str]) -> dict[str, Run]:
    """Follow runs (name → run id) until all are over; prints each asset as it is materialized. Raises StoryFailed."""
    over: dict[str, Run] = {}
    told: dict[str, int] = dict.fromkeys(waited, 0)
    deadline = time.monotonic() + PATIENCE
    with console.status("waiting") as status:
        while len(over) < len(waited):
            if time.monotonic() > deadline:
                raise StoryFailed(f"{', '.join(waited.keys() - over.keys())} did not end within {PATIENCE:.0f} s")
            lines = []
            for name in waited.keys() - over.keys():
                run = read_run(url, waited[name])
                _tell(console, name, run.messages[told[name] :])
                told[name] = len(run.messages)
                lines.append(f"{name}: {_short(run.messages[-1]) if run.messages else run.status.lower()}")
                if run.over:
                    over[name] = run
            status.update(" · ".join(sorted(lines)) or "done")
            time.sleep(1)
    return over


def wait_for_launch(console: Console, url: str, releases: Iterable[str]) -> dict[str, str]:
    """Wait until the sensor launched a run for each release; release → run id. Raises StoryFailed."""
    missing, found = set(releases), dict[str, str]()
    deadline = time.monotonic() + 120
    with console.status("") as status:
        while missing:
            if time.monotonic() > deadline:
                raise StoryFailed(f"the sensor launched nothing for {', '.join(sorted(missing))} within 120 s")
            status.update(f"waiting for the delivery sensor to launch {', '.join(sorted(missing))}")
            for release in sorted(missing):
                if runs := runs_of(url, {"dagster/partition": release}):
                    found[release] = runs[-1].run_id
                    console.print(f"  the sensor started build_release for [bold]{release}[/]")
            missing -= found.keys()
            time.sleep(0.5)
    return found


def expect(condition: bool, otherwise: str) -> None:
    """The story stands or falls here. Raises StoryFailed."""
    if not condition:
        raise StoryFailed(otherwise)


def _tell(console: Console, name: str, messages: Iterable[str]) -> None:
    for message in messages:
        if message.startswith("Materialized value "):
            console.print(f"  [dim]{name}[/] {message.removeprefix('Materialized value ').rstrip('.')}")


def _short(message: str) -> str:
    return message.splitlines()[0][:90]
