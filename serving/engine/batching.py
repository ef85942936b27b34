"""Many requests, computed together: rows of like length share a forward pass, whatever models they ask.

Nothing waits to be joined: what queued while the workers computed is the next batch. Models take turns, and so do the
rows of a large request with those behind it (start-time fair queueing, Goyal, Vin and Cheng 1996): one that is asked a
lot does not stand before the others. Nor does its batch: before it, and between the parts of its layers, the rows of
models that are asked seldom beside it are computed.
"""

import bisect
import logging
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Container, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from serving.engine.engine import Answer, Engine, Row

log = logging.getLogger(__name__)

MOST_ROWS = {"cpu": 8, "cuda": 64}  # a batch; on a CPU more are no faster, and the next one waits longer
BARE = ""  # whose turn embeddings take
AT_ONCE = -math.inf  # a turn before all others
BUCKET_TOKENS = 16  # lengths that are padded to one
SELDOM = 1 / 8  # of the busy model's rows lately: a row computed apart costs as much time as two in a batch
FADING = 0.99  # what the rows so far count when one more is computed
FORGOTTEN = 0.1  # what counts no more
NOTHING = torch.empty(0)


class Batch(NamedTuple):
    """What was computed together: rows, how many models they ask; begun and ended in nanoseconds since the epoch."""

    rows: int
    models: int
    began: int
    ended: int


OnBatch = Callable[[Batch], None]


class _Request:
    """Rows that belong together, until all of them are computed. pins: what they need meanwhile; make: from their
    vectors to what `done` holds."""

    def __init__(
        self, rows: Sequence[Row], pins: ExitStack, make: Callable[[list[Tensor]], Any], on_batch: OnBatch | None
    ) -> None:
        self.done: Future[Any] = Future()
        self.vectors: list[Tensor] = [NOTHING] * len(rows)
        self.left = len(rows)
        self.on_batch = on_batch
        self._pins, self._make = pins, make

    def end(self, fault: Exception | None = None) -> None:
        """Whoever waits hears of the fault, or of what came of the rows."""
        try:
            with self._pins:  # free again before anybody hears of the answers
                if fault:
                    raise fault
                made = self._make(self.vectors)
        except Exception as broken:
            self.done.set_exception(broken)
        else:
            self.done.set_result(made)


class _Waiting(NamedTuple):
    turn: float
    model: str
    row: Row
    place: int
    request: _Request

    @property
    def bucket(self) -> int:
        return len(self.row.tokens) // BUCKET_TOKENS


