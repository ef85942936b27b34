"""Trust and the regions: how long a rollback takes, what requests notice of a promotion, how fast a region syncs.

Three real regions, each with its Triton and its replica, 50 requests a second over all models in all of them. Rollback
is the step's own work without Dagster's: the pointer published, the first answer of the old digest in every region.
"""

import os
import random
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

from assets.deployment.promote import RegionHome, follow
from benchmarks import releases
from benchmarks.kills import kill_syncs
from benchmarks.report import arguments, publish
from governance.custody.canonical import sha256_file
from governance.custody.keys import private_key, trusted_keys
from governance.tenants import Release
from governance.trust.client import refresh
from orchestration import stack
from orchestration.settings import Settings, load_settings
from serving.engine import base_digest
from serving.replication.metrics import Metrics
from serving.replication.replica import Place, Replica
from serving.triton.client import RequestFailed, ask

RATE = 50.0  # requests a second, all regions together
MODELS = 6
MOVED = "northbank.task-0"
Answer = tuple[float, float, str, str, str, str]  # when asked, seconds, region, model, digest that answered, error


def main() -> None:
    args = arguments(__doc__ or "")
    seconds, moves, kills, size = (4.0, 2, 6, 32 << 20) if args.quick else (20.0, 10, 300, 1 << 30)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["PEDIGREE_SWITCH"] = '{"agreement": 0}'  # the releases are random, so no two agree
        settings = load_settings(state_dir=folder / "state")
        settings = stack.start(settings, [f"replica-{region}" for region in settings.company().regions])
        try:
            world = World(settings, folder)
            moving = world.measure_moves(seconds, moves)
            syncing = world.measure_sync(size)
            refreshing = world.measure_refresh()
            killing = world.measure_kills(kills)
        finally:
            stack.stop(settings)
    measures = {**moving[1], "sync_ratio": syncing["ratio"], "refresh_ms": refreshing["p50_ms"], **killing}
    publish("trust", args, measures, [*moving[0], syncing, refreshing, killing])


