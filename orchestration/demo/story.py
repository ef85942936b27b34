"""The story of the demo: three tenants deliver; releases are built, gated, signed, promoted, drifted, stopped, rolled
back and traced. Every step goes the way a user's would: uploads, the sensor, materializations, requests to Triton."""

import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.table import Table

from assets.ingestion.delivery import deliver
from governance.tenants import Release
from orchestration import stack
from orchestration.cli.releases import tree
from orchestration.cli.stack import start_with_progress
from orchestration.demo.findings import drift_and_quarantine, gate_reasons
from orchestration.demo.memory import PeakMemory
from orchestration.demo.watching import expect, wait_for_launch, wait_for_runs
from orchestration.launch import Run, launch, promotion
from orchestration.samples import Sample, generate
from orchestration.settings import Settings, load_settings
from orchestration.stack import replica
from orchestration.stack.supervisor import read_ledger
from orchestration.tracing import trace_region
from serving.triton.client import ask

STATE = ".pedigree/demo"
FIRST_ROWS = 3100  # seven in ten subjects judge: more than 2,000 evaluation rows
LATER_ROWS = 800
QUESTIONS = {
    "northbank.support-intents": "I lost my card on the train, please block it",
    "stclare.triage-notes": "Chest pain radiating to the left arm since this morning, sweating",
    "loomworks.log-triage": "checkout | connection to the database timed out after 30 s",
}
DRIFTING = Release(tenant="loomworks", task="log-triage", number=1)
Scores = dict[tuple[str, str], tuple[str, bytes]]


def tell(console: Console) -> None:
    """Run the whole story in a fresh state folder; the stack is stopped in every case. Raises StoryFailed."""
    began = time.monotonic()
    settings = _fresh()
    try:
        with _chapter(console, "The stack"):
            settings = start_with_progress(settings, _parts(settings))
        pids = [os.getpid(), *(entry.pid for entry in read_ledger(settings.state_dir).values())]
        with PeakMemory(pids) as memory:
            _chapters(console, settings)
    finally:
        with _chapter(console, "The stack stops"):
            stack.stop(settings)
    console.print(
        f"\n[green bold]The line holds.[/] {time.monotonic() - began:.0f} s, peak memory "
        f"{memory.peak_bytes / 1e9:.1f} GB. Look around in it: PEDIGREE_STATE_DIR={STATE} make up"
    )


def _fresh() -> Settings:
    os.environ["PEDIGREE_STATE_DIR"] = STATE
    settings = load_settings()
    stack.stop(settings)
    shutil.rmtree(settings.state_dir, ignore_errors=True)
    return settings


def _parts(settings: Settings) -> list[str]:
    """Whom the story tells of, with those whom they need: nothing happens in it between a client and Triton."""
    replicas = (replica.part_name(region) for region in settings.company().regions)
    return ["mlflow", "pages", *replicas, "dagster-daemon"]


def _chapters(console: Console, settings: Settings) -> None:
    samples = generate(settings.state_dir / "samples" / "first", FIRST_ROWS)
    later = generate(settings.state_dir / "samples" / "later", LATER_ROWS)
    first = [Release.parse(f"{model}@1") for model in QUESTIONS]
    second, third = (DRIFTING.model_copy(update={"number": number}) for number in (2, 3))
    with _chapter(console, "Three tenants deliver; the sensor starts the builds of their first releases"):
        _deliver(console, settings, samples, "first")
        _build(console, settings, first)
    with _chapter(console, "Promotion to three regions, by materialization"):
        _promote(console, settings, first, "first release")
        before = _ask_everywhere(console, settings)
    with _chapter(console, "A second delivery: renamed column, other types, new nested fields, 1 % broken rows"):
        _deliver(console, settings, later, "second")
        _build(console, settings, [second])
        drift_and_quarantine(console, settings.store(), second)
        _promote(console, settings, [second], "more data, at parity")
        _ask_everywhere(console, settings)
    with _chapter(console, "A third delivery, labels shuffled, is stopped by the gate"):
        _deliver(console, settings, later, "third")
        _stopped(console, settings, third)
    with _chapter(console, "Rollback of all regions to release 1, by materialization"):
        _promote(console, settings, [DRIFTING], "rollback")
        after = _ask_everywhere(console, settings)
        expect(after == before, "the answers after the rollback are not bit-identical to those of release 1")
        console.print("  [green]every score in every region is bit-identical to the first[/]")
    with _chapter(console, "The line of what answers now"):
        node = trace_region(settings, DRIFTING.tenant, DRIFTING.task, next(iter(settings.company().regions)), False)
        console.print(tree(node))
        expect(node.whole, "the line is broken")


