"""token, api-key: credentials for the gateway of the local stack."""

import time
from typing import Annotated

import typer

from orchestration.settings import load_settings

Tenant = Annotated[str, typer.Argument(help="whose models may be asked")]


def token(tenant: Tenant, minutes: Annotated[int, typer.Option(help="how long it is valid")] = 60) -> None:
    """A bearer token of the local issuer; in production the company's own issuer gives them."""
    from orchestration.stack.gateway import folder
    from serving.gateway import issue
    from serving.gateway.settings import GatewaySettings

    settings, gateway = load_settings(), GatewaySettings()
    tier = settings.company().tenant(tenant).tier
    issue.create_issuer(folder(settings))
    typer.echo(issue.token(folder(settings), tenant, tier, gateway.issuer, gateway.audience, seconds=minutes * 60))


def api_key(tenant: Tenant, days: Annotated[int, typer.Option(help="how long it is valid")] = 90) -> None:
    """A new API key, shown once; the gateway keeps its digest alone."""
    from orchestration.stack.gateway import folder
    from serving.gateway import issue

    settings = load_settings()
    tier = settings.company().tenant(tenant).tier
    folder(settings).mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder(settings) / "api-keys.json"
    typer.echo(issue.api_key(file, tenant, tier, expires=time.time() + days * 86_400))
