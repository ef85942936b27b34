"""`python -m serving.replication --region mumbai …`: the replica as a process, with its health, metrics and wake-up.

The store's address and credentials come from the environment (serving/store.py).
"""

import argparse
import os
import signal
import sys
import threading
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cryptography.hazmat.primitives import serialization

from serving.engine.base import base_digest
from serving.replication.health import serve
from serving.replication.metrics import Metrics
from serving.replication.replica import Place, Replica
from serving.replication.trial import Switch
from serving.store import central_store

YIELDING = 10  # niceness: a Triton on the same processors answers first


def main() -> NoReturn:
    given = _arguments()
    _yield_to_others()
    key = serialization.load_pem_private_key(given.key.read_bytes(), password=None)
    place = Place(
        given.region,
        given.root,
        given.triton,
        base_digest(given.base),
        key,  # type: ignore[arg-type]
        disk_reserve=given.disk_reserve,
        bytes_per_second=given.bytes_per_second,
        switch=given.switch,
    )
    metrics, wake = Metrics(), threading.Event()
    replica = Replica(central_store(), place, metrics, log)
    server = serve(replica, metrics, wake, given.port)
    signal.signal(signal.SIGTERM, _stop)
    signal.signal(signal.SIGINT, _stop)
    try:
        while True:
            wake.clear()
            replica.tick()
            wake.wait(given.interval)
    except Stopped:
        server.shutdown()
        os._exit(0)  # not waiting for a download or a probe: each step leaves the old state or the new one


def _yield_to_others() -> None:
    os.nice(YIELDING)
    if os.getsid(0) == os.getpid():  # Linux may share processors among sessions: then the session's niceness counts
        with suppress(OSError):
            Path("/proc/self/autogroup").write_text(str(YIELDING))


class Stopped(BaseException):
    """SIGTERM came."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


def log(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.replication", description="The replica of one region.")
    parser.add_argument("--region", required=True)
    parser.add_argument("--root", required=True, type=Path, help="the region's folder, with trusted/root.json in it")
    parser.add_argument("--triton", required=True, help="http://host:port")
    parser.add_argument("--base", required=True, type=Path, help="the folder of the resident base")
    parser.add_argument("--key", required=True, type=Path, help="the region's private key, a PEM")
    parser.add_argument("--port", required=True, type=int, help="of health, metrics and wake-up")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between two looks")
    parser.add_argument("--disk-reserve", type=int, default=256 << 20, help="bytes that stay free")
    parser.add_argument("--bytes-per-second", type=float, help="how fast it may fetch")
    parser.add_argument(
        "--switch", type=Switch.model_validate_json, default=Switch(), help="how it goes over to a new version, as JSON"
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
