"""The request path for a benchmark: real broker, Redis, gateway and workers as processes, and the way it was before.

`python -m benchmarks.request_path ROLE PORT` is one of these processes: `worker`, which waits instead of asking a
model; `old-gateway`, which awaits an HTTP backend through a default client; `old-backend`, which waits.
"""

import asyncio
import os
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from shutil import copytree
from typing import Any

import psutil
import uvicorn

from benchmarks import releases
from governance.custody.keys import trusted_keys
from governance.tenants import Release
from orchestration import stack
from orchestration.settings import PREFIX, Settings, load_settings, settings_file
from orchestration.stack import gateway
from orchestration.stack.ports import choose
from orchestration.stack.supervisor import read_ledger
from serving.gateway import issue
from serving.messages import Tier
from serving.worker.region import Said

WAIT = 0.7
REGION = "mumbai"
TENANTS = ("northbank", "stclare", "loomworks")
TENANT = TENANTS[0]
MODEL = f"{TENANT}/task-0"
BODY = {"input": "I lost my card on the train this morning and somebody has tried to withdraw cash with it"}
NO_LIMITS = {
    "GATEWAY_TARGET": '{"enterprise": 3600, "free": 3600}',
    "GATEWAY_RATE": '{"enterprise": 1e6, "free": 1e6}',
    "GATEWAY_BURST": '{"enterprise": 1e6, "free": 1e6}',
    "GATEWAY_DEADLINE": "60",
}


@dataclass
class RequestPath:
    """A running request path. processes: by name; environment: of each gateway and worker."""

    folder: Path
    local: Settings
    model: bool
    environment: dict[str, str]
    processes: dict[str, psutil.Process] = field(default_factory=dict)
    urls: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The first gateway's address."""
        return self.urls["gateway 1"]

    @property
    def grpc(self) -> str:
        """The region's host:port."""
        return self.environment["WORKER_TRITON_GRPC"]

    @property
    def token(self) -> str:
        return self.token_of(TENANT, "enterprise")

    def token_of(self, tenant: str, tier: Tier) -> str:
        return issued(self.folder, tenant, tier)

    def start(self, name: str) -> None:
        """`gateway N` or `worker N`, or a part of the stack; returns when it is ready. The killed starts again."""
        kind = name.split()[0]
        if kind not in ("gateway", "worker"):
            stack.start(self.local, [name])
            self.processes[name] = psutil.Process(read_ledger(self.local.state_dir)[name].pid)
            return
        port = int(self.urls[name].rpartition(":")[2]) if name in self.urls else choose({"http": None})["http"]
        waits = kind == "worker" and not self.model
        role = ["benchmarks.request_path", "worker", str(port)] if waits else [f"serving.{kind}"]
        child = _spawn(self.folder, role, self.environment | {f"{kind.upper()}_PORT": str(port)})
        self.urls[name] = f"http://127.0.0.1:{port}"
        self.processes[name] = child
        _wait(f"{self.urls[name]}/readyz")


@cache
def issued(folder: Path, tenant: str, tier: Tier) -> str:
    """A token of a tenant, made once."""
    return issue.token(folder, tenant, tier, "pedigree-local", "pedigree")


@contextmanager
def running(
    folder: Path,
    workers: int,
    model: bool,
    gateways: int = 1,
    settings: Mapping[str, str] | None = None,
    broker_log: str = "memory",
) -> Iterator[RequestPath]:
    """Broker, Redis, gateways, and workers; with `model` a region answers, else they wait. settings: their own."""
    (folder / "stack").mkdir(parents=True)
    settings_file(folder / "stack").write_text(f'broker_log = "{broker_log}"\n')
    local = load_settings(state_dir=folder / "stack")
    parts = ["kafka", "redis", *([f"triton-{REGION}"] if model else [])]
    stack.start(local, parts)
    path = RequestPath(folder, local, model, _environment(folder, local, model) | dict(settings or {}))
    path.processes |= {name: psutil.Process(entry.pid) for name, entry in read_ledger(local.state_dir).items()}
    issue.create_issuer(folder)
    try:
        for kind, number in (("worker", workers), ("gateway", gateways)):
            for index in range(number):
                path.start(f"{kind} {index + 1}")
        if model:
            region_root = local.region_root(REGION)  # it trusts what its replica brought; nobody replicates here
            copytree(trusted_keys(local.keys_dir).folder, region_root / "trusted", dirs_exist_ok=True)
            for seed, tenant in enumerate(TENANTS):
                releases.put(region_root, local.keys_dir, Release.parse(f"{tenant}.task-0@1"), seed)
        yield path
    finally:
        _end([path.processes[name] for name in path.urls])
        stack.stop(local)


