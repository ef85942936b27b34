"""A scrub gives the same bytes on one core, on several and on Ray, in order, and says what it lost."""

import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import psutil
import pytest

from assets.privacy import workers
from tests.assets.privacy.conftest import MakeNote, RunScrub

DOUBLING = partial(eval, "lambda n: 2 * n")  # imports nothing of ours, so its workers start quickly


def test_two_cores_write_the_bytes_that_one_writes(tmp_path: Path, make_note: MakeNote, run_scrub: RunScrub) -> None:
    rows = [make_note(n, f"Pt Quenby Hollis, seen by Dr. Adair with Peter Novak {n}.") for n in range(1200)]
    _, alone = run_scrub(rows, cores=1, canaries=150)
    one = (tmp_path / "records.parquet").read_bytes()
    _, together = run_scrub(rows, cores=2, canaries=150)
    assert (tmp_path / "records.parquet").read_bytes() == one
    assert (alone.masked, alone.planted) == (together.masked, together.planted)


def test_results_come_in_order_and_a_bounded_number_is_under_way() -> None:
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in range(40):
            taken.append(number)
            yield number

    seen: list[int] = []
    for result in workers.on_cores(DOUBLING, numbers(), 2):
        seen.append(result)
        assert len(taken) - len(seen) <= 2 * workers.UNDER_WAY
    assert seen == [2 * number for number in range(40)]
    assert multiprocessing.active_children() == []


def test_a_worker_that_is_killed_is_named_and_the_others_end() -> None:
    ending = partial(eval, "lambda n: __import__('os')._exit(9) if n == 5 else n")
    with pytest.raises(workers.WorkerLost, match=r"one of 2 workers .* materialize again"):
        list(workers.on_cores(ending, iter(range(40)), 2))
    assert multiprocessing.active_children() == []


KILLED = """
from functools import partial
from itertools import count
from assets.privacy.workers import on_cores
if __name__ == "__main__":
    for pid in on_cores(partial(eval, "lambda n: __import__('os').getpid()"), count(), 2):
        print(pid, flush=True)
"""


def test_workers_end_with_a_scrub_that_is_killed(tmp_path: Path) -> None:
    (tmp_path / "scrub.py").write_text(KILLED)
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, tmp_path / "scrub.py"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        pids = {int(process.stdout.readline()) for _ in range(20)}
        process.kill()
    deadline = time.monotonic() + 30
    while any(map(psutil.pid_exists, pids)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert pids and not any(map(psutil.pid_exists, pids))


def test_ray_writes_the_same_bytes(tmp_path: Path, make_note: MakeNote, run_scrub: RunScrub) -> None:
    ray = pytest.importorskip("ray", reason="ray is not installed; `pip install pedigree[ray]`")
    rows = [make_note(n, f"Pt Quenby Hollis, seen by Dr. Adair {n}.") for n in range(600)]
    run_scrub(rows)
    here = (tmp_path / "records.parquet").read_bytes()
    try:
        run_scrub(rows, ray="local")
    finally:
        ray.shutdown()
    assert (tmp_path / "records.parquet").read_bytes() == here


def test_a_cluster_without_ray_installed_is_refused_by_name(
    make_note: MakeNote, run_scrub: RunScrub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(workers.WorkerLost, match=r"pip install pedigree\[ray\]"):
        run_scrub([make_note(1, "Pt Quenby Hollis")], ray="local")
