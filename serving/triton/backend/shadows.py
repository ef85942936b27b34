"""A version beside the one that answers: a share of the requests is put to it too, behind the reply, and compared.

The client never waits for it and never hears of it. One thread computes what is mirrored; what it has no room for is
not mirrored.
"""

import math
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from statistics import median

from serving.engine import Answer, Engine, NotMounted
from serving.triton.backend.served import Served

MOST_WAITING = 32  # requests
MOST_ROWS = 32  # of a request
YIELDING = 10  # niceness

Told = Callable[[str, str], None]
"""Hears of each mirrored request: the model, and whether it `agreed`, `differed` or `failed`."""


@dataclass
class Tally:
    """What came of the requests that a release answered since then. Threads that count at once may lose one, which is
    no harm."""

    mount: str
    since: datetime
    answered: int = 0
    failed: int = 0

    def count(self, answers: "Future[list[Answer]]") -> None:
        if answers.exception():
            self.failed += 1
        else:
            self.answered += 1


@dataclass
class Trial:
    """A release that is tried, or why it cannot be. Seconds: of the same rows, first on the live release."""

    served: Served
    share: float
    refused: str | None = None
    asked: int = 0  # requests that the live release answered meanwhile
    mirrored: int = 0
    failed: int = 0
    agreed: int = 0
    live_seconds: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def told(self) -> dict[str, object]:
        """For STATUS."""
        return {
            "release": self.served.release,
            "refused": self.refused,
            "asked": self.asked,
            "mirrored": self.mirrored,
            "failed": self.failed,
            "agreed": self.agreed,
            "slowdown": median(self.seconds) / median(self.live_seconds) if self.seconds else None,
        }


class Shadows:
    """The releases that are tried, at most one a model."""

    def __init__(self, engine: Engine, told: Told) -> None:
        self._engine, self._told = engine, told
        self._line = ThreadPoolExecutor(1, thread_name_prefix="shadow", initializer=_yield)
        self._room = threading.BoundedSemaphore(MOST_WAITING)
        self._trials: dict[str, Trial] = {}

    def begin(self, name: str, trial: Trial) -> None:
        self._trials[name] = trial

    def end(self, name: str) -> Trial | None:
        return self._trials.pop(name, None)

    def find(self, name: str) -> Trial | None:
        return self._trials.get(name)

    def mirror(self, name: str, live: str, texts: Sequence[str], answers: "Future[list[Answer]]") -> None:
        """Once mount `live` has answered, its shadow may be asked the same."""
        trial = self._trials.get(name)
        if trial is None or trial.refused or trial.served.mount == live:
            return
        trial.asked += 1
        if random.random() < trial.share and self._room.acquire(blocking=False):
            compare = partial(self._compare, name, trial, live, texts[:MOST_ROWS])
            answers.add_done_callback(lambda done: self._line.submit(compare, done))

    def stop(self) -> None:
        self._line.shutdown(cancel_futures=True)

    def _compare(
        self, name: str, trial: Trial, live: str, texts: Sequence[str], answered: "Future[list[Answer]]"
    ) -> None:
        try:
            if answered.exception() is None:
                outcome = self._ask_both(trial, live, texts, answered.result())
                trial.agreed += outcome == "agreed"
                trial.failed += outcome == "failed"
                trial.mirrored += 1
                self._told(name, outcome)
        except NotMounted:
            pass  # one of both made room meanwhile, which says nothing of the release
        finally:
            self._room.release()

    def _ask_both(self, trial: Trial, live: str, texts: Sequence[str], answers: Sequence[Answer]) -> str:
        """How the shadow's labels go with those that were replied. The live one is asked again, for its time alone."""
        live_seconds, _ = self._timed(live, texts)
        try:
            seconds, shadowed = self._timed(trial.served.mount, texts)
        except NotMounted:
            raise
        except Exception:  # whatever the release does
            return "failed"
        if not all(math.isfinite(score) for answer in shadowed for score in answer.scores.values()):
            return "failed"
        trial.live_seconds.append(live_seconds)
        trial.seconds.append(seconds)
        same = all(one.label == other.label for one, other in zip(answers, shadowed, strict=False))
        return "agreed" if same else "differed"

    def _timed(self, mount: str, texts: Sequence[str]) -> tuple[float, list[Answer]]:
        began = time.perf_counter()
        answers = self._engine.classify(texts, [mount] * len(texts))
        return time.perf_counter() - began, answers


def _yield() -> None:
    """Let the threads that answer go before this one: niceness is a thread's own on Linux."""
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), YIELDING)
