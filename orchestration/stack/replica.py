"""The replica: one process a region that follows the live pointers (serving/replication)."""

import os
import sys
import urllib.request
from collections.abc import Mapping

from governance.custody.keys import REGION
from orchestration.settings import Settings
from orchestration.stack.ports import HOST
from orchestration.stack.seaweedfs import store_environment
from orchestration.stack.supervisor import Part
from orchestration.stack.triton import resident_base
from serving.engine.base import base_folder

PORTS: Mapping[str, int | None] = {"http": None}


def part_name(region: str) -> str:
    return f"replica-{region}"


def address(ports: Mapping[str, int]) -> str:
    return f"http://{HOST}:{ports['http']}"


def part(settings: Settings, region: str, ports: Mapping[str, int], triton: str) -> Part:
    """The region's replica beside the Triton at address `triton`; ready when it trusts what it sees."""
    company = settings.company()
    command = [
        *(sys.executable, "-m", "serving.replication"),
        *("--region", region),
        *("--root", str(settings.region_root(region))),
        *("--triton", triton),
        *("--base", str(base_folder(company.bases[resident_base(company)]))),
        *("--key", str(settings.keys_dir / f"{region}{REGION}.pem")),
        *("--port", str(ports["http"])),
        *("--interval", str(settings.replication_seconds)),
        *("--disk-reserve", str(settings.replication_disk_reserve)),
        *(["--bytes-per-second", str(settings.replication_bandwidth)] if settings.replication_bandwidth else []),
        *("--switch", settings.switch.model_dump_json()),
    ]
    return Part(
        name=part_name(region),
        command=command,
        environment=os.environ | store_environment(settings),
        address=address(ports),
        ready=lambda started: _ready(address(ports)),
    )


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/ready", timeout=3) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
