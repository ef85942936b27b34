"""The same work on one core, on all of them, or on a Ray cluster: results in order, a bounded number under way.

What is done is given as `make`, called once in each worker, and returns the function that is applied to every batch;
both travel by pickle. Where it ran does not show in the results.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import cycle
from multiprocessing import get_context, parent_process
from typing import Any, TypeVar, cast

Given = TypeVar("Given")
Done = TypeVar("Done")
Handle = TypeVar("Handle")
Work = Callable[[Given], Done]
UNDER_WAY = 2  # batches a worker has in hand: the one that it works on, and the next


class WorkerLost(RuntimeError):
    """A worker ended without an answer, or none can be had; the message says what to look at."""


def cores() -> int:
    """The cores that this process may use."""
    return len(os.sched_getaffinity(0))


def here(make: Callable[[], Work[Given, Done]], given: Iterable[Given]) -> Iterator[Done]:
    """In this process."""
    work = make()
    return map(work, given)


def on_cores(make: Callable[[], Work[Given, Done]], given: Iterable[Given], count: int) -> Iterator[Done]:
    """In `count` processes. They are spawned: a fork of a process with threads may hang. Raises WorkerLost."""
    with ProcessPoolExecutor(count, get_context("spawn"), _prepare, (make,)) as pool:
        try:
            yield from _in_order(lambda batch: pool.submit(_work, batch), Future.result, given, count * UNDER_WAY)
        except BrokenProcessPool as broken:
            raise WorkerLost(
                f"one of {count} workers was ended from outside; look for a lack of memory, then materialize again"
            ) from broken
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def on_ray(make: Callable[[], Work[Given, Done]], given: Iterable[Given], address: str) -> Iterator[Done]:
    """On every core of a Ray cluster (`pip install pedigree[ray]`); `local` starts one here. Raises WorkerLost."""
    try:
        import ray
    except ModuleNotFoundError as missing:
        raise WorkerLost("ray_address is set and Ray is not installed; `pip install pedigree[ray]`") from missing
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(None if address == "local" else address, ignore_reinit_error=True, log_to_driver=False)
    count = max(1, int(ray.cluster_resources().get("CPU", 1)))
    actors: list[Any] = [ray.remote(_Actor).remote(make) for _ in range(count)]
    turn, take = cycle(actors), cast(Callable[[Any], Done], ray.get)
    try:
        yield from _in_order(lambda batch: next(turn).work.remote(batch), take, given, count * UNDER_WAY)
    except ray.exceptions.RayActorError as lost:
        raise WorkerLost(
            f"a Ray worker at {address} was lost ({lost}); look at the cluster, then materialize again"
        ) from lost
    finally:
        for actor in actors:
            ray.kill(actor)


def _in_order(
    submit: Callable[[Given], Handle], take: Callable[[Handle], Done], given: Iterable[Given], most: int
) -> Iterator[Done]:
    under_way: deque[Handle] = deque()
    for one in given:
        under_way.append(submit(one))
        if len(under_way) == most:
            yield take(under_way.popleft())
    while under_way:
        yield take(under_way.popleft())


class _Actor:
    def __init__(self, make: Callable[[], Work[Any, Any]]) -> None:
        self.work_on = make()

    def work(self, batch: Any) -> Any:
        return self.work_on(batch)


_made: Work[Any, Any]


def _prepare(make: Callable[[], Work[Any, Any]]) -> None:
    global _made
    os.environ["OMP_NUM_THREADS"] = "1"  # every core has a worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _made = make()


def _work(batch: Any) -> Any:
    return _made(batch)


def _end_with_parent() -> None:
    """A killed parent cannot end its workers, and they would wait for it for ever."""
    if parent := parent_process():
        parent.join()
        os._exit(1)
