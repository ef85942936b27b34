"""A region's Triton under load: real server, real clients, mixed models, against the engine called directly.

Throughput, latency and processor time by protocol and requests in flight; what the server's path adds to one request;
how long a new release takes from its file to its first answer, and what others notice of it; starts, kills, and a soak.
"""

import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import torch

from benchmarks import releases
from benchmarks.region import Ask, Region
from benchmarks.report import arguments, publish
from benchmarks.soak import Truth, killed, soak
from governance.tenants import Release
from serving.engine import Engine
from serving.triton import repository
from serving.triton.keep import BACKEND

TEXT = "I lost my card on the train this morning and somebody has tried to withdraw cash with it, please block it"
IN_FLIGHT = (1, 8, 32, 64)
PROTOCOLS = ("http", "grpc")
ENGINE, LEAST = "the engine", "least backend: "
SERVER = "tritonserver"
SETTLE = 0.05  # seconds after a first answer that count as mounting still


def main() -> None:
    args = arguments(__doc__ or "")
    models, seconds, mounts = (4, 2.0, 10) if args.quick else (32, 10.0, 100)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder, names = Path(name), [f"{releases.TENANT}.task-{i}" for i in range(models)]
        root, keys_dir = prepared(folder)
        for seed, model in enumerate(names):
            releases.put(root, keys_dir, Release.parse(f"{model}@1"), seed)
        region = Region(root, releases.BASE)
        with region, Region(least(folder / "least", names[0]), releases.BASE) as bare:
            alone = measure_overhead(region, bare, names[0], seconds)
        with region:
            rows = [
                measure_load(region, protocol, in_flight, names, seconds)
                for protocol in PROTOCOLS
                for in_flight in IN_FLIGHT
            ]
            mounting = measure_mounting(region, keys_dir, names, mounts)
        with Region(root, releases.BASE, PEDIGREE_TRITON_THREADS="2") as two:
            rows += [measure_load(two, "grpc", in_flight, names, seconds, threads=2) for in_flight in IN_FLIGHT]
        starts = measure_starts(root, 1 if args.quick else 5)
        kills = measure_kills(folder / "kills")
        root, keys_dir = prepared(folder / "soak")
        soaked = soak(root, keys_dir, *((400, 16, 10, 4) if args.quick else (10_000, 64, 200, 50)))
    one, many = (next(r for r in rows if (r["protocol"], r["in_flight"]) == ("grpc", n)) for n in (1, 32))
    over_engine = {row["alone"]: row["over_engine"] for row in alone}
    measures = {
        "p50_ms_1": one["p50_ms"],
        "server_overhead": max(over_engine[protocol] for protocol in PROTOCOLS),
        "server_overhead_least": max(over_engine[LEAST + protocol] for protocol in PROTOCOLS),
        "req_s_32": many["req_s"],
        "mount_p50_ms": mounting["mount_p50_ms"],
        "mount_interference": mounting["p95_while_mounting_ms"] / mounting["p95_quiet_ms"],
        "cold_start_s": starts["cold_start_s"],
        "recovery_s": max(kill["recovery_s"] for kill in kills),
        "soak_errors": soaked["errors"],
        "soak_wrong": soaked["wrong"],
    }
    publish("triton", args, measures, [*alone, *rows, mounting, starts, *kills, soaked])


def prepared(folder: Path) -> tuple[Path, Path]:
    """An empty region's root and the folder of keys, both new in `folder`."""
    trusted = releases.keys(folder / "keys")
    repository.prepare(folder / "region", releases.BASE, releases.base(), trusted.folder)
    return folder / "region", folder / "keys"


def least(folder: Path, model: str) -> Path:
    """The root of a region with one model and the least backend."""
    root, keys_dir = prepared(folder)
    releases.put(root, keys_dir, Release.parse(f"{model}@1"), 0)
    program = root / "models" / releases.BASE / "1" / "model.py"
    program.write_text("from benchmarks.least_backend import TritonPythonModel  # noqa: F401\n")
    return root


def measure_overhead(region: Region, bare: Region, model: str, seconds: float) -> list[dict[str, Any]]:
    """One request after the other: of the engine alone in this process, and through the server.

    They take turns request by request, so a machine whose speed drifts is as slow for all; in an order drawn each time,
    because who comes after the engine finds the processor's caches cold, and who comes after a server's finds them
    warm (0.4 ms). The region and the one with the least backend take turns by the second.
    """
    engine = Engine(releases.base())
    engine.mount(model, region.root / "models" / model / "1")
    times, drawn = dict[str, list[float]](), random.Random(1)
    turns: list[dict[str, Callable[[], object]]] = [
        {f"{kind}{ENGINE}": lambda: engine.classify([TEXT], [model])}
        | {f"{kind}{protocol}": partial(server.asking(protocol), model, TEXT) for protocol in PROTOCOLS}
        for kind, server in (("", region), (LEAST, bare))
    ]
    stop = time.monotonic() + seconds * sum(map(len, turns))
    while time.monotonic() < stop:
        for ways in turns:
            take_turns(ways, times, drawn)
    found = {way: latencies(each) for way, each in times.items()}
    return [
        {"alone": way, **found[way], "over_engine": found[way]["p50_ms"] / found[alone]["p50_ms"]}
        for alone, *served in turns
        for way in (alone, *served)
    ]