def _environment(folder: Path, local: Settings, model: bool) -> dict[str, str]:
    ledger = read_ledger(local.state_dir)
    queue = gateway.queue(local, {name: entry.ports for name, entry in ledger.items()})
    ports = ledger[f"triton-{REGION}"].ports if model else {"grpc": 9, "http": 9}
    return {
        **{name.removeprefix(PREFIX): value for name, value in queue.items()},
        "GATEWAY_JWKS_FILE": str(folder / "jwks.json"),
        "GATEWAY_TRITON": f"http://127.0.0.1:{ports['http']}",
        "WORKER_TRITON_GRPC": f"127.0.0.1:{ports['grpc']}",
        "WORKER_KEPT_ANSWERS": "0",
        **NO_LIMITS,
    }


@contextmanager
def old_way(folder: Path) -> Iterator[str]:
    """A gateway that awaits an HTTP backend through a default client pool; its address."""
    backend, gateway = choose({"backend": None, "gateway": None}).values()
    environment = {"OLD_BACKEND": f"http://127.0.0.1:{backend}"}
    children: list[psutil.Process] = [
        _spawn(folder, ["benchmarks.request_path", role, str(port)], environment)
        for role, port in (("old-backend", backend), ("old-gateway", gateway))
    ]
    try:
        for port in (backend, gateway):
            _wait(f"http://127.0.0.1:{port}/docs")
        yield f"http://127.0.0.1:{gateway}"
    finally:
        _end(children)


def _spawn(folder: Path, role: Sequence[str], environment: dict[str, str]) -> psutil.Popen:
    env = os.environ | {f"{PREFIX}{name}": value for name, value in environment.items()}
    with (folder / f"{role[0]}-{time.monotonic_ns()}.log").open("wb") as log:
        # As `pedigree up` starts it: Linux shares the processors among sessions.
        return psutil.Popen([sys.executable, "-m", *role], env=env, stdout=log, stderr=log, start_new_session=True)


def _wait(url: str) -> None:
    until = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


def _end(children: Sequence[psutil.Process]) -> None:
    for child in children:
        with suppress(psutil.NoSuchProcess):
            child.terminate()
    for left in psutil.wait_procs(children, 20)[1]:
        left.kill()


class Wait:
    """Says the same about every text after 700 ms."""

    async def classify(self, model: str, texts: Sequence[str], digest: str, timeout: float, trace: str) -> Said:
        await asyncio.sleep(WAIT)
        return Said(f"{model}@1", "d" * 64, [{"label": "card", "scores": {"card": 1.0}} for _ in texts])

    async def embed(self, texts: Sequence[str], timeout: float, trace: str) -> list[list[float]]:
        await asyncio.sleep(WAIT)
        return [[1.0] for _ in texts]

    async def status(self) -> dict[str, Any]:
        return {"base": "b" * 64, "models": {}}

    async def close(self) -> None: ...


def _old_backend() -> Any:
    from fastapi import FastAPI

    app = FastAPI()

    @app.post("/")
    async def infer() -> dict[str, str]:
        await asyncio.sleep(WAIT)
        return {"label": "card"}

    return app


def _old_gateway() -> Any:
    import httpx
    from fastapi import FastAPI

    app, client = FastAPI(), httpx.AsyncClient()

    @app.post("/v1/models/{tenant}/{task}/infer")
    async def infer(tenant: str, task: str, body: dict[str, Any]) -> Any:
        return (await client.post(os.environ["PEDIGREE_OLD_BACKEND"], json=body)).json()

    return app


def _app(role: str) -> Any:
    from serving.worker.app import create_app

    return {"worker": lambda: create_app(Wait()), "old-gateway": _old_gateway, "old-backend": _old_backend}[role]()


if __name__ == "__main__":
    uvicorn.run(_app(sys.argv[1]), port=int(sys.argv[2]), backlog=16_384, access_log=False, log_level="warning")
