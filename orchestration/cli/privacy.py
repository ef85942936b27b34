"""reidentify and forget: what was encrypted about one subject, readable again, or never again."""

import sys
from functools import partial
from typing import Annotated
from uuid import UUID

import typer
from rich.console import Console

from orchestration.settings import load_settings

console = Console(highlight=False)


def reidentify(
    tenant: Annotated[str, typer.Argument(help="TENANT")],
    subject: Annotated[str, typer.Argument(help="subject_id of the record")],
) -> None:
    """Copy standard input to standard output with what the subject's key opens in plain text."""
    from governance.privacy import subject_keys

    settings = load_settings()
    key = subject_keys.existing_key(subject_keys.keys_file(settings.keys_dir, tenant), subject)
    for line in sys.stdin:
        sys.stdout.write(subject_keys.reidentify(key, line))


def forget(
    tenant: Annotated[str, typer.Argument(help="TENANT")],
    subject: Annotated[UUID, typer.Argument(help="subject_id of the record")],
    reason: Annotated[str, typer.Option(help="why; kept in the audit log, so it must name nobody")],
    approver: Annotated[str, typer.Option(help="who approves it; kept in the audit log")],
) -> None:
    """Destroy the subject's key: nobody can read again what was encrypted about this person. Cannot be undone."""
    from governance.audit.log import append
    from governance.privacy import erasure

    settings = load_settings()
    settings.company().tenant(tenant)
    record = partial(append, settings.store(), settings.keys_dir)
    erasure.forget(settings.keys_dir, tenant, subject, approver, reason, record)
    console.print(f"the key of subject {subject} is destroyed; destroy it in backups of {settings.keys_dir} too")