def take_turns(ways: dict[str, Callable[[], object]], times: dict[str, list[float]], drawn: random.Random) -> None:
    """Call one after the other for a second, in drawn orders, after once for nothing; seconds by way."""
    for call in ways.values():
        call()
    stop = time.monotonic() + 1
    while time.monotonic() < stop:
        for way, call in drawn.sample(list(ways.items()), len(ways)):
            start = time.perf_counter()
            call()
            times.setdefault(way, []).append(time.perf_counter() - start)


def measure_load(
    region: Region, protocol: str, in_flight: int, names: list[str], seconds: float, threads: int = 1
) -> dict[str, Any]:
    """`in_flight` clients, each with a connection of its own, each asking the models in turn."""
    turn, times = count(), list[float]()
    region.asking(protocol)(names[0], TEXT)
    began, stop = processor_seconds(region), time.monotonic() + seconds

    def work() -> None:
        ask = region.asking(protocol)  # in the thread that uses it: the HTTP client wants that
        while time.monotonic() < stop:
            start = time.perf_counter()
            ask(names[next(turn) % len(names)], TEXT)
            times.append(time.perf_counter() - start)

    clients = [threading.Thread(target=work) for _ in range(in_flight)]
    start = time.perf_counter()
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    wall, spent = time.perf_counter() - start, processor_seconds(region) - began
    row = {"protocol": protocol, "in_flight": in_flight, "threads": threads, **latencies(times)}
    return row | {"req_s": len(times) / wall, "cpu_ms": spent / len(times) * 1000}


@dataclass
class Others:
    """One client that asks other models all the time; `during`: what goes on, `seconds`: of its requests, by that."""

    ask: Callable[[], object]
    during: str = "start"
    seconds: dict[str, list[float]] = field(default_factory=dict)
    done: bool = False

    def run(self) -> None:
        while not self.done:
            started, start = self.during, time.perf_counter()
            self.ask()
            if started == self.during:
                self.seconds.setdefault(started, []).append(time.perf_counter() - start)


def measure_mounting(region: Region, keys_dir: Path, names: list[str], times: int) -> dict[str, Any]:
    """From the pointer on disk to the first answer, while another client asks other models all the time.

    Mounting and quiet take turns and last alike. The quiet has a second client too, which asks a model that is
    mounted when a new one would first be asked: so the two differ by the mounting alone.
    """
    late = [Release.parse(f"{releases.TENANT}.late-{number}@1") for number in range(times)]
    for seed, release in enumerate(late):
        releases.lay(region.root, keys_dir, release, 1000 + seed)
    turn, ask = count(), region.asking()
    other = region.asking()
    others = Others(lambda: other(names[next(turn) % len(names)], TEXT))
    thread, mounting, first = threading.Thread(target=others.run), list[float](), list[float]()
    thread.start()
    for release in late:
        others.during = "mounting"
        start = time.perf_counter()
        repository.switch(region.root, release)
        first.append(first_answer(ask, release.served_name))
        mounting.append(time.perf_counter() - start)
        time.sleep(SETTLE)
        others.during = "quiet"
        time.sleep(mounting[-1] - first[-1])
        ask(names[0], TEXT)
        time.sleep(SETTLE)
    others.done = True
    thread.join()
    return {
        "mounting": f"{times} releases",
        "mount_p50_ms": statistics.median(mounting) * 1000,
        "mount_p95_ms": latencies(mounting)["p95_ms"],
        "of_it_first_answer_ms": statistics.median(first) * 1000,
        "p95_quiet_ms": latencies(others.seconds["quiet"])["p95_ms"],
        "p95_while_mounting_ms": latencies(others.seconds["mounting"])["p95_ms"],
        "requests_while_mounting": len(others.seconds["mounting"]),
    }


def first_answer(ask: Ask, model: str) -> float:
    """Ask until `model` answers; the seconds of that request."""
    from tritonclient.utils import InferenceServerException

    while True:
        start = time.perf_counter()
        try:
            ask(model, TEXT)
        except InferenceServerException as fault:
            if "no release answers" not in str(fault):
                raise
            time.sleep(0.002)
        else:
            return time.perf_counter() - start


def measure_starts(root: Path, times: int) -> dict[str, Any]:
    """From the command to answering, the region's models mounted."""
    seconds = []
    for _ in range(times):
        region = Region(root, releases.BASE)
        try:
            seconds.append(region.start())
        finally:
            region.__exit__()
    mounted = len(list((root / "models").iterdir())) - 1
    return {"start": f"{mounted} models", "cold_start_s": statistics.median(seconds), "slowest_s": max(seconds)}


def measure_kills(folder: Path) -> list[dict[str, Any]]:
    """SIGKILL to the backend, then to the server, under load."""
    root, keys_dir = prepared(folder)
    models, truth = [f"{releases.TENANT}.task-{i}" for i in range(4)], Truth()
    truth.lay(root, keys_dir, [f"{model}@1" for model in models])
    for model in models:
        repository.switch(root, Release.parse(f"{model}@1"))
    region = Region(root, releases.BASE, kept=True)
    with region:
        rows = [killed(region, truth, models, victim) for victim in (BACKEND, SERVER)]
        region.end()
    return [{**row, "left_in_shared_memory": len(region.shared_memory())} for row in rows]


def latencies(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"p50_ms": statistics.median(ordered) * 1000, "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000}


def processor_seconds(region: Region) -> float:
    """Of the server and its backend."""
    return sum(sum(each.cpu_times()[:2]) for each in region.family())


if __name__ == "__main__":
    main()
