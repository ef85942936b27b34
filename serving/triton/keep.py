"""Keeps a region's Triton answering: `python -m serving.triton.keep SHARED_MEMORY_PREFIX COMMAND…`.

Triton goes on without its Python backend when that dies, refusing every request. So both are watched, and when either
is gone the rest is ended, what it left in shared memory is removed, and the server is started again. In a cluster the
orchestrator's liveness probe does this.
"""

import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

import psutil

BACKEND = "triton_python_backend_stub"
LOOK_SECONDS = 0.2
SOON = 20.0  # a server that dies within so many seconds is started again after a while, not at once
LONGEST_PAUSE = 5.0  # a start takes as much processor as that; who waits for the region waits for both
GRACE = 20.0


class Stopped(Exception):
    """SIGTERM came."""


def keep(prefix: str, command: list[str]) -> int:
    """Run `command` until SIGTERM, again and again; the exit code of the last."""
    signal.signal(signal.SIGTERM, _stop)
    process, early = None, 0
    try:
        while True:
            _remove_leftovers(prefix)
            began = time.monotonic()
            process = subprocess.Popen([*command, f"--backend-config=python,shm-region-prefix-name={prefix}"])
            _kill(process, _watch(process))
            early = early + 1 if time.monotonic() - began < SOON else 0
            print(f"Triton or its backend died, {early} times soon after its start: again", file=sys.stderr, flush=True)
            time.sleep(min(LONGEST_PAUSE, 2.0**early - 1))
    except Stopped:
        return _end(process) if process else 0
    finally:
        _remove_leftovers(prefix)


def _watch(process: "subprocess.Popen[bytes]") -> set[psutil.Process]:
    """Returns when the server, or a backend that it had, is gone; the backends that it had."""
    backends: set[psutil.Process] = set()
    server = psutil.Process(process.pid)
    while process.poll() is None:
        try:
            now = {child for child in server.children(recursive=True) if child.name() == BACKEND and _lives(child)}
        except psutil.NoSuchProcess:
            continue
        if backends - now:
            break
        backends = now
        time.sleep(LOOK_SECONDS)
    return backends


def _lives(process: psutil.Process) -> bool:
    return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)


def _kill(process: "subprocess.Popen[bytes]", backends: set[psutil.Process]) -> None:
    for each in backends:
        with suppress(psutil.NoSuchProcess):
            each.kill()
    process.kill()
    process.wait()


def _end(process: "subprocess.Popen[bytes]") -> int:
    process.terminate()
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        _kill(process, set(psutil.Process(process.pid).children(recursive=True)))
        return 1


def _remove_leftovers(prefix: str) -> None:
    for file in Path("/dev/shm").glob(f"{prefix}*"):
        file.unlink(missing_ok=True)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise Stopped


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1], sys.argv[2:]))