class Batcher:
    """`workers` threads that compute what is submitted to them on one engine.

    Texts are tokenized by the thread that submits them, so the workers only compute. `on_batch` hears of each batch.
    """

    def __init__(self, engine: Engine, workers: int, on_batch: OnBatch = lambda batch: None) -> None:
        self._engine, self._on_batch, self._most = engine, on_batch, MOST_ROWS[engine.device]
        self._waiting: list[_Waiting] = []  # by turn, then by age
        self._turn = 0.0  # which is computed now
        self._last: dict[str, float] = {}  # the turn of the request that came last, by model
        self._lately: dict[str, float] = {}  # rows computed, by model
        self._few = 0.0  # who had less lately is asked seldom; nobody is, where no model is busy
        self._news = threading.Condition()
        self._open = True
        self._workers = [threading.Thread(target=self._work, name=f"compute-{i}", daemon=True) for i in range(workers)]
        for worker in self._workers:
            worker.start()

    def classify(
        self, texts: Sequence[str], name: str, on_batch: OnBatch | None = None, at_once: bool = False
    ) -> "Future[list[Answer]]":
        """The answers of model `name`, which stays as it is until they are there. Raises NotMounted at once.

        `on_batch` hears of each batch that has rows of this request. With `at_once` it waits for nobody's turn.
        """
        with ExitStack() as pins:
            rows = self._engine.rows(texts, pins.enter_context(self._engine.pinned([name] * len(texts))))
            request = _Request(rows, pins.pop_all(), partial(self._engine.answers, rows), on_batch)
        return self._submit(rows, request, name, at_once)

    def embed(self, texts: Sequence[str]) -> Future[Tensor]:
        """The bare base's pooled vectors, see Engine.embed."""
        rows = self._engine.bare_rows(texts)
        return self._submit(rows, _Request(rows, ExitStack(), _normalized, None), BARE)

    def close(self) -> None:
        """Compute what waits, then end."""
        with self._news:
            self._open = False
            self._news.notify_all()
        for worker in self._workers:
            worker.join()

    def _submit(self, rows: Sequence[Row], request: _Request, model: str, at_once: bool = False) -> Future[Any]:
        with self._news:
            first = AT_ONCE
            if not at_once:
                first = self._last[model] = max(self._turn, self._last.get(model, 0)) + 1
            for place, row in enumerate(rows):
                waiting = _Waiting(first + place, model, row, place, request)
                bisect.insort(self._waiting, waiting, key=lambda each: each.turn)
            self._news.notify(len(rows))
        return request.done

    def _work(self) -> None:
        """A batch that is one model's by more than half a full one gives way to others' turns before its last row's,
        every batch to what waits for no turn and to who is asked seldom."""
        torch.set_num_threads(1)  # a thread each for several batches beats several threads for one (measured)
        while batch := self._next():
            models = Counter(each.model for each in batch)
            turn = batch[-1].turn if max(models.values()) > self._most // 2 else AT_ONCE
            self._compute(batch, partial(self._give_way, models, turn))

    def _next(self) -> list[_Waiting]:
        """The row whose turn it is, and those behind it that are about as long; none when it is time to end."""
        with self._news:
            while not self._waiting:
                if not self._open:
                    return []
                self._last.clear()
                self._news.wait()
            self._turn = max(self._turn, self._waiting[0].turn)
            return self._pick(self._waiting)

    def _give_way(self, models: Container[str], turn: float) -> None:
        """Compute first what came meanwhile for other models than these, of turns up to this one or asked seldom."""
        if not self._waiting:  # whoever comes just now is seen before the next part
            return
        with self._news:
            others = [each for each in self._waiting if each.model not in models]
            due = [each for each in others if each.turn <= turn or self._seldom(each)]
            first = self._pick(due) if due else []
        if first:
            self._compute(first)

    def _pick(self, candidates: Sequence[_Waiting]) -> list[_Waiting]:
        """The first of them and those that are about as long, as many as a batch takes; they wait no longer.

        Beside a busy model those that are asked seldom, and those that wait for no turn, don't wait for its rows.
        """
        batch = [each for each in candidates if each.bucket == candidates[0].bucket][: self._most]
        if self._few:
            batch = [each for each in batch if each.turn == AT_ONCE or self._seldom(each)] or batch
        chosen = {id(each) for each in batch}
        self._waiting = [each for each in self._waiting if id(each) not in chosen]
        self._count(batch)
        return batch

    def _count(self, batch: Sequence[_Waiting]) -> None:
        """Who is busy: a model that had more than half of the rows lately."""
        fading = FADING ** len(batch)
        self._lately = {model: fading * rows for model, rows in self._lately.items() if rows > FORGOTTEN}
        for each in batch:
            self._lately[each.model] = self._lately.get(each.model, 0) + 1
        most = max(self._lately.values())
        self._few = SELDOM * most if most > sum(self._lately.values()) / 2 else 0.0

    def _seldom(self, waiting: _Waiting) -> bool:
        return self._lately.get(waiting.model, 0) < self._few

    def _compute(self, batch: list[_Waiting], before_part: Callable[[], object] | None = None) -> None:
        rows, requests = [each.row for each in batch], {id(each.request): each.request for each in batch}.values()
        try:
            began = time.time_ns()
            vectors = self._engine.vectors(rows, before_part)
            done = Batch(len(rows), len({id(row.model) for row in rows}), began, time.time_ns())
            for request in requests:
                if request.on_batch:
                    request.on_batch(done)
        except Exception as fault:
            for request in requests:
                with self._news:
                    first, request.left = request.left > 0, 0
                if first:
                    request.end(fault)
            return
        for each, vector in zip(batch, vectors, strict=True):
            each.request.vectors[each.place] = vector
            with self._news:
                each.request.left -= 1
                last = each.request.left == 0
            if last:
                each.request.end()
        try:
            self._on_batch(done)
        except Exception:  # whoever counts batches must not end the work
            log.exception("a batch was computed and not counted")


def _normalized(vectors: list[Tensor]) -> Tensor:
    return torch.nn.functional.normalize(torch.stack(vectors), dim=-1)
