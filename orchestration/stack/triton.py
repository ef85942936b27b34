"""Triton: one process a region, with the resident base loaded. How it is started is serving/triton/server.py's."""

import hashlib
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from governance.tenants import Company
from orchestration.settings import Settings
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part, StackError
from serving.engine.base import base_folder
from serving.triton import client, repository, server
from serving.triton.install import location

PORTS: Mapping[str, int | None] = {"http": None, "grpc": None, "metrics": None}


def part_name(region: str) -> str:
    return f"triton-{region}"


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def part(settings: Settings, region: str, ports: Mapping[str, int]) -> Part:
    """The region's Triton over `settings.region_root(region)`. Raises StackError."""
    base = resident_base(settings.company())
    root = settings.region_root(region)
    # A crash leaves the backend's shared memory behind; under a name of our own it can be found, and only ours.
    shared_memory = f"pedigree_{hashlib.sha256(str(root).encode()).hexdigest()[:12]}_"
    command = server.command(root, base, server.Ports(**ports), location())
    return Part(
        name=part_name(region),
        command=[sys.executable, "-m", "serving.triton.keep", shared_memory, *command],
        environment=server.environment(root, server.Ports(**ports), location()),
        address=address(ports),
        ready=lambda started: client.is_ready(address(ports), timeout=3),
        prepare=lambda: _prepare(settings, base, root),
        leftovers=(f"/dev/shm/{shared_memory}*",),
    )


def resident_base(company: Company) -> str:
    """The base that every model is trained against. Raises StackError when the company's models use several."""
    used = sorted({model.base for _, _, model in company.each_model()})
    if len(used) != 1:
        raise StackError(
            f"a region's Triton holds one base, the models of pedigree.yaml use {', '.join(used) or 'none'}"
        )
    return used[0]


def _prepare(settings: Settings, base: str, root: Path) -> None:
    _preflight(location())
    declared = settings.company().bases[base]
    repository.prepare(root, base, base_folder(declared), root / "trusted", declared.dtype)


@cache
def _preflight(install: Path) -> None:
    server.preflight(install)
