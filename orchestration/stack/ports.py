"""Ports of the local servers: all on loopback, below the range that the kernel gives to outgoing connections."""

import socket
from collections.abc import Collection, Mapping
from random import SystemRandom

HOST = "127.0.0.1"
RANGE = (10_000, 32_000)
DRAW = SystemRandom()  # a training seeds the other: two processes that did would draw the same ports


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of the loopback address now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def choose(preferred: Mapping[str, int | None], taken: Collection[int] = ()) -> dict[str, int]:
    """A free port for each name, none of them twice or in `taken`; the preferred one if nobody has it."""
    chosen: dict[str, int] = {}
    for name, wish in preferred.items():
        port = wish or DRAW.randrange(*RANGE)
        while not is_free(port) or port in taken or port in chosen.values():
            port = DRAW.randrange(*RANGE)
        chosen[name] = port
    return chosen


def accepts(port: int) -> bool:
    """Whether somebody listens on this port of the loopback address."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0
