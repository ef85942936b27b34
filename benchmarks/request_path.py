"""The request path for a benchmark: real broker, Redis, gateway and workers as processes, and the way it was before.

`python -m benchmarks.request_path ROLE PORT` is one of these processes: `worker`, which waits instead of asking a
model; `old-gateway`, which awaits an HTTP backend through a default client; `old-backend`, which waits.
"""

import asyncio
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from shutil import copytree
from typing import Any

import psutil
import uvicorn

from benchmarks import releases
from governance.custody.keys import trusted_keys
from governance.tenants import Release
from orchestration import stack
from orchestration.settings import load_settings
from orchestration.stack import kafka, redis
from orchestration.stack.ports import choose
from orchestration.stack.supervisor import read_ledger
from serving.gateway import issue
from serving.worker.region import Said

WAIT = 0.7
REGION = "mumbai"
TENANT = "northbank"
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
    """A running request path: the gateway's address, the region's, a token, and its processes by name."""

    url: str
    grpc: str
    token: str
    processes: dict[str, psutil.Process] = field(default_factory=dict)


@contextmanager
def running(folder: Path, workers: int, model: bool, **settings: str) -> Iterator[RequestPath]:
    """Broker, Redis, one gateway, and workers; with `model` a region answers, else they wait."""
    local = load_settings(state_dir=folder / "stack")
    stack.start(local, ["kafka", "redis", *([f"triton-{REGION}"] if model else [])])
    ledger, children = read_ledger(local.state_dir), list[subprocess.Popen[bytes]]()
    issue.create_issuer(folder)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka.address(ledger["kafka"].ports),
        "REDIS_URL": redis.address(ledger["redis"].ports),
        "GATEWAY_JWKS_FILE": str(folder / "jwks.json"),
        "WORKER_KEPT_ANSWERS": "0",
        **NO_LIMITS,
    } | settings
    ports = ledger[f"triton-{REGION}"].ports if model else {"grpc": 9, "http": 9}
    environment["WORKER_TRITON_GRPC"] = f"127.0.0.1:{ports['grpc']}"
    environment["GATEWAY_TRITON"] = f"http://127.0.0.1:{ports['http']}"
    path = RequestPath(
        "", environment["WORKER_TRITON_GRPC"], issue.token(folder, TENANT, "enterprise", "pedigree-local", "pedigree")
    )
    try:
        for number in range(workers):
            port = choose({"http": None})["http"]
            role = ["serving.worker"] if model else ["benchmarks.request_path", "worker", str(port)]
            children.append(_spawn(folder, role, environment | {"WORKER_PORT": str(port)}))
            _wait(f"http://127.0.0.1:{port}/readyz")
            path.processes[f"worker {number + 1}"] = psutil.Process(children[-1].pid)
        port = choose({"http": None})["http"]
        children.append(_spawn(folder, ["serving.gateway"], environment | {"GATEWAY_PORT": str(port)}))
        path.url = f"http://127.0.0.1:{port}"
        _wait(f"{path.url}/readyz")
        path.processes["gateway"] = psutil.Process(children[-1].pid)
        path.processes |= {name: psutil.Process(ledger[name].pid) for name in ("kafka", "redis")}
        if model:
            region_root = local.region_root(REGION)  # it trusts what its replica brought; nobody replicates here
            copytree(trusted_keys(local.keys_dir).folder, region_root / "trusted", dirs_exist_ok=True)
            releases.put(region_root, local.keys_dir, Release.parse(f"{MODEL.replace('/', '.')}@1"), 1)
        yield path
    finally:
        _end(children)
        stack.stop(local)


@contextmanager
def old_way(folder: Path) -> Iterator[str]:
    """A gateway that awaits an HTTP backend through a default client pool; its address."""
    backend, gateway = choose({"backend": None, "gateway": None}).values()
    environment = {"OLD_BACKEND": f"http://127.0.0.1:{backend}"}
    children = [
        _spawn(folder, ["benchmarks.request_path", role, str(port)], environment)
        for role, port in (("old-backend", backend), ("old-gateway", gateway))
    ]
    try:
        for port in (backend, gateway):
            _wait(f"http://127.0.0.1:{port}/docs")
        yield f"http://127.0.0.1:{gateway}"
    finally:
        _end(children)


def _spawn(folder: Path, role: Sequence[str], environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    env = os.environ | {f"PEDIGREE_{name}": value for name, value in environment.items()}
    with (folder / f"{role[0]}-{time.monotonic_ns()}.log").open("wb") as log:
        return subprocess.Popen([sys.executable, "-m", *role], env=env, stdout=log, stderr=log)


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


def _end(children: Sequence["subprocess.Popen[bytes]"]) -> None:
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()


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
