"""audit verify, show, prove, growth: the audit log for people, and proofs for those who need not believe us."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from orchestration.settings import load_settings

console = Console()
Into = Annotated[Path, typer.Option(help="folder for the files")]


def verify() -> None:
    """Hold every entry against the signed checkpoint and against what each region saw. Exit code 1 names the fault."""
    from governance.audit.verify import verify_log
    from governance.custody.keys import trusted_keys

    settings = load_settings()
    roots = {region: settings.region_root(region) for region in settings.company().regions}
    verdict = verify_log(settings.store(), trusted_keys(settings.keys_dir), roots)
    for fault in verdict.faults:
        console.print(f"[red]refused[/] {fault}")
    if verdict.faults:
        raise typer.Exit(1)
    seen = ", ".join(f"{region} saw {size}" for region, size in verdict.seen.items())
    pending = f"; {verdict.pending} wait for the next append" if verdict.pending else ""
    console.print(f"[green]verified[/] {verdict.size} entries under one signed root; {seen}{pending}")


def show(
    model: Annotated[str | None, typer.Option(help="TENANT/TASK; every act when left out")] = None,
    limit: Annotated[int, typer.Option(help="how many, newest first", min=1)] = 20,
) -> None:
    """Who did what, to which release, region or key, and why; newest first."""
    from governance.audit.find import newest, row
    from governance.audit.keys import log_public
    from governance.audit.log import read_head
    from governance.custody.keys import trusted_keys

    settings = load_settings()
    store = settings.store()
    head = read_head(store, log_public(trusted_keys(settings.keys_dir)))
    table = Table()
    for column in ("index", "when", "what", "of", "who", "why", "run"):
        table.add_column(column, overflow="fold")
    for said in newest(store, head.checkpoint.size, limit, model):
        table.add_row(*(str(cell)[:8] if name == "run" else str(cell) for name, cell in row(said).items()))
    console.print(table)


def prove(index: Annotated[int, typer.Argument(min=0)], into: Into = Path()) -> None:
    """Write an entry and the proof that it is in the log; docs/verify-the-audit-log.md checks them without us."""
    from governance.audit.proofs import prove
    from governance.custody.keys import trusted_keys

    settings = load_settings()
    line, proof = prove(settings.store(), trusted_keys(settings.keys_dir), index)
    entry = into / f"audit-{index}.json"
    entry.write_bytes(line)
    entry.with_suffix(".tlog-proof").write_text(proof)
    console.print(f"{entry} and {entry.with_suffix('.tlog-proof')}")


def growth(
    size: Annotated[int, typer.Argument(help="how many entries an older checkpoint covers", min=1)], into: Into = Path()
) -> None:
    """Write the proof that the log of today begins with its first SIZE entries: nothing was taken back since."""
    from governance.audit.proofs import prove_growth
    from governance.custody.keys import trusted_keys

    settings = load_settings()
    path = into / f"audit-from-{size}.growth"
    path.write_text(prove_growth(settings.store(), trusted_keys(settings.keys_dir), size))
    console.print(str(path))
