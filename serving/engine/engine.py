"""Texts to labels: one resident base, and models mounted on it as an adapter in a slot and a head.

A batch may mix models. What a row gets depends on its model and its text alone, up to the last bits of a sum.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn

import torch
from torch import Tensor

from serving.engine.adapters import Adapter, load_adapter
from serving.engine.encoder import Encoder
from serving.engine.slots import Slot, SlotsFull

EMBEDDED_TOKENS = 256  # what the base was trained on
BATCH_TOKENS = {"cpu": 1024, "cuda": 65_536}  # rows × padded length of a pass; a CPU loses its caches with more


class NotMounted(LookupError):
    """A text asks for a model that is not mounted."""


class EngineFull(RuntimeError):
    """Every mounted model is in use and there is no room for another."""


@dataclass(frozen=True)
class Limits:
    """What mounted models may take together: their number, the bytes of their adapters and heads, rank-one pages.

    patience: seconds that a mount waits for a model to be out of use when all are in use.
    """

    models: int = 1024
    bytes: int = 8 << 30
    pages: int = 32_768
    patience: float = 10.0


@dataclass(frozen=True)
class Answer:
    """The likeliest label, and every label's probability in the head's order."""

    label: str
    scores: dict[str, float]


@dataclass
class Mounted:
    """A model that can answer. `users`: calls that work with it now; its slot is freed when it is gone and unused."""

    labels: tuple[str, ...]
    max_tokens: int
    weight: Tensor
    bias: Tensor
    slot: Slot
    users: int = 0
    gone: bool = False
    bytes: int = field(init=False)

    def __post_init__(self) -> None:
        self.bytes = self.slot.bytes + self.weight.nbytes + self.bias.nbytes


@dataclass(frozen=True)
class Row:
    """One text, ready to be computed: its token ids, and the model that answers (None: the bare base)."""

    tokens: list[int]
    model: Mounted | None


class Engine:
    """The base of one folder, resident, with models by name, the least recently used making room for the next.

    Thread-safe: a call works on the models that it found, so a mount, a replacement, an eviction or an unmount in
    between changes nothing for it, and their slots are used again only afterwards.
    """

    def __init__(self, base: Path, dtype: str = "float32", limits: Limits | None = None) -> None:
        """`dtype` of the base and the adapters: "float32" or "bfloat16". Raises BaseUnusable."""
        self._limits = limits or Limits()
        self._encoder = Encoder(base, dtype, self._limits.pages, self._limits.bytes)
        self._models: OrderedDict[str, Mounted] = OrderedDict()  # least recently used first
        self._lock = threading.Condition()
        self.evictions = 0

    def mount(self, name: str, folder: Path, expect: Mapping[str, str] | None = None) -> None:
        """Mount the adapter of `folder` under `name`, replacing what had the name. Raises AdapterRefused, EngineFull.

        expect: sha256 by file name, see load_adapter. What stands is evicted only for an adapter that is sound.
        """
        adapter = load_adapter(folder, self._encoder.shape, expect)
        slot = self._take(adapter)
        mounted = Mounted(adapter.labels, adapter.max_tokens, adapter.weight, adapter.bias, slot)
        with self._lock:
            self._drop(name)
            self._models[name] = mounted

    def unmount(self, name: str) -> None:
        """Forget `name`. Raises NotMounted."""
        with self._lock:
            if not self._drop(name):
                raise NotMounted(f"{name} is not mounted")

    def mounted(self) -> list[str]:
        return sorted(self._models)

    @property
    def resident_bytes(self) -> int:
        """Of the adapters and heads of all mounted models."""
        return sum(model.bytes for model in list(self._models.values()))

    @contextmanager
    def pinned(self, names: Sequence[str]) -> Iterator[list[Mounted]]:
        """The models of `names`, kept as they are for as long as the block lasts. Raises NotMounted."""
        with self._lock:
            found = [self._models[name] if name in self._models else self._missing(name) for name in names]
            for name, model in zip(names, found, strict=True):
                model.users += 1
                self._models.move_to_end(name)
        try:
            yield found
        finally:
            with self._lock:
                for model in found:
                    model.users -= 1
                    self._free_unused(model)
                self._lock.notify_all()

    @property
    def device(self) -> str:
        """`cpu` or `cuda`."""
        return self._encoder.device

    @property
    def hidden(self) -> int:
        """Width of a pooled vector."""
        return self._encoder.shape.hidden

    def classify(self, texts: Sequence[str], names: Sequence[str]) -> list[Answer]:
        """The answer of model `names[i]` to `texts[i]`, for every i. Raises NotMounted, ValueError."""
        if len(texts) != len(names):
            raise ValueError(f"{len(texts)} texts but {len(names)} model names; one name a text")
        with self.pinned(names) as models:
            rows = self.rows(texts, models)
            return self.answers(rows, self.vectors(rows))

    def embed(self, texts: Sequence[str]) -> Tensor:
        """The bare base's mean-pooled vectors, each of length 1: float32 [texts, hidden] on the CPU."""
        return torch.nn.functional.normalize(self.vectors(self.bare_rows(texts)), dim=-1)

    def rows(self, texts: Sequence[str], models: Sequence[Mounted]) -> list[Row]:
        """Tokenize each text as its model wants it."""
        rows: list[Row | None] = [None] * len(texts)
        for length in {model.max_tokens for model in models}:
            chosen = [i for i, model in enumerate(models) if model.max_tokens == length]
            tokens = self._encoder.tokenize([texts[i] for i in chosen], length)
            for i, ids in zip(chosen, tokens, strict=True):
                rows[i] = Row(ids, models[i])
        return [row for row in rows if row is not None]

    def bare_rows(self, texts: Sequence[str]) -> list[Row]:
        """Tokenize each text for the base without an adapter."""
        return [Row(ids, None) for ids in self._encoder.tokenize(texts, EMBEDDED_TOKENS)]

    def vectors(self, rows: Sequence[Row], before_part: Callable[[], object] | None = None) -> Tensor:
        """The pooled vectors of rows whose models are pinned: float32 [rows, hidden] on the CPU.

        before_part: see Encoder.pooled.
        """
        pooled = torch.empty(len(rows), self.hidden)
        for batch in batches([len(row.tokens) for row in rows], BATCH_TOKENS[self._encoder.device]):
            slots = [model.slot if (model := rows[i].model) else None for i in batch]
            pooled[batch] = self._encoder.pooled([rows[i].tokens for i in batch], slots, before_part).cpu()
        return pooled

    def answers(self, rows: Sequence[Row], vectors: Iterable[Tensor]) -> list[Answer]:
        """What the heads of the rows' models say of their vectors."""
        return [_answer(row.model, vector) for row, vector in zip(rows, vectors, strict=True) if row.model]

    def _take(self, adapter: Adapter) -> Slot:
        """A slot, after evicting as many of the least recently used models as it needs. Raises EngineFull."""
        size = self._encoder.slots.size(adapter.layers) + adapter.weight.nbytes + adapter.bias.nbytes
        if size > self._limits.bytes or adapter.rank > self._limits.pages:
            raise EngineFull(f"the adapter takes {size} bytes and {adapter.rank} pages, allowed are {self._limits}")
        deadline = time.monotonic() + self._limits.patience
        with self._lock:
            while True:
                held = self.resident_bytes
                if len(self._models) < self._limits.models and held + size <= self._limits.bytes:
                    with suppress(SlotsFull):
                        return self._encoder.slots.take(adapter.layers)
                idle = next((name for name, model in self._models.items() if not model.users), None)
                if idle is not None:
                    self._drop(idle)
                    self.evictions += 1
                elif not self._lock.wait(deadline - time.monotonic()):
                    raise EngineFull(f"all {len(self._models)} mounted models ({held} bytes) are in use; raise limits")

    def _drop(self, name: str) -> bool:
        model = self._models.pop(name, None)
        if model is not None:
            model.gone = True
            self._free_unused(model)
        return model is not None

    def _free_unused(self, model: Mounted) -> None:
        if model.gone and not model.users:
            self._encoder.slots.free(model.slot)

    def _missing(self, name: str) -> NoReturn:
        raise NotMounted(f"{name} is not mounted; mounted are {', '.join(self.mounted()[:20]) or 'none'}")


def batches(lengths: Sequence[int], most: int) -> Iterator[list[int]]:
    """Rows in batches of similar length, so that little is padding, each of `most` tokens at most, or of one row."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > most:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _answer(model: Mounted, vector: Tensor) -> Answer:
    scores = torch.softmax(vector @ model.weight + model.bias, dim=-1)
    return Answer(model.labels[int(scores.argmax())], dict(zip(model.labels, scores.tolist(), strict=True)))
