"""Forward passes side by side, one thread each, so that no thread waits for another at every product."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """In this block a forward pass takes one thread, as in serving. Two wait for each other on a busy machine."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """`function` of each item, in their order, as many at a time as there are cores."""
    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, items)
