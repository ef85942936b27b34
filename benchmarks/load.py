"""The request path under load: real broker, Redis, gateway and workers; the old way beside it in the same run.

Many clients at once, the model's time replaced by a wait of 700 ms in the worker: errors, latency, memory. Then, with
the real model: what gateway and queue add to calling Triton directly, and how much the path sustains.
"""

import asyncio
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.report import arguments, publish
from benchmarks.request_path import BODY, MODEL, RequestPath, old_way, running
from serving.worker.region import Region

CLIENTS = (1_500, 5_000, 10_000)
IN_FLIGHT = (1, 64)
TARGET_MS = 700
ROOMY = {"WORKER_IN_FLIGHT": "20000", "WORKER_WAITING": "20000"}
Ask = Callable[[str], Awaitable[dict[str, float]]]


def main() -> None:
    args = arguments(__doc__ or "")
    clients, seconds = ((200,), 1.0) if args.quick else (CLIENTS, 8.0)
    measures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        held = [row for number in clients for row in measure_held(Path(name) / str(number), number)]
        rows, shares = measure_model(Path(name) / "model", seconds)
    for row in held:
        kind = "old_" if row["way"] == "old" else ""
        for measure in ("errors", "p50_ms", "p95_ms"):
            measures[f"{kind}{measure}_{row['clients']}"] = row[measure]
        if not kind:
            measures[f"gateway_mb_{row['clients']}"] = row["gateway_mb"]
    for in_flight in IN_FLIGHT:
        direct, through = (
            next(row for row in rows if row["in_flight"] == in_flight and row["way"] == way)
            for way in ("direct", "gateway")
        )
        measures[f"queue_overhead_ms_{in_flight}"] = through["p50_ms"] - direct["p50_ms"]
    in_time = [row["req_s"] for row in rows if row["way"] == "gateway" and row["p95_ms"] < TARGET_MS]
    measures["req_s_in_time"] = max(in_time, default=0.0)
    publish("load", args, measures, [*held, *rows, *shares])


def measure_held(folder: Path, clients: int) -> list[dict[str, Any]]:
    """So many clients at once, each with a connection of its own and one request: the queue's way, then the old one."""
    rows = []
    with running(folder, workers=2, model=False, settings=ROOMY) as path:
        before = memory(path)
        said = asyncio.run(all_at_once(path.url, path.token, clients))
        rows.append(row("queue", clients, *said) | {"gateway_mb": memory(path), "idle_mb": before})
    with old_way(folder) as url:
        said = asyncio.run(all_at_once(url, "", clients))
        rows.append(row("old", clients, *said))
    return rows


async def all_at_once(url: str, token: str, clients: int) -> tuple[list[float], Counter[str]]:
    """Seconds of each answered request, and how the others ended."""
    times, errors = list[float](), Counter[str]()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=bearer(token), timeout=patient()) as session:

        async def one() -> None:
            start = time.perf_counter()
            try:
                async with session.post(f"{url}/v1/models/{MODEL}/infer", json=BODY) as reply:
                    said = await reply.read()
            except (aiohttp.ClientError, OSError, TimeoutError) as broken:
                errors[type(broken).__name__] += 1
                return
            if reply.status == 200:
                times.append(time.perf_counter() - start)
            else:
                errors[f"{reply.status} {said[-120:].decode(errors='replace')}"] += 1

        await asyncio.gather(*(one() for _ in range(clients)))
    return times, errors


def measure_model(folder: Path, seconds: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """With the real model: Triton asked directly and through the gateway, in turn; where the time goes."""
    rows, shares = [], []
    with running(folder, workers=1, model=True) as path:
        for in_flight in (*IN_FLIGHT, 128):
            direct, through = asyncio.run(measure_in_turn(path, in_flight, seconds))
            rows += [summary("direct", in_flight, *direct[:2]), summary("gateway", in_flight, *through[:2])]
            shares.append(share(in_flight, *through))
    return rows, shares


async def measure_in_turn(path: RequestPath, in_flight: int, seconds: float) -> tuple[Any, Any]:
    """Both ways in blocks that alternate, so that what else the machine does disturbs both alike."""
    region, number = Region(path.grpc), count()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers=bearer(path.token), timeout=patient()) as session:

        async def direct(text: str) -> dict[str, float]:
            await region.classify(MODEL.replace("/", "."), [text], "", 60)
            return {}

        async def through(text: str) -> dict[str, float]:
            async with session.post(f"{path.url}/v1/models/{MODEL}/infer", json={"input": text}) as reply:
                await reply.read()
                reply.raise_for_status()
                timing = [part.strip().split(";dur=") for part in reply.headers["Server-Timing"].split(",")]
                return {name: float(milliseconds) for name, milliseconds in timing}

        measured = {ask: (list[float](), [0.0], list[dict[str, float]]()) for ask in (direct, through)}
        while not (await region.status())["models"].get(MODEL.replace("/", "."), {}).get("digest"):
            await asyncio.sleep(0.1)
        for ask in measured:
            await closed_loop(ask, in_flight, 0.5, number, *([], [0.0], []))
        for _ in range(4):
            for ask, into in measured.items():
                await closed_loop(ask, in_flight, seconds / 4, number, *into)
    await region.close()
    return measured[direct], measured[through]


async def closed_loop(
    ask: Ask, in_flight: int, seconds: float, number: Any, times: list[float], wall: list[float], parts: list[Any]
) -> None:
    """`in_flight` clients, each asking again as soon as it is answered; every text differs."""
    began = time.perf_counter()

    async def client() -> None:
        while time.perf_counter() < began + seconds:
            start = time.perf_counter()
            parts.append(await ask(f"{BODY['input']}, number {next(number)}"))
            times.append(time.perf_counter() - start)

    await asyncio.gather(*(client() for _ in range(in_flight)))
    wall[0] += time.perf_counter() - began


def summary(way: str, in_flight: int, times: list[float], wall: list[float]) -> dict[str, Any]:
    return {"way": way, "in_flight": in_flight, **latencies(times), "req_s": len(times) / wall[0]}


def share(in_flight: int, times: list[float], _: list[float], parts: list[dict[str, float]]) -> dict[str, Any]:
    """Milliseconds of the median request: to the worker, in the model, and the rest (gateway, reply, client)."""
    whole, queue, model = (
        statistics.median(times) * 1000,
        *(statistics.median(part[name] for part in parts) for name in ("queue", "model")),
    )
    return {
        "part_of": in_flight,
        "whole_ms": whole,
        "queue_ms": queue,
        "model_ms": model,
        "rest_ms": whole - queue - model,
    }


def row(way: str, clients: int, times: list[float], errors: Counter[str]) -> dict[str, Any]:
    told = latencies(times) if times else {"p50_ms": float("nan"), "p95_ms": float("nan")}
    how = ", ".join(f"{number} {name}" for name, number in errors.items())
    return {"way": way, "clients": clients, "errors": errors.total(), **told, "how": how}


def latencies(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"p50_ms": statistics.median(ordered) * 1000, "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000}


def memory(path: RequestPath) -> float:
    """The gateway's resident memory now (MB)."""
    gateway: psutil.Process = path.processes["gateway 1"]
    return float(gateway.memory_info().rss) / 1e6


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"} if token else {}


def patient() -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=90)


if __name__ == "__main__":
    main()
