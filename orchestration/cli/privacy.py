"""reidentify: what was encrypted about one subject, readable again for who holds the keys."""

import sys
from typing import Annotated

import typer

from orchestration.settings import load_settings


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
