"""Promotion, rollback, a new and a retired model while clients ask: no restart, no error, replies name who answered."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from serving.triton import repository
from tests.serving.fleet import Fleet, Server, until

PARCELS, LETTERS = "northbank.parcels", "northbank.letters"
TEXTS = [f"where is parcel {number}" for number in range(12)]


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[[], Fleet], make_release: Callable[..., Path]) -> Fleet:
    """One model, one worker that keeps no answers."""
    fleet = make_fleet()
    fleet.put(f"{PARCELS}@1", make_release(f"{PARCELS}@1", seed=11))
    fleet.start("worker", WORKER_KEPT_ANSWERS="0")
    return fleet


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Server:
    return fleet.open(GATEWAY_TARGET='{"enterprise": 60, "free": 60}')


def ask(connection: httpx.Client, model: str, text: str) -> httpx.Response:
    return connection.post(f"/v1/models/{model.replace('.', '/')}/infer", json={"input": text})


@contextmanager
def asking(fleet: Fleet, gateway: Server) -> Iterator[list[tuple[str, dict[str, Any]]]]:
    """Three clients that ask for parcels all the time; each text with its reply, or with what was wrong."""
    replies: list[tuple[str, dict[str, Any]]] = []
    over = threading.Event()

    def client(turn: int) -> None:
        connection = fleet.client(gateway, "northbank")
        while not over.is_set():
            turn += 1
            text = TEXTS[turn % len(TEXTS)]
            reply = ask(connection, PARCELS, text)
            replies.append((text, reply.json() if reply.status_code == 200 else {"fault": reply.text}))

    threads = [threading.Thread(target=client, args=(first,)) for first in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield replies
    finally:
        over.set()
        for thread in threads:
            thread.join()


def test_nobody_notices_but_by_the_digest(fleet: Fleet, gateway: Server, make_release: Callable[..., Path]) -> None:
    probe = fleet.client(gateway, "northbank")

    def answers_as(release: str) -> bool:
        reply = ask(probe, release.partition("@")[0], TEXTS[0])
        return reply.status_code == 200 and bool(reply.json()["release"] == release)

    def scores(model: str) -> dict[str, list[float]]:
        said = {text: ask(probe, model, text).json()["results"][0]["scores"] for text in TEXTS}
        return {text: [each[label] for label in sorted(each)] for text, each in said.items()}

    until(lambda: answers_as(f"{PARCELS}@1"))
    right = {f"{PARCELS}@1": scores(PARCELS)}
    with asking(fleet, gateway) as replies:
        fleet.put(f"{PARCELS}@2", make_release(f"{PARCELS}@2", seed=12))
        until(lambda: answers_as(f"{PARCELS}@2"))
        right[f"{PARCELS}@2"] = scores(PARCELS)
        fleet.put(f"{LETTERS}@1", make_release(f"{LETTERS}@1", seed=13))
        until(lambda: answers_as(f"{LETTERS}@1"))
        fleet.put(f"{PARCELS}@1", make_release(f"{PARCELS}@1", seed=11))
        until(lambda: answers_as(f"{PARCELS}@1"))
        repository.withdraw(fleet.region.root, LETTERS)
        until(lambda: ask(probe, LETTERS, TEXTS[0]).status_code == 404)
    assert [said["fault"] for _, said in replies if "fault" in said] == []
    assert {said["release"] for _, said in replies} == right.keys()
    assert len({(said["release"], said["digest"]) for _, said in replies}) == 2
    for text, said in replies:
        given = said["results"][0]["scores"]
        np.testing.assert_allclose([given[label] for label in sorted(given)], right[said["release"]][text], atol=1e-4)
    assert gateway.process.poll() is None
