"""Adapters in slots: the low-rank matrices of many adapters beside one base, applied row by row.

Every linear module that an adapter targets has two pools of pages, A [pages, in] and B [pages, out]. A slot of rank r
holds r pages, the same numbers in every pool; page 0 is zero and pads smaller ranks (unified paging, S-LoRA,
arXiv 2311.03285). A batch gathers the pages of its rows and adds x @ Aᵀ @ B by two batched products a module (Punica,
arXiv 2310.18547), so rows of a thousand adapters cost what rows of one do.

Knows modules, not what a model is for: `applied` around any forward pass of the base is all that an adapter needs, so
a causal model is another encoder.py, with `applied` around every step of its decoding; the backend answers through
response senders, which can send a reply in parts.
"""

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

Layers = Mapping[str, tuple[Tensor, Tensor]]


class SlotsFull(RuntimeError):
    """Not enough free pages for a slot."""


class Pools(NamedTuple):
    a: Tensor
    b: Tensor


@dataclass(frozen=True)
class Slot:
    """One adapter's place. `pages`: int64 [rank]; `bytes`: of its matrices as they are stored."""

    pages: Tensor
    modules: frozenset[str]
    bytes: int

    @property
    def rank(self) -> int:
        return len(self.pages)


class _Batch(NamedTuple):
    rows: int
    rank: int
    pages: Tensor  # int64 [rows × rank]
    modules: frozenset[str]


class Slots:
    """The pools of one base's linear modules, `pages` rank-one pages each, in the dtype and on the device of the base.

    Pages that no slot ever held cost no memory on a CPU: the system gives memory when it is written. A GPU gives all of
    it at once, so there are no more pages than `most_bytes` hold. Thread-safe, but whoever frees a slot answers for no
    batch using it.
    """

    def __init__(self, linears: Mapping[str, nn.Linear], pages: int, most_bytes: int = sys.maxsize) -> None:
        if next(iter(linears.values())).weight.device.type != "cpu":
            pages = min(pages, most_bytes // sum(_page_bytes(module) for module in linears.values()))
        self._linears, self._capacity = dict(linears), pages + 1
        self._pools: dict[str, Pools] = {}
        self._lock = threading.Lock()
        self._recycled: list[int] = []
        self._next = 1
        self._here = threading.local()
        for name, module in self._linears.items():
            module.register_forward_hook(self._adding(name))

    @property
    def free_pages(self) -> int:
        return self._capacity - self._next + len(self._recycled)

    def take(self, layers: Layers) -> Slot:
        """A slot that holds `layers`: module → (A [in, r], B [r, out], already scaled). Raises SlotsFull.

        Modules without pools, such as a pooler that nobody asks, are left out.
        """
        layers = self._stored(layers)
        rank = max((a.shape[1] for a, _ in layers.values()), default=0)
        with self._lock:
            pages, recycled = self._reserve(rank)
            for name in layers:
                if name not in self._pools:
                    self._pools[name] = self._new_pools(self._linears[name])
        for name, (a, b) in layers.items():
            pools = self._pools[name]
            pools.a[pages] = a.T.to(pools.a.device)
            pools.b[pages] = b.to(pools.b.device)
        if recycled:  # what the last owner left in modules that this one has not
            for name in self._pools.keys() - layers.keys():
                self._pools[name].b[pages] = 0
        return Slot(pages, frozenset(layers), sum(a.nbytes + b.nbytes for a, b in layers.values()))

    def size(self, layers: Layers) -> int:
        """Bytes that `layers` take once they are in a slot."""
        return sum(a.nbytes + b.nbytes for a, b in self._stored(layers).values())

    def free(self, slot: Slot) -> None:
        """Hand the pages of `slot` back."""
        with self._lock:
            self._recycled += slot.pages.tolist()

    @contextmanager
    def applied(self, slots: Sequence[Slot | None]) -> Iterator[None]:
        """In this block, this thread's forward adds the adapter `slots[i]` to row i; None leaves the bare base."""
        outer: _Batch | None = getattr(self._here, "batch", None)
        self._here.batch = None
        used = {id(slot): slot for slot in slots if slot is not None and slot.rank}
        if used:
            rank = max(slot.rank for slot in used.values())
            device = next(iter(self._linears.values())).weight.device
            pages = torch.zeros(len(slots), rank, dtype=torch.long)
            for row, slot in enumerate(slots):
                if slot is not None:
                    pages[row, : slot.rank] = slot.pages
            modules = frozenset().union(*(slot.modules for slot in used.values()))
            self._here.batch = _Batch(len(slots), rank, pages.flatten().to(device), modules)
        try:
            yield
        finally:
            self._here.batch = outer

    def _stored(self, layers: Layers) -> dict[str, tuple[Tensor, Tensor]]:
        dtype = next(iter(self._linears.values())).weight.dtype
        return {name: (a.to(dtype), b.to(dtype)) for name, (a, b) in layers.items() if name in self._linears}

    def _reserve(self, rank: int) -> tuple[Tensor, bool]:
        if rank > self.free_pages:
            raise SlotsFull(f"a slot of rank {rank} needs {rank} pages, {self.free_pages} are free")
        recycled = [self._recycled.pop() for _ in range(min(rank, len(self._recycled)))]
        fresh = range(self._next, self._next + rank - len(recycled))
        self._next = fresh.stop
        return torch.tensor([*recycled, *fresh], dtype=torch.long), bool(recycled)

    def _new_pools(self, module: nn.Linear) -> Pools:
        weight = module.weight
        return Pools(*(_zeros(self._capacity, width, weight) for width in (module.in_features, module.out_features)))

    def _adding(self, name: str) -> Any:
        """A hook that adds to the output [rows, tokens, out] of module `name` what each row's adapter says."""

        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            batch: _Batch | None = getattr(self._here, "batch", None)
            if batch is None or name not in batch.modules:
                return output
            pools = self._pools[name]
            a = pools.a.index_select(0, batch.pages).view(batch.rows, batch.rank, -1)
            b = pools.b.index_select(0, batch.pages).view(batch.rows, batch.rank, -1)
            return output.baddbmm_(inputs[0] @ a.transpose(1, 2), b)

        return add


def _page_bytes(module: nn.Linear) -> int:
    return (module.in_features + module.out_features) * module.weight.element_size()


def _zeros(pages: int, width: int, like: Tensor) -> Tensor:
    """Zeros in the dtype and on the device of `like`; on a CPU untouched memory, which torch.zeros would write."""
    if like.device.type != "cpu":
        return torch.zeros(pages, width, dtype=like.dtype, device=like.device)
    bits = {2: np.int16, 4: np.int32}[like.element_size()]
    return torch.from_numpy(np.zeros((pages, width), bits)).view(like.dtype)
