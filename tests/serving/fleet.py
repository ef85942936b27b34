"""Gateways and workers as real processes on a real broker, Redis and Triton, to be asked, and to be killed."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from governance.tenants import Release
from orchestration.settings import Settings
from orchestration.stack import kafka, redis, supervisor
from orchestration.stack.ports import choose
from serving.gateway import issue
from serving.messages import Tier
from serving.triton import client as triton
from serving.triton import repository
from tests.conftest import StartStack
from tests.serving.conftest import Region

INTENTS, NOTES = "northbank.support-intents", "stclare.triage-notes"
ISSUER, AUDIENCE = "pedigree-local", "pedigree"


@dataclass
class Server:
    """One gateway or worker."""

    process: "subprocess.Popen[bytes]"
    url: str
    log: Path

    def ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        try:
            return httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def end(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(30)


@dataclass
class Fleet:
    """`broker` are the settings of the stack that holds broker and Redis."""

    folder: Path
    broker: Settings
    region: Region
    servers: list[Server] = field(default_factory=list)

    def entry(self, part: str) -> supervisor.Entry:
        return supervisor.read_ledger(self.broker.state_dir)[part]

    def start(self, kind: str, **environment: str) -> Server:
        """`kind`: gateway or worker. Settings in `environment` by their names, such as GATEWAY_DEADLINE."""
        port = choose({"http": None})["http"]
        given = {
            "KAFKA_BOOTSTRAP_SERVERS": kafka.address(self.entry("kafka").ports),
            "REDIS_URL": redis.address(self.entry("redis").ports),
            f"{kind.upper()}_PORT": str(port),
            "GATEWAY_TRITON": self.region.address,
            "GATEWAY_JWKS_FILE": str(self.folder / "jwks.json"),
            "GATEWAY_API_KEYS_FILE": str(self.folder / "api-keys.json"),
            "WORKER_TRITON_GRPC": f"127.0.0.1:{self.region.ports.grpc}",
        } | environment
        env = os.environ | {f"PEDIGREE_{name}": value for name, value in given.items()}
        log = self.folder / f"{kind}-{port}.log"
        with log.open("wb") as output:
            process = subprocess.Popen([sys.executable, "-m", f"serving.{kind}"], env=env, stdout=output, stderr=output)
        self.servers.append(Server(process, f"http://127.0.0.1:{port}", log))
        return self.servers[-1]

    def open(self, **environment: str) -> Server:
        """A gateway, once every server of the fleet is ready."""
        gateway = self.start("gateway", **environment)
        for server in self.servers:
            until(server.ready)
        return gateway

    def token(self, tenant: str, tier: Tier = "enterprise", **options: Any) -> str:
        return issue.token(self.folder, tenant, tier, ISSUER, AUDIENCE, **options)

    def client(self, gateway: Server, tenant: str, tier: Tier = "enterprise") -> httpx.Client:
        """A client of the tenant."""
        headers = {"Authorization": f"Bearer {self.token(tenant, tier)}"}
        return httpx.Client(base_url=gateway.url, headers=headers, timeout=30)

    def put(self, name: str, signed: Path) -> None:
        """Stage, install, switch."""
        release = Release.parse(name)
        staged = repository.stage(
            self.region.root, release, lambda folder: shutil.copytree(signed, folder, dirs_exist_ok=True)
        )
        repository.install(self.region.root, release, staged, lambda folder: None)
        repository.switch(self.region.root, release)


@pytest.fixture(scope="session")
def make_fleet(
    start_stack: StartStack, region: Region, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Fleet]]:
    """A fleet with a broker and a Redis of its own, and no server yet."""
    fleets: list[Fleet] = []

    def make() -> Fleet:
        if not triton.is_ready(region.address):  # another test ended it
            region.start()
        folder = tmp_path_factory.mktemp("fleet")
        issue.create_issuer(folder)
        fleets.append(Fleet(folder, start_stack("kafka", "redis"), region))
        return fleets[-1]

    try:
        yield make
    finally:
        for server in [server for fleet in fleets for server in fleet.servers]:
            if server.process.poll() is None:
                server.process.kill()
                server.process.wait()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)
