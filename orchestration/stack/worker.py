"""Workers of the local region: they answer what the gateway was asked."""

import os
from collections.abc import Mapping

from orchestration.settings import Settings
from orchestration.stack import gateway, triton
from orchestration.stack.dagster import module
from orchestration.stack.mlflow import answers
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part

PORTS: Mapping[str, int | None] = {"http": None}
NAMES = ("worker-1", "worker-2")


def part(settings: Settings, name: str, ports: Mapping[str, Mapping[str, int]]) -> Part:
    """One worker; it is ready when the broker gave it partitions."""
    own, near = ports[name], ports[triton.part_name(gateway.region(settings))]
    address = f"http://{HOST}:{own['http']}"
    environment = {
        "PEDIGREE_WORKER_HOST": HOST,
        "PEDIGREE_WORKER_PORT": str(own["http"]),
        "PEDIGREE_WORKER_TRITON_GRPC": f"{HOST}:{near['grpc']}",
        **gateway.queue(settings, ports),
    }
    return Part(
        name=name,
        command=module("serving.worker"),
        environment=os.environ | environment,
        address=address,
        ready=lambda started: answers(f"{address}/readyz"),
    )
