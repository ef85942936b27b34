"""keys: the trust repository and its keys, as one looks after them. docs/keys.md says when."""

from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from governance.custody.keys import trusted_keys
from orchestration.settings import load_settings

console = Console(highlight=False)
Reason = Annotated[str, typer.Option(help="why; kept in what is published")]
Approver = Annotated[str, typer.Option(help="who approves it; kept in what is published")]


def init() -> None:
    """Make the trust repository, or give new tenants their role in it. Repeated, it changes nothing else."""
    from governance.audit.keys import create_audit_keys
    from governance.audit.log import record_new_keys
    from governance.custody.keys import create_keys
    from governance.trust.keys import create_anchor, establish
    from orchestration.attribution import approver

    settings = load_settings()
    create_keys(settings.keys_dir, settings.company().tenants, settings.company().regions)
    create_anchor(settings.keys_dir)
    establish(settings.store(), settings.keys_dir, settings.company().tenants)
    create_audit_keys(settings.keys_dir, {name: settings.region_root(name) for name in settings.company().regions})
    record_new_keys(settings.store(), settings.keys_dir, approver())
    console.print(f"regions are given {settings.keys_dir / 'trusted' / 'root.json'}; keep root-*.pem apart and offline")


def refresh() -> None:
    """Sign anew what has lived half its time; run by a schedule, needed by hand after a long stop."""
    from governance.trust.keys import renew

    settings = load_settings()
    renew(settings.store(), settings.keys_dir)
    status()


def rotate(
    name: Annotated[str, typer.Argument(help="timestamp, root-2, promotion, audit, TENANT.release…")],
) -> None:
    """Replace a key by a fresh one. Cut off, the same command goes on."""
    from governance.audit.rotation import rotate_key
    from orchestration.attribution import approver

    settings = load_settings()
    rotate_key(settings.store(), settings.keys_dir, name, approver(), "by hand")
    console.print(f"{name} is a fresh key; the former one is in {settings.keys_dir / 'former'} and signs nothing new")


def revoke(
    what: Annotated[str, typer.Argument(help="TENANT.TASK@NUMBER, TENANT.release, or promotion")],
    reason: Reason,
    approver: Approver,
    since: Annotated[datetime | None, typer.Option(help="promotion: take back what was promoted since (UTC)")] = None,
) -> None:
    """What must not be believed any more; regions go back to the last release that holds."""
    from governance.audit.acts import revoking
    from governance.audit.log import append
    from governance.trust.revocation import revoke as take_back

    settings, moment = load_settings(), since and since.replace(tzinfo=UTC)
    append(settings.store(), settings.keys_dir, revoking(what, reason, approver))
    said = take_back(settings.store(), settings.keys_dir, what, reason, approver, moment)
    for sentence in said or ["it answered nowhere"]:
        console.print(sentence)


def status() -> None:
    """Every role: version, expiry, keys. Exit code 1 where one has expired."""
    from governance.trust.keys import status as states

    settings = load_settings()
    roles = states(settings.store(), trusted_keys(settings.keys_dir))
    table = Table("role", "version", "expires", "signatures", "keys")
    for role in roles:
        expires = f"[{'red' if role.expired else 'green'}]{role.expires:%Y-%m-%d %H:%M}[/]"
        table.add_row(
            role.role, str(role.version), expires, f"{role.threshold} of {len(role.keys)}", "\n".join(role.keys)
        )
    console.print(table)
    raise typer.Exit(1 if any(role.expired for role in roles) else 0)
