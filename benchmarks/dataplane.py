"""The data plane: how fast deliveries become rows and records, and in how much memory.

Each step runs in a process of its own, so that its peak memory is its own. Reading the same lines as JSON and nothing
else is the baseline of normalizing. Text to be scrubbed is never repeated: repeated text costs less.
"""

import multiprocessing
import random
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from benchmarks.line import deliver_sample, directly, under_dagster
from benchmarks.report import arguments, peak_rss_mb, publish
from governance.contracts.source import SourceFile
from governance.tenants import Model, load_company
from orchestration import stack
from orchestration.settings import load_settings

FULL = {"normalize": 1000, "scrub": (5, 20)}
QUICK = {"normalize": 20, "scrub": (0.1, 0.4)}
BLOCK_MB = 8  # of different events; a delivery to normalize repeats them
SEED = 11
KEY = b"a key for measuring, 32 bytes.. "

Step = Callable[[Path, Path], int]


class Measured(NamedTuple):
    """What a step did: wall seconds, and the processor's, which other work on the machine disturbs less."""

    rows: int
    seconds: float
    processor_s: float
    peak_rss_mb: float


def main() -> None:
    args = arguments(__doc__ or "")
    sizes: dict[str, Any] = QUICK if args.quick else FULL
    with tempfile.TemporaryDirectory() as folder:
        rows = measure_normalize(Path(folder), sizes["normalize"]) + measure_scrub(Path(folder), sizes["scrub"])
    read, normalized, small, large = rows
    measures = {
        "normalize_mb_s": normalized["mb_s"],
        "normalize_over_read": normalized["seconds"] / read["seconds"],
        "scrub_mb_s": large["mb_s"],
        "scrub_memory_ratio": large["peak_rss_mb"] / small["peak_rss_mb"],
        "peak_rss_mb": max(row["peak_rss_mb"] for row in rows),
    }
    line = measure_line(2000 if args.quick else 3500)
    measures["orchestration_overhead"] = line[0]["seconds"] / line[1]["seconds"]
    publish("dataplane", args, measures, rows + line)


def measure_normalize(folder: Path, size_mb: float) -> list[dict[str, Any]]:
    delivery = folder / "events.jsonl"
    block = b"".join(orjson.dumps(event) + b"\n" for event in _until(BLOCK_MB * 1e6, _events()))
    with delivery.open("wb") as file:
        while file.tell() < size_mb * 1e6:
            file.write(block)
    megabytes = delivery.stat().st_size / 1e6
    steps = {"read JSON only": read_only, "normalize": normalize_events}
    return [_row(name, megabytes, _alone(step, delivery, folder / "normalized")) for name, step in steps.items()]


def measure_scrub(folder: Path, sizes_mb: Iterable[float]) -> list[dict[str, Any]]:
    rows = []
    for size_mb in sizes_mb:
        delivery = folder / f"notes-{size_mb}.jsonl"
        delivery.write_bytes(b"".join(orjson.dumps(note) + b"\n" for note in _until(size_mb * 1e6, _notes())))
        normalized = folder / f"notes-{size_mb}"
        _alone(normalize_notes, delivery, normalized)
        megabytes = delivery.stat().st_size / 1e6
        rows.append(_row("scrub", megabytes, _alone(scrub_notes, normalized / "rows.parquet", folder / "scrubbed")))
    return rows


def measure_line(rows: int) -> list[dict[str, Any]]:
    """The whole line from raw to signed: under Dagster, and the same functions called directly."""
    measured = []
    for way in (under_dagster, directly):
        with tempfile.TemporaryDirectory() as folder:
            settings = stack.start(load_settings(state_dir=Path(folder)), ["seaweedfs"])
            try:
                deliver_sample(settings, Path(folder, "samples"), rows)
                seconds = _alone_seconds(way, settings.state_dir)
            finally:
                stack.stop(settings)
        measured.append({"step": f"line {way.__name__.replace('_', ' ')}", "rows": rows, "seconds": seconds})
    return measured


def read_only(delivery: Path, out: Path) -> int:
    with delivery.open("rb") as file:
        return sum(1 for line in file if orjson.loads(line))


def normalize_events(delivery: Path, out: Path) -> int:
    return _normalize(_model("loomworks", "log-triage"), delivery, out)


def normalize_notes(delivery: Path, out: Path) -> int:
    return _normalize(_model("stclare", "triage-notes"), delivery, out)


def scrub_notes(rows: Path, out: Path) -> int:
    from assets.privacy.scrub import Options, scrub

    out.mkdir(exist_ok=True)
    one_core = Options(cores=1)  # workers would have their own memory
    return scrub(rows, _model("stclare", "triage-notes"), KEY, out, print, one_core).records


def _normalize(model: Model, delivery: Path, out: Path) -> int:
    from assets.normalization.normalize import normalize

    return normalize([SourceFile("measured", delivery.name, delivery)], model.contract, out, print).rows


def _model(tenant: str, task: str) -> Model:
    return load_company(Path(__file__).parents[1] / "pedigree.yaml").model(tenant, task)


def _events() -> Iterable[dict[str, Any]]:
    from orchestration.samples.events import events
    from orchestration.samples.people import people

    return events(random.Random(SEED), people("dataplane", 0, 2000), 10**9)


def _notes() -> Iterable[dict[str, Any]]:
    from orchestration.samples.notes import notes
    from orchestration.samples.people import people

    return notes(random.Random(SEED), people("dataplane", 0, 2000), 10**9)


def _until(size: float, records: Iterable[dict[str, Any]]) -> Iterable[dict[str, Any]]:
    """Records until their JSON fills `size` bytes."""
    for record in records:
        yield record
        size -= len(orjson.dumps(record)) + 1
        if size <= 0:
            return


def _alone(step: Step, source: Path, out: Path) -> Measured:
    """`step` in a fresh process."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(_measured, step, source, out).result()


def _alone_seconds(way: Callable[[Path], float], state_dir: Path) -> float:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(way, state_dir).result()


def _measured(step: Step, source: Path, out: Path) -> Measured:
    start, start_processor = time.perf_counter(), time.process_time()
    rows = step(source, out)
    return Measured(rows, time.perf_counter() - start, time.process_time() - start_processor, peak_rss_mb())


def _row(step: str, megabytes: float, measured: Measured) -> dict[str, Any]:
    figures = {key: round(value, 3) for key, value in measured._asdict().items()}
    return {"step": step, "mb": round(megabytes, 2), **figures, "mb_s": megabytes / measured.seconds}


if __name__ == "__main__":
    main()
