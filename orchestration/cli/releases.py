"""trace, verify, promote, rollback: the questions and the two moves that concern one release."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from governance.tenants import ConfigurationError, Release
from governance.trace import TraceNode, render
from orchestration.settings import Settings, load_settings

console = Console()
Reason = Annotated[str, typer.Option(help="why; kept in the signed pointer")]
Approver = Annotated[str, typer.Option(help="who approves it; kept in the signed pointer")]
Regions = Annotated[list[str] | None, typer.Option("--region", help="one or more; all when left out")]


def trace(
    model: Annotated[str, typer.Argument(help="TENANT/TASK")],
    region: Annotated[str | None, typer.Option(help="the first region of pedigree.yaml when left out")] = None,
    as_json: Annotated[bool, typer.Option("--json")] = False,
    offline: Annotated[bool, typer.Option(help="from the signed files alone: ask neither Dagster nor MLflow")] = False,
) -> None:
    """From what a region answers now, back to the files it came from. Exit code 1 where a link is broken."""
    from orchestration.tracing import trace_region

    settings = load_settings()
    tenant, _, task = model.partition("/")
    settings.company().model(tenant, task)
    node = trace_region(settings, tenant, task, region or next(iter(settings.company().regions)), offline)
    if as_json:
        print(json.dumps(node.to_json(), indent=2))
    else:
        console.print(tree(node))
    raise typer.Exit(0 if node.whole else 1)


def verify(release: Annotated[str, typer.Argument(help="TENANT.TASK@NUMBER")]) -> None:
    """Fetch a signed release and check every byte, signature and attestation of it, and its gate."""
    from assets.deployment.promote import signed_bundle
    from governance.custody.keys import trusted_keys
    from governance.custody.records import fetch_files
    from governance.custody.store import StoreError
    from governance.custody.verify import ReleaseRefused, verify_release
    from governance.gate.report import GateRefused

    settings, named = load_settings(), Release.parse(release)
    store = settings.store()
    try:
        bundle = signed_bundle(store, named)
        with TemporaryDirectory() as folder:
            fetch_files(store, bundle, Path(folder))
            digest = str(bundle.facts["release_digest"])
            verify_release(Path(folder), trusted_keys(settings.keys_dir), named.model, digest)
    except (ReleaseRefused, GateRefused, StoreError) as refused:
        console.print(f"[red]refused[/] {refused}")
        raise typer.Exit(1) from refused
    console.print(f"[green]verified[/] {named} {digest}: files, manifest, signature, attestations, gate")


def promote(
    release: Annotated[str, typer.Argument(help="TENANT.TASK@NUMBER")],
    reason: Reason,
    approver: Approver,
    region: Regions = None,
) -> None:
    """Materialize promoted_model at the release: the first region alone, and if it answers, the others."""
    first, *others = _known(load_settings(), region)
    _materialize(Release.parse(release), reason, approver, [[first], others])


def rollback(
    model: Annotated[str, typer.Argument(help="TENANT/TASK")],
    to: Annotated[int, typer.Option(help="number of the older release")],
    reason: Reason,
    approver: Approver,
    region: Regions = None,
) -> None:
    """Materialize promoted_model at an older release: the same move as promotion, in all regions at once."""
    tenant, _, task = model.partition("/")
    _materialize(Release(tenant=tenant, task=task, number=to), reason, approver, [_known(load_settings(), region)])


def reconcile() -> None:
    """Repair what Dagster and MLflow lack or have wrong about releases, from what is signed."""
    import dagster as dg

    from orchestration.reconcile import reconcile as repair
    from orchestration.stack.dagster import dagster_home, write_instance

    settings = load_settings()
    write_instance(settings)
    with dg.DagsterInstance.from_config(str(dagster_home(settings))) as instance:
        repairs = repair(settings, instance)
    for each in repairs:
        console.print(f"{each.catalogue}: {each.what}: {each.done}", highlight=False)
    if not repairs:
        console.print("both catalogues say what is signed")


def _materialize(release: Release, reason: str, approver: str, waves: list[list[str]]) -> None:
    """The regions of a wave side by side; a wave that fails is the last."""
    from orchestration.launch import promotion, wait_for

    url = load_settings().dagster_url
    for number, regions in enumerate(waves):
        runs = {region: promotion(url, release, region, reason, approver) for region in regions}
        failed = False
        for region, run_id in runs.items():
            with console.status(f"{region}: waiting for run {run_id[:8]} to make {release} answer"):
                run = wait_for(url, run_id)
            failed = failed or run.status != "SUCCESS"
            verdict = (
                f"[green]{release} answers[/]" if run.status == "SUCCESS" else f"[red]{run.status}[/] {_last(run)}"
            )
            console.print(f"{region}: {verdict}")
        if failed:
            if untouched := [region for wave in waves[number + 1 :] for region in wave]:
                console.print(f"{', '.join(untouched)}: not touched")
            raise typer.Exit(1)


def _known(settings: Settings, wanted: list[str] | None) -> list[str]:
    declared = settings.company().regions
    if unknown := sorted(set(wanted or ()) - set(declared)):
        raise ConfigurationError(f"no region {', '.join(unknown)}; declared: {', '.join(declared)}")
    return wanted or list(declared)


def _last(run: Any) -> str:
    return run.errors[-1] if run.errors else "see the run in Dagster"


def tree(node: TraceNode) -> Tree:
    """A trace as a tree for the terminal; links that do not hold are red."""
    return _branch(render(node))


def _branch(rendered: tuple[str, list[Any]]) -> Tree:
    label, behind = rendered
    branch = Tree(Text(label, style="" if label.startswith("✔") else "bold red"))
    branch.children.extend(_branch(child) for child in behind)
    return branch