@contextmanager
def _chapter(console: Console, title: str) -> Iterator[None]:
    began = time.monotonic()
    console.rule(f"[bold]{title}", align="left")
    yield
    console.print(f"  [dim]{time.monotonic() - began:.0f} s[/]")


def _deliver(console: Console, settings: Settings, samples: Sequence[Sample], name: str) -> None:
    for sample in samples:
        if sample.delivery == name:
            deliver(settings.store(), sample.tenant, sample.dataset, [sample.folder], name)
            console.print(f"  {sample.tenant} delivered {sample.dataset}/{name}: {sample.shows}")


def _build(console: Console, settings: Settings, releases: Sequence[Release]) -> None:
    for release, run in _built(console, settings, releases).items():
        expect(run.status == "SUCCESS", f"the build of {release} ended in {run.status}: {run.errors}")


def _built(console: Console, settings: Settings, releases: Sequence[Release]) -> dict[str, Run]:
    launched = wait_for_launch(console, settings.dagster_url, [str(release) for release in releases])
    return wait_for_runs(console, settings.dagster_url, launched)


def _promote(console: Console, settings: Settings, releases: Sequence[Release], reason: str) -> None:
    url = settings.dagster_url
    launched = {
        f"{release} in {region}": promotion(url, release, region, reason, "demo")
        for release in releases
        for region in settings.company().regions
    }
    for name, run in wait_for_runs(console, url, launched).items():
        expect(run.status == "SUCCESS", f"promoting {name} ended in {run.status}: {run.errors}")


def _ask_everywhere(console: Console, settings: Settings) -> Scores:
    """Region and model → release digest and the bytes of the scores, as Triton answers now."""
    answers: Scores = {}
    table = Table("region", "answers as", "release digest", "label", "score")
    for region, address in settings.triton.items():
        for model, question in QUESTIONS.items():
            reply = ask(address, model, [question])
            answers[region, model] = (reply.release_digest, reply.scores.tobytes())
            digest = f"{reply.release_digest[:16]}…"
            table.add_row(region, reply.model_version, digest, reply.labels[0], f"{reply.scores.max():.4f}")
    console.print(table)
    return answers


def _stopped(console: Console, settings: Settings, release: Release) -> None:
    """The build fails at the gate, and so do signing and promotion when they are materialized alone."""
    run = _built(console, settings, [release])[str(release)]
    expect(run.status == "FAILURE", f"the build of {release} with shuffled labels ended in {run.status}")
    for reason in gate_reasons(settings.store(), release):
        console.print(f"  [yellow]the gate:[/] {reason}")
    url, region = settings.dagster_url, next(iter(settings.company().regions))
    tags = {"dagster/partition": str(release)}
    alone = {
        "signed_artifact alone": launch(url, "build_release", ["signed_artifact"], tags),
        "promoted_model alone": promotion(url, release, region, "past the gate", "demo"),
    }
    for name, refused in wait_for_runs(console, url, alone).items():
        expect(refused.status == "FAILURE", f"{name} of a release that the gate stopped ended in {refused.status}")
        console.print(f"  [yellow]{name}:[/] {refused.errors[-1] if refused.errors else refused.status}")
