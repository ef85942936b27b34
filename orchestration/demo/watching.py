"""Waiting for Dagster runs with a line that says what is waited for, and lasting lines for what got done."""

import time
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rich.console import Console

from orchestration.launch import Run, read_run, runs_of

PATIENCE = 1800.0
SENSOR_PATIENCE = 120.0
LOOK_SECONDS = 2.0  # each look costs the web server a tenth of a second


class StoryFailed(RuntimeError):
    """Something in the story did not go as it must; the message says what."""


def wait_for_runs(console: Console, url: str, waited: Mapping[str, str]) -> dict[str, Run]:
    """Follow runs (name → run id) until all are over; prints each asset as it is materialized. Raises StoryFailed."""
    seen = {name: read_run(url, run_id) for name, run_id in waited.items()}
    says = {name: _tell(console, name, run) for name, run in seen.items()}
    deadline = time.monotonic() + PATIENCE
    with console.status("waiting") as status:
        while open_runs := [name for name, run in seen.items() if not run.over]:
            if time.monotonic() > deadline:
                raise StoryFailed(f"{', '.join(open_runs)} did not end within {PATIENCE:.0f} s")
            status.update(" · ".join(f"{name}: {says[name] or seen[name].status.lower()}" for name in open_runs))
            time.sleep(LOOK_SECONDS)
            for name in open_runs:
                run = read_run(url, waited[name], seen[name].cursor)
                seen[name] = replace(run, errors=seen[name].errors + run.errors)
                says[name] = _tell(console, name, run) or says[name]
    return seen


def wait_for_launch(
    console: Console, url: str, releases: Iterable[str], patience: float = SENSOR_PATIENCE
) -> dict[str, str]:
    """Wait until the sensor launched a run for each release; release → run id. Raises StoryFailed."""
    missing, found = set(releases), dict[str, str]()
    deadline = time.monotonic() + patience
    with console.status("") as status:
        while missing:
            if time.monotonic() > deadline:
                raise StoryFailed(
                    f"the sensor launched nothing for {', '.join(sorted(missing))} within {patience:.0f} s"
                )
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


def _tell(console: Console, name: str, run: Run) -> str:
    """Print what was materialized since the last look; the newest message, short, for the status line."""
    for message in run.messages:
        if message.startswith("Materialized value "):
            console.print(f"  [dim]{name}[/] {message.removeprefix('Materialized value ').rstrip('.')}")
    return run.messages[-1].splitlines()[0][:90] if run.messages else ""
