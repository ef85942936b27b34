"""The demo's figure of memory is that of whole process trees."""

import os
import subprocess
import sys
import time
from collections.abc import Callable

from orchestration.demo.memory import PeakMemory

HELD = 200_000_000
CHILD = f"import sys; held = b'x' * {HELD}; print(len(held), flush=True); sys.stdin.read()"


def _until(held: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not held():
        assert time.monotonic() < deadline, "the memory was never seen"
        time.sleep(0.05)


def test_the_peak_counts_children_and_stays_after_they_are_gone() -> None:
    with PeakMemory([os.getpid()], every=0.1) as alone, PeakMemory([os.getpid()], every=0.1) as memory:
        _until(lambda: alone.peak_bytes > 0)
        without = alone.peak_bytes
        with subprocess.Popen([sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            assert child.stdout is not None
            child.stdout.readline()
            _until(lambda: memory.peak_bytes > without + 0.9 * HELD)
    assert memory.peak_bytes < without + 2 * HELD


def test_a_process_that_is_gone_costs_nothing() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    with PeakMemory([ended.pid], every=0.01) as memory:
        pass
    assert memory.peak_bytes == 0
