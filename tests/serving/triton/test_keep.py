"""A region answers again by itself after its server or its backend was killed; stopped, it leaves nothing."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from governance.custody.keys import TrustedKeys
from orchestration.stack.ports import choose
from serving.triton import client, install, repository, server
from serving.triton.keep import BACKEND

PREFIX = "pedigree_tests_keep_"


@pytest.fixture
def kept(tmp_path: Path, base: Path, trusted: TrustedKeys) -> Iterator[tuple["subprocess.Popen[bytes]", str]]:
    install.install(install.location())
    ports = server.Ports(**choose({"http": None, "grpc": None, "metrics": None}))
    repository.prepare(tmp_path, "minilm", base, trusted.folder)
    command = server.command(tmp_path, "minilm", ports, install.location())
    process = subprocess.Popen(
        [sys.executable, "-m", "serving.triton.keep", PREFIX, *command],
        env=server.environment(install.location()),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield process, f"http://{server.HOST}:{ports.http}"
    process.terminate()
    process.wait(60)


def family(process: "subprocess.Popen[bytes]", name: str) -> list[psutil.Process]:
    return [child for child in psutil.Process(process.pid).children(recursive=True) if child.name() == name]


def until_ready(address: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not client.is_ready(address):
        assert time.monotonic() < deadline, "the region did not come back"
        time.sleep(0.1)


def test_a_killed_server_or_backend_is_back_and_a_stop_leaves_nothing(
    kept: tuple["subprocess.Popen[bytes]", str],
) -> None:
    process, address = kept
    until_ready(address)
    for name in (BACKEND, "tritonserver"):
        (victim,) = family(process, name)
        victim.send_signal(signal.SIGKILL)
        with pytest.raises(client.RequestFailed):
            while True:  # until the death shows, which must be an error and nothing else
                client.status(address)
        until_ready(address)
        assert len(family(process, BACKEND)) == 1
    everyone = psutil.Process(process.pid).children(recursive=True)
    process.terminate()
    assert process.wait(60) == 0
    assert not [each for each in everyone if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert not list(Path("/dev/shm").glob(f"{PREFIX}*"))
