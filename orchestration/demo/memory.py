"""How much memory this process and everything it started take together, at most."""

import threading
from collections.abc import Iterable

import psutil


class PeakMemory:
    """Samples resident memory (proportional set size where the kernel tells) of process trees until stopped."""

    def __init__(self, roots: Iterable[int], every: float = 5.0) -> None:
        self.peak_bytes = 0
        self._roots = list(roots)
        self._every = every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(self._every):
            self.peak_bytes = max(self.peak_bytes, sum(map(_bytes, self._processes())))

    def _processes(self) -> set[psutil.Process]:
        found: set[psutil.Process] = set()
        for pid in self._roots:
            try:
                root = psutil.Process(pid)
                found |= {root, *root.children(recursive=True)}
            except psutil.NoSuchProcess:
                continue
        return found


def _bytes(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except (psutil.Error, AttributeError):
        return 0