class World:
    """The stack, with every model promoted in every region and two releases of the one that is moved."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        self.settings, self.folder, self.store, self.keys_dir = settings, folder, settings.store(), settings.keys_dir
        self.homes = [
            RegionHome(region, settings.region_root(region), settings.triton[region], settings.replicas[region])
            for region in settings.company().regions
        ]
        self.digests = {model: [self._publish(model, 1, seed)] for seed, model in enumerate(self.models)}
        self.digests[MOVED].append(self._publish(MOVED, 2, 100))
        for model in self.models:
            self.move(Release.parse(f"{model}@1"))

    @property
    def models(self) -> list[str]:
        return [f"{releases.TENANT}.task-{number}" for number in range(MODELS)]

    def move(self, release: Release) -> float:
        """Publish the pointers of all regions and wait for the first answer in each; seconds."""
        digest = self.digests[release.served_name][release.number - 1]

        def one(home: RegionHome) -> None:
            pointer = releases.point(self.store, self.keys_dir, release, digest, home.name)
            follow(self.store, self.keys_dir, home, pointer)
            assert ask(home.address, release.served_name, ["x"]).release_digest == digest

        began = time.monotonic()
        with ThreadPoolExecutor(len(self.homes)) as pool:
            list(pool.map(one, self.homes))
        return time.monotonic() - began

    def measure_moves(self, seconds: float, times: int) -> tuple[list[dict[str, Any]], dict[str, float]]:
        """In turn: a part of `seconds` of quiet load, the same load while one model goes forth and back."""
        quiet, busy, forth, back = list[Answer](), list[Answer](), list[float](), list[float]()
        for _ in range(times):
            with self._load() as answers:
                time.sleep(seconds / times)
            quiet += answers
            with self._load() as answers:
                forth.append(self._paced(lambda: self.move(Release.parse(f"{MOVED}@2"))))
                back.append(self._paced(lambda: self.move(Release.parse(f"{MOVED}@1"))))
            busy += answers
        rows = [_row("quiet", quiet), _row("while one model is promoted and rolled back", busy)]
        failed, wrong = sum(1 for answer in busy if answer[5]), self._wrong(busy)
        return rows, {
            "rollback_s": statistics.median(back),
            "rollback_max_s": max(back),
            "promotion_s": statistics.median(forth),
            "rollback_failed": failed,
            "promotion_failed": failed,
            "promotion_wrong": wrong,
            "promotion_p95_ratio": rows[1]["p95_ms"] / rows[0]["p95_ms"],
        }

    def measure_sync(self, size: int) -> dict[str, Any]:
        """One large release to three fresh regions at once, verified, beside a plain copy of the same objects."""
        release = Release.parse(f"{releases.TENANT}.large@1")
        digest = releases.publish(self.store, self.keys_dir, release, self.folder / "large", 7, size)
        refs = {home.name: releases.point(self.store, self.keys_dir, release, digest, home.name) for home in self.homes}
        bundle = self.folder / "large" / "signed"
        objects = [f"{releases.TENANT}/blobs/sha256/{d[:2]}/{d}" for d in _digests(bundle)]
        copied = _together([lambda n=n: self._copy(objects, self.folder / f"copy-{n}") for n in refs])  # type: ignore[misc]
        replicas = [self._fresh(home.name) for home in self.homes]
        synced = _together([lambda r=r: _synced(r) for r in replicas])  # type: ignore[misc]
        for home in self.homes:
            shutil.rmtree(self.folder / f"fresh-{home.name}")
            shutil.rmtree(self.folder / f"copy-{home.name}")
        total = len(refs) * size / 1e6
        return {
            "size_mb": size / 1e6,
            "copy_mb_s": total / copied,
            "sync_mb_s": total / synced,
            "ratio": copied / synced,
        }

    def measure_refresh(self) -> dict[str, Any]:
        """What a look costs where nothing changed."""
        trusted = trusted_keys(self.keys_dir)
        times = []
        for _ in range(50):
            began = time.perf_counter()
            refresh(self.store, trusted)
            times.append((time.perf_counter() - began) * 1000)
        return {"look": "nothing changed", "p50_ms": statistics.median(times), "p95_ms": sorted(times)[47]}

    def measure_kills(self, times: int) -> dict[str, float]:
        os.environ |= {
            "PEDIGREE_S3_ENDPOINT": str(self.settings.s3_endpoint),
            "PEDIGREE_S3_ACCESS_KEY": self.settings.s3_access_key,
            "PEDIGREE_S3_SECRET_KEY": self.settings.s3_secret_key.get_secret_value(),
        }
        pair = [
            (release, releases.publish(self.store, self.keys_dir, release, self.folder / str(release), seed, 8 << 20))
            for seed, release in ((1, Release.parse("northbank.killed@1")), (2, Release.parse("northbank.killed@2")))
        ]
        region = self.homes[0].name
        root = self._region("killed")
        killed = kill_syncs(self.store, self.keys_dir, region, root, pair, base_digest(releases.base()), times)
        return {"kills": times, "kills_torn": killed.torn, "kills_recovered": killed.recovered, "kills_cut": killed.cut}

    def _publish(self, model: str, number: int, seed: int) -> str:
        release = Release.parse(f"{model}@{number}")
        return releases.publish(self.store, self.keys_dir, release, self.folder / "releases" / str(release), seed)

    @contextmanager
    def _load(self) -> Iterator[list[Answer]]:
        """Requests at RATE while the body runs, from a process of its own; the answers are there afterwards."""
        context, answers = get_context("spawn"), list[Answer]()
        going, stop, told = context.Event(), context.Event(), context.SimpleQueue()
        asked = [(home.name, home.address) for home in self.homes], self.models
        client = context.Process(target=pour, args=(*asked, going, stop, told))
        client.start()
        try:
            going.wait()
            yield answers
        finally:
            stop.set()
            answers += told.get()
            client.join()

    def _paced(self, move: Callable[[], float]) -> float:
        took = move()
        time.sleep(0.5)
        return took

    def _wrong(self, answers: list[Answer]) -> int:
        """Answers of a digest that the model never had."""
        return sum(1 for *_, model, digest, error in answers if not error and digest not in self.digests[model])

    def _fresh(self, region: str) -> Replica:
        root = self._region(f"fresh-{region}")
        key = private_key(self.keys_dir, f"{region}.region")
        place = Place(region, root, "", base_digest(releases.base()), key, verify_again=3600)
        return Replica(self.store, place, Metrics(), lambda line: None, ask=lambda *_: None)

    def _region(self, name: str) -> Path:
        root = self.folder / name
        (root / "trusted").mkdir(parents=True)
        shutil.copy(trusted_keys(self.keys_dir).folder / "root.json", root / "trusted")
        return root

    def _copy(self, keys: list[str], folder: Path) -> None:
        folder.mkdir()
        for key in keys:
            self.store.client.download_file("pedigree", key, str(folder / Path(key).name))


def pour(
    regions: list[tuple[str, str]], models: list[str], going: Event, stop: Event, told: "SimpleQueue[list[Answer]]"
) -> None:
    """RATE requests a second to any region for any model, each by a thread of its own, whatever the ones before do."""
    answers, draw = list[Answer](), random.Random(1)

    def one() -> None:
        (region, address), model, began = draw.choice(regions), draw.choice(models), time.monotonic()
        try:
            digest, error = ask(address, model, ["where is my card"]).release_digest, ""
        except RequestFailed as failed:
            digest, error = "", str(failed)
        answers.append((began, time.monotonic() - began, region, model, digest, error))

    one()
    answers.clear()
    going.set()
    due = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        while not stop.is_set():
            pool.submit(one)
            due += 1 / RATE
            time.sleep(max(0.0, due - time.monotonic()))
    told.put(answers)


def _digests(folder: Path) -> list[str]:
    return [sha256_file(path) for path in folder.rglob("*") if path.is_file()]


def _synced(replica: Replica) -> None:
    replica.tick()
    replica.wait()
    assert replica.fault is None, replica.fault


def _together(calls: list[Callable[[], None]]) -> float:
    """Seconds until all are done."""
    began = time.monotonic()
    with ThreadPoolExecutor(len(calls)) as pool:
        for done in [pool.submit(call) for call in calls]:
            done.result()
    return time.monotonic() - began


def _row(load: str, answers: list[Answer]) -> dict[str, Any]:
    times = sorted(answer[1] * 1000 for answer in answers)
    return {
        "load": load,
        "requests": len(times),
        "failed": sum(1 for answer in answers if answer[5]),
        "p50_ms": statistics.median(times),
        "p95_ms": times[int(len(times) * 0.95)],
    }


if __name__ == "__main__":
    main()
