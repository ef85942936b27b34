"""The gateway of the local region: clients' requests over HTTP."""

import os
from collections.abc import Mapping
from pathlib import Path

from orchestration.settings import CHECKOUT, Settings
from orchestration.stack import kafka, redis, triton
from orchestration.stack.dagster import module
from orchestration.stack.mlflow import answers
from orchestration.stack.ports import HOST
from orchestration.stack.seaweedfs import store_environment
from orchestration.stack.supervisor import Part
from serving.gateway.issue import create_issuer

PORTS: Mapping[str, int | None] = {"http": 8080}


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def folder(settings: Settings) -> Path:
    """Where the local issuer, its JWKS and the API keys lie."""
    return settings.state_dir / "gateway"


def region(settings: Settings) -> str:
    """Which region the local gateway and workers belong to."""
    return next(iter(settings.company().regions))


def part(settings: Settings, ports: Mapping[str, Mapping[str, int]]) -> Part:
    """One gateway; it is ready when it reads its reply partition."""
    own, home = ports["gateway"], folder(settings)
    environment = {
        "PEDIGREE_GATEWAY_HOST": HOST,
        "PEDIGREE_GATEWAY_PORT": str(own["http"]),
        "PEDIGREE_GATEWAY_REGION": region(settings),
        "PEDIGREE_GATEWAY_TRITON": triton.address(ports[triton.part_name(region(settings))]),
        "PEDIGREE_GATEWAY_JWKS_FILE": str(home / "jwks.json"),
        "PEDIGREE_GATEWAY_API_KEYS_FILE": str(home / "api-keys.json"),
        "PEDIGREE_GATEWAY_ROUTING_FILE": str(CHECKOUT / "deploy" / "routing.yaml"),
        **store_environment(settings),
        **queue(settings, ports),
    }
    return Part(
        name="gateway",
        command=module("serving.gateway"),
        environment=os.environ | environment,
        address=address(own),
        ready=lambda started: answers(f"{address(own)}/readyz"),
        prepare=lambda: create_issuer(home),
    )


def queue(settings: Settings, ports: Mapping[str, Mapping[str, int]]) -> dict[str, str]:
    """How gateway and workers reach broker and Redis."""
    return kafka.client_environment(settings, ports["kafka"]) | {"PEDIGREE_REDIS_URL": redis.address(ports["redis"])}
