"""A region's Triton under load: real server, real clients, mixed models, against the engine called directly.

Throughput, latency and processor time by protocol and requests in flight; what the server's path adds to one request;
how long a new release takes from its file to its first answer, and what others notice of it.
"""

import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from benchmarks import releases
from benchmarks.report import arguments, publish
from governance.tenants import Release
from orchestration.stack.ports import choose
from serving.engine import Engine, base_digest
from serving.triton import client, install, repository, server
from serving.triton.backend.mounts import Mounts

TEXT = "I lost my card on the train this morning and somebody has tried to withdraw cash with it, please block it"
IN_FLIGHT = (1, 8, 32, 64)


class Quiet:
    """Counts nothing."""

    def batch(self, rows: object) -> None: ...

    def mount(self, outcome: str) -> None: ...


def main() -> None:
    args = arguments(__doc__ or "")
    models, seconds, mounted = (4, 2.0, 5) if args.quick else (32, 10.0, 50)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder, names = Path(name), [f"{releases.TENANT}.task-{i}" for i in range(models)]
        trusted = releases.keys(folder / "keys")
        root = folder / "region"
        repository.prepare(root, "minilm", releases.base(), trusted.folder)
        for seed, model in enumerate(names):
            releases.put(root, folder / "keys", Release.parse(f"{model}@1"), seed)
        direct = measure_direct(root, names[0], seconds)
        with running(root) as (process, ports):
            rows = [
                measure_load(process, protocol, port, in_flight, names, seconds)
                for protocol, port in (("http", ports.http), ("grpc", ports.grpc))
                for in_flight in IN_FLIGHT
            ]
        mounting = measure_mounting(root, folder / "keys", names, mounted)
    one = next(row for row in rows if row["in_flight"] == 1 and row["protocol"] == "grpc")
    measures = {
        "p50_ms_1": one["p50_ms"],
        "server_overhead": one["p50_ms"] / direct["p50_ms"],
        "req_s_32": next(row["req_s"] for row in rows if row["in_flight"] == 32 and row["protocol"] == "grpc"),
        "mount_p50_ms": mounting["mount_p50_ms"],
        "mount_interference": mounting["p95_while_mounting_ms"] / mounting["p95_quiet_ms"],
    }
    publish("triton", args, measures, [direct, *rows, mounting])


@contextmanager
def running(root: Path) -> Iterator[tuple[psutil.Process, server.Ports]]:
    """The region's Triton, answering."""
    ports = server.Ports(**choose({"http": None, "grpc": None, "metrics": None}))
    command = server.command(root, "minilm", ports, install.location())
    with (root / "triton.log").open("wb") as log:
        process = subprocess.Popen(command, env=server.environment(install.location()), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 90
        while not client.is_ready(f"http://{server.HOST}:{ports.http}"):
            if time.monotonic() > until or process.poll() is not None:
                sys.exit((root / "triton.log").read_text()[-2000:])
            time.sleep(0.1)
        yield psutil.Process(process.pid), ports
    finally:
        process.terminate()
        process.wait(60)


def measure_direct(root: Path, model: str, seconds: float) -> dict[str, Any]:
    """The engine alone, one request after the other, in this process."""
    engine = Engine(releases.base())
    engine.mount(model, root / "models" / model / "1")
    times = timed(lambda: engine.classify([TEXT], [model]), seconds)
    return {"protocol": "none: the engine", "in_flight": 1, **latencies(times)}


def measure_load(
    process: psutil.Process, protocol: str, port: int, in_flight: int, names: list[str], seconds: float
) -> dict[str, Any]:
    """`in_flight` clients, each with a connection of its own, each asking the models in turn."""
    turn, times, began = count(), list[float](), processor_seconds(process)
    stop = time.monotonic() + seconds

    def work() -> None:
        ask = asking(protocol, port)  # in the thread that uses it: the HTTP client wants that
        while time.monotonic() < stop:
            start = time.perf_counter()
            ask(names[next(turn) % len(names)])
            times.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work) for _ in range(in_flight)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall, spent = time.perf_counter() - start, processor_seconds(process) - began
    row = {"protocol": protocol, "in_flight": in_flight, **latencies(times)}
    return row | {"req_s": len(times) / wall, "cpu_ms": spent / len(times) * 1000}


def asking(protocol: str, port: int) -> Callable[[str], object]:
    """A function that asks a model once over a connection that stays open."""
    if protocol == "http":
        import tritonclient.http as triton
    else:
        import tritonclient.grpc as triton

    connection = triton.InferenceServerClient(f"{server.HOST}:{port}")
    outputs = [triton.InferRequestedOutput(name) for name in ("LABEL", "SCORES", "MODEL_VERSION", "RELEASE_DIGEST")]

    def ask(model: str) -> object:
        tensors = [triton.InferInput(name, [1], "BYTES") for name in ("TEXT", "MODEL")]
        for tensor, value in zip(tensors, (TEXT, model), strict=True):
            tensor.set_data_from_numpy(np.array([value.encode()], dtype=np.object_))
        return connection.infer("minilm", tensors, outputs=outputs)

    ask(f"{releases.TENANT}.task-0")
    return ask


def measure_mounting(root: Path, keys_dir: Path, names: list[str], times: int) -> dict[str, Any]:
    """From a pointer on disk to the first answer, verification included, while another model is asked all the time."""
    trusted = releases.trusted_keys(keys_dir)
    mounts = Mounts(
        Engine(releases.base()), root / "models", trusted, base_digest(releases.base()), 1, lambda line: None, Quiet()
    )
    mounts.poll()
    quiet = timed(lambda: mounts.ask(names[0], [TEXT])[1].result(), 5.0)
    for number in range(times):
        releases.put(root, keys_dir, Release.parse(f"{releases.TENANT}.late-{number}@1"), 1000 + number)
    busy, mounting, done = list[float](), list[float](), threading.Event()

    def others() -> None:
        while not done.is_set():
            start = time.perf_counter()
            mounts.ask(names[0], [TEXT])[1].result()
            busy.append(time.perf_counter() - start)

    thread = threading.Thread(target=others)
    thread.start()
    for number in range(times):
        start = time.perf_counter()
        mounts.follow_model(f"{releases.TENANT}.late-{number}")
        mounts.ask(f"{releases.TENANT}.late-{number}", [TEXT])[1].result()
        mounting.append(time.perf_counter() - start)
    done.set()
    thread.join()
    mounts.stop()
    return {
        "protocol": "none: mounting",
        "in_flight": 1,
        "mount_p50_ms": statistics.median(mounting) * 1000,
        "p95_quiet_ms": latencies(quiet)["p95_ms"],
        "p95_while_mounting_ms": latencies(busy)["p95_ms"],
    }


def timed(call: Callable[[], object], seconds: float) -> list[float]:
    """Seconds of each call, one after the other."""
    for _ in range(10):
        call()
    times, stop = list[float](), time.monotonic() + seconds
    while time.monotonic() < stop:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return times


def latencies(times: list[float]) -> dict[str, float]:
    ordered = sorted(times)
    return {"p50_ms": statistics.median(ordered) * 1000, "p95_ms": ordered[int(len(ordered) * 0.95)] * 1000}


def processor_seconds(process: psutil.Process) -> float:
    """Of the server and its backend."""
    return sum(sum(each.cpu_times()[:2]) for each in [process, *process.children(recursive=True)])


if __name__ == "__main__":
    main()
