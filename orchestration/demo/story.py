"""The story of the demo: three tenants deliver; releases are built, gated, signed, promoted, drifted, stopped, rolled
back and traced. Every step goes the way a user's would: uploads, the sensor, materializations, requests to Triton."""

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

from governance.custody.records import pointed, read_record
from governance.tenants import Release
from orchestration import stack
from orchestration.cli.releases import tree
from orchestration.demo.memory import PeakMemory
from orchestration.demo.watching import StoryFailed, expect, wait_for_launch, wait_for_runs
from orchestration.launch import launch, promotion
from orchestration.settings import Settings, load_settings
from orchestration.stack.supervisor import read_ledger

STATE = Path(".pedigree/demo")
REQUESTS = {
    "northbank.support-intents": "I lost my card on the train, please block it",
    "stclare.triage-notes": "Chest pain radiating to the left arm since this morning, sweating",
    "loomworks.log-triage": "checkout | connection to database timed out after 30 s",
}
DRIFTING = "loomworks.log-triage"


def tell(console: Console) -> None:
    """Run the whole story on a fresh state folder. Raises StoryFailed; the stack is stopped in every case."""
    settings = _fresh()
    began = time.monotonic()
    try:
        with _chapter(console, "1. The stack"):
            settings = stack.start(settings, report=lambda part, news: console.print(f"  {part}: {news}"))
        pids = [os.getpid(), *(entry.pid for entry in read_ledger(settings.state_dir).values())]
        with PeakMemory(pids) as memory:
            _chapters(console, settings)
        peak = memory.peak_bytes / 1e9
    finally:
        with _chapter(console, "The stack stops"):
            stack.stop(load_settings(state_dir=settings.state_dir))
    console.print(
        f"\n[green bold]The line holds.[/] {time.monotonic() - began:.0f} s, peak memory {peak:.1f} GB. "
        f"Look around in it: PEDIGREE_STATE_DIR={STATE} make up"
    )


def _fresh() -> Settings:
    os.environ["PEDIGREE_STATE_DIR"] = str(STATE)
    settings = load_settings()
    stack.stop(settings)
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    settings.state_dir.mkdir(parents=True)
    return settings


def _chapters(console: Console, settings: Settings) -> None:
    samples = settings.state_dir / "samples"
    first = [f"{model}@1" for model in REQUESTS]
    with _chapter(console, "2. Three tenants deliver; the sensor builds their first releases"):
        _generate_and_deliver(console, settings, samples)
        _build(console, settings, first)
    with _chapter(console, "3. Promotion to three regions"):
        _promote(console, settings, first, "first release")
        before = _ask_everywhere(console, settings)
    with _chapter(console, "4. A second delivery: renamed column, changed types, new nested fields, 1 % broken rows"):
        _deliver(console, settings, samples, "second")
        _build(console, settings, [f"{DRIFTING}@2"])
        _show_drift(console, settings, Release.parse(f"{DRIFTING}@2"))
        _promote(console, settings, [f"{DRIFTING}@2"], "new delivery")
        _ask_everywhere(console, settings)
    with _chapter(console, "5. A third delivery with shuffled labels is stopped by the gate"):
        _deliver(console, settings, samples, "third")
        _stopped(console, settings, f"{DRIFTING}@3")
    with _chapter(console, "6. Rollback of all regions to release 1, by materialization"):
        _promote(console, settings, [f"{DRIFTING}@1"], "rollback drill")
        after = _ask_everywhere(console, settings)
        expect(after == before, "the answers after the rollback are not bit-identical to those before")
        console.print("  [green]every score in every region is bit-identical to the first[/]")
    with _chapter(console, "7. The line of what answers now"):
        _trace(console, settings)
