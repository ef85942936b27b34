"""kill -9 of a worker, Redis, a gateway, the broker, while clients ask: nothing is lost, and no answer is another's."""

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import numpy as np
import pytest

from orchestration import stack
from serving.triton import client
from tests.serving.fleet import Fleet, Server, until

TEXTS = [f"question number {number} about {word}" for number in range(8) for word in ("cards", "loans", "rain")]
PATIENCE = {"Timeout-Ms": "25000"}


class Askers:
    """Clients that ask all the time, each text with an answer of its own; what came of it by status.

    A wrong answer is counted as `wrong`, a connection that broke as `broken`, an error that is final by its text.
    """

    def __init__(self, fleet: Fleet, gateway: Server, right: dict[str, np.ndarray], number: int = 4) -> None:
        self.ended: Counter[int | str] = Counter()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._ask, args=(fleet.client(gateway, "northbank"), right, first))
            for first in range(number)
        ]

    def __enter__(self) -> "Askers":
        for thread in self._threads:
            thread.start()
        self.answered(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def answered(self, more: int, seconds: float = 40) -> None:
        """Wait for so many more answers."""
        goal = self.ended[200] + more
        until(lambda: self.ended[200] >= goal, seconds)

    def _ask(self, connection: httpx.Client, right: dict[str, np.ndarray], turn: int) -> None:
        while not self._stop.is_set():
            turn += 1
            text = TEXTS[turn % len(TEXTS)]
            try:
                reply = connection.post("/v1/embeddings", json={"input": text}, headers=PATIENCE)
            except httpx.HTTPError:
                self.ended["broken"] += 1
                time.sleep(0.1)
                continue
            if reply.status_code != 200:
                self.ended[reply.status_code if reply.json()["retryable"] else reply.text] += 1
                time.sleep(0.1)
                continue
            vector = reply.json()["data"][0]["embedding"]
            self.ended[200 if np.allclose(vector, right[text], atol=1e-4) else "wrong"] += 1
            time.sleep(0.02)


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[[], Fleet]) -> Fleet:
    """Two workers that cache nothing, so that every answer is asked for."""
    fleet = make_fleet()
    for _ in range(2):
        fleet.start("worker", WORKER_KEPT_ANSWERS="0")
    return fleet


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Server:
    return fleet.open(GATEWAY_TARGET='{"enterprise": 60, "free": 60}')


@pytest.fixture
def asking(fleet: Fleet, gateway: Server) -> Callable[[], Askers]:
    right = dict(zip(TEXTS, client.embed(fleet.region.address, TEXTS), strict=True))
    return lambda: Askers(fleet, gateway, right)


@contextmanager
def killed(fleet: Fleet, part: str) -> Iterator[None]:
    """The part of the stack is down inside, and up again after."""
    os.kill(fleet.entry(part).pid, signal.SIGKILL)
    yield
    stack.start(fleet.broker, [part])


def test_without_redis_everything_is_still_answered(
    fleet: Fleet, gateway: Server, asking: Callable[[], Askers]
) -> None:
    with asking() as askers:
        with killed(fleet, "redis"):
            askers.answered(20)
            said = httpx.get(f"{gateway.url}/readyz")
            assert (said.status_code, "no answer" in said.json()["redis"]) == (200, True)
            late = fleet.start("gateway")  # one that starts now takes a partition without a lease
            until(late.ready)
            assert fleet.client(late, "northbank").post("/v1/embeddings", json={"input": "x"}).status_code == 200
            assert late.end() == 0
            assert "Traceback" not in late.log.read_text()
        askers.answered(20)
        until(lambda: bool(httpx.get(f"{gateway.url}/readyz").json()["redis"] == "ok"))
    assert askers.ended.keys() == {200}, askers.ended


def test_another_gateway_goes_on_when_one_is_killed(fleet: Fleet, asking: Callable[[], Askers]) -> None:
    other = fleet.start("gateway")
    until(other.ready)
    with asking() as askers:
        right = dict(zip(TEXTS, client.embed(fleet.region.address, TEXTS), strict=True))
        with Askers(fleet, other, right) as theirs:
            other.end(signal.SIGKILL)
            askers.answered(20)
    assert askers.ended.keys() == {200}, askers.ended
    assert theirs.ended.keys() == {200, "broken"}, theirs.ended


def test_a_killed_workers_requests_are_answered_by_another(fleet: Fleet, asking: Callable[[], Askers]) -> None:
    with asking() as askers:
        fleet.servers[0].end(signal.SIGKILL)
        askers.answered(40)
    assert askers.ended.keys() == {200}, askers.ended


def test_a_broker_that_forgot_everything_is_made_use_of_again(fleet: Fleet, asking: Callable[[], Askers]) -> None:
    with asking() as askers:
        with killed(fleet, "kafka"):
            pass
        askers.answered(20)
    assert askers.ended.keys() <= {200, 503, 504}, askers.ended
