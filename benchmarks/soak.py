"""What must not happen to a region: a wrong answer or an error while releases come and go, silence after a kill."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np

from benchmarks import releases
from benchmarks.region import Answers, Ask, Region
from governance.tenants import Release
from serving.engine import Engine
from serving.triton import client, repository, server
from serving.triton.keep import BACKEND

TEXTS = (
    "my card was declined",
    "please refund the transfer to the other account before the end of the month, it was a mistake of mine",
    "naïve 転送",
    "where is my money",
)
EXACT = 1e-5
PATIENCE = 120.0
PAUSE = 0.05  # of a client after an error


class Truth:
    """What each release says, by the engine in this process."""

    def __init__(self) -> None:
        self._engine = Engine(releases.base())
        self._scores: dict[tuple[str, str], np.ndarray[Any, Any]] = {}
        self._digests: dict[str, str] = {}

    def lay(self, root: Path, keys_dir: Path, names: Sequence[str]) -> None:
        """Sign and install the releases of these names, and learn what they say to TEXTS."""
        for name in names:
            release = Release.parse(name)
            self._digests[name] = releases.lay(root, keys_dir, release, seed=len(self._digests))
            self._engine.mount(name, repository.release_folder(root, release))
            for text, answer in zip(TEXTS, self._engine.classify(TEXTS, [name] * len(TEXTS)), strict=True):
                self._scores[name, text] = np.array(list(answer.scores.values()))
            self._engine.unmount(name)

    def holds(self, model: str, text: str, said: Answers) -> bool:
        """Whether a version of `model` said it: the one that the reply names, by its digest, to EXACT."""
        version, digest = (said[name][0].decode() for name in ("MODEL_VERSION", "RELEASE_DIGEST"))
        close = np.allclose(said["SCORES"][0], self._scores[version, text], rtol=0, atol=EXACT)
        return bool(close and digest == self._digests[version] and version.startswith(f"{model}@"))


class Tally:
    """What clients got."""

    def __init__(self, models: Sequence[str]) -> None:
        self.models = list(models)  # that are asked
        self.right = self.wrong = 0
        self.errors: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def asked(self) -> int:
        return self.right + self.wrong + self.errors.total()

    def reached(self, asked: int) -> bool:
        return self.asked >= asked

    def count(self, ask: Ask, truth: Truth) -> bool:
        """Ask a random model once; whether it answered."""
        model, text = random.choice(self.models), random.choice(TEXTS)
        try:
            holds = truth.holds(model, text, ask(model, text))
        except Exception as fault:
            with self._lock:
                self.errors[f"{type(fault).__name__}: {str(fault)[:120]}"] += 1
            return False
        with self._lock:
            self.right += holds
            self.wrong += not holds
        return True


@contextmanager
def asked_by(clients: int, asking: Callable[[], Ask], truth: Truth, tally: Tally) -> Iterator[None]:
    """In this block so many clients ask one request after the other, each over a connection of its own."""
    done = threading.Event()

    def work() -> None:
        ask = asking()
        while not done.is_set():
            if not tally.count(ask, truth):
                time.sleep(PAUSE)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def soak(root: Path, keys_dir: Path, requests: int, connections: int, switches: int, late: int) -> dict[str, Any]:
    """`requests` over `connections`, while versions are switched and `late` adapters come, answer, and make room.

    The region holds fewer models than there are: the least recently used are evicted and come back when asked.
    """
    models = [f"{releases.TENANT}.soak-{i}" for i in range(4)]
    newcomers = [f"{releases.TENANT}.late-{i}" for i in range(late)]
    truth, turns = Truth(), max(switches, late)
    truth.lay(root, keys_dir, [f"{model}@{number}" for model in models for number in (1, 2)])
    truth.lay(root, keys_dir, [f"{model}@1" for model in newcomers])
    for model in models:
        repository.switch(root, Release.parse(f"{model}@1"))
    tally, began = Tally(models), time.monotonic()
    with Region(root, releases.BASE, PEDIGREE_TRITON_MODELS=str(2 * len(models) + late // 2)) as region:
        with asked_by(connections, region.asking, truth, tally):
            for turn in range(turns):
                if turn < switches:
                    number = 2 - turn // len(models) % 2
                    repository.switch(root, Release.parse(f"{models[turn % len(models)]}@{number}"))
                if turn * late // turns < (turn + 1) * late // turns:
                    repository.switch(root, Release.parse(f"{newcomers[turn * late // turns]}@1"))
                until(partial(tally.reached, requests * (turn + 1) // turns))
                tally.models = [*models, *answering(region, newcomers)]
            until(lambda: len(answering(region, newcomers)) == late)
            tally.models = [*models, *newcomers]
            until(partial(tally.reached, tally.asked + connections))
        evictions = _metric(region, "pedigree_evictions")
    return {
        "soak": f"{connections} connections",
        "requests": tally.asked,
        "errors": tally.errors.total(),
        "wrong": tally.wrong,
        "switches": switches,
        "mounted": late,
        "evictions": evictions,
        "seconds": time.monotonic() - began,
    }


def answering(region: Region, names: Sequence[str]) -> list[str]:
    """Those of `names` that a release answers for."""
    said = client.status(region.address)["models"]
    return [name for name in names if name in said and said[name]["release"]]


def killed(region: Region, truth: Truth, models: Sequence[str], victim: str, clients: int = 8) -> dict[str, Any]:
    """SIGKILL to the process `victim` of a kept region under load: what clients got until it answered again."""
    tally = Tally(models)
    with asked_by(clients, lambda: _named_errors(region), truth, tally):
        until(lambda: tally.right > 2 * clients)
        region.kill(victim)
        began = time.monotonic()
        until(lambda: tally.errors.total() > 0)
        region.until_ready()
        before = tally.right
        until(lambda: tally.right > before)
        seconds = time.monotonic() - began
    return {
        "killed": victim,
        "recovery_s": seconds,
        "answers": tally.right,
        "wrong": tally.wrong,
        "errors": ", ".join(f"{count} {name}" for name, count in tally.errors.items()),
        "backends": len(region.family(BACKEND)),
    }


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError("it did not come true")
        time.sleep(0.01)


def _named_errors(region: Region) -> Ask:
    """As Region.asking, by the client that names every fault."""

    def ask(model: str, text: str) -> Answers:
        reply = client.ask(region.address, model, [text])
        named = {"MODEL_VERSION": reply.model_version, "RELEASE_DIGEST": reply.release_digest}
        return {"SCORES": reply.scores, **{key: np.array([value.encode()]) for key, value in named.items()}}

    return ask


def _metric(region: Region, name: str) -> float:
    with urlopen(f"http://{server.HOST}:{region.ports.metrics}/metrics") as told:
        return next(float(line.split()[-1]) for line in told.read().decode().splitlines() if line.startswith(name))
