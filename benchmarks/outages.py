"""kill -9 of each part of the request path, in turn and under load, several times: what became of the requests.

Real broker (its log in memory, then in S3), Redis, two gateways, two workers, and Triton under its keeper. Clients ask
without pause, each text with an idempotency key of its own, for whose answer is known; a client whose gateway is gone
goes to the other one. Lost is what ends in neither an answer nor an error that says it may be tried again. A part is
back when nothing takes longer than it may any more.
"""

import asyncio
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp
import psutil

from benchmarks.load import bearer, patient
from benchmarks.report import arguments, publish
from benchmarks.request_path import MODEL, REGION, RequestPath, running
from serving.worker.region import Region

CLIENTS = 8
USUAL = 0.5  # seconds; what takes longer was held up
DEADLINE_MS = 25_000
SETTLED = 3.0  # seconds without a request held up or failed, after which a part counts as back
TEXTS = [f"question number {number} about {word}" for number in range(20) for word in ("cards", "loans", "rain")]
NUMBER = count()
PARTS = {"memory": ["worker 1", "gateway 1", f"triton-{REGION}", "redis", "kafka"], "s3": ["kafka", "seaweedfs"]}
Scores = dict[str, float]


@dataclass
class Asked:
    """What became of the requests. troubled: when the last one ended that failed or was held up; waiting: since when
    each client's present one does."""

    ended: Counter[str] = field(default_factory=Counter)
    waiting: dict[int, float] = field(default_factory=dict)
    troubled: float = 0.0
    slowest: float = 0.0
    why: Counter[str] = field(default_factory=Counter)

    def is_settled(self) -> bool:
        """Whether for some time nothing failed and nothing is held up."""
        now = time.monotonic()
        return now > self.troubled + SETTLED and all(now - began < USUAL for began in self.waiting.values())


def main() -> None:
    args = arguments(__doc__ or "")
    times = 1 if args.quick else 10
    rows = [row for log, parts in PARTS.items() for row in killed(log, parts, times)]
    lost, wrong = (sum(row[what] for row in rows) for what in ("lost", "wrong"))
    measures = {"lost": lost, "wrong": wrong} | {f"recovery_s/{row['killed']}": row["recovery_max_s"] for row in rows}
    publish("outages", args, measures, rows)


def killed(broker_log: str, parts: Sequence[str], times: int) -> list[dict[str, Any]]:
    """A row for each part, of a path whose broker has its log there."""
    with (
        tempfile.TemporaryDirectory() as name,
        running(Path(name) / "path", 2, True, gateways=2, broker_log=broker_log) as path,
    ):
        rows = asyncio.run(measure(path, parts, times))
    note = ", log in S3" if broker_log == "s3" else ""
    return [row | {"killed": row["killed"] + note} for row in rows]


async def measure(path: RequestPath, parts: Sequence[str], times: int) -> list[dict[str, Any]]:
    """A row for each part."""
    region = Region(path.grpc)
    while not (await region.status())["models"].get(MODEL.replace("/", "."), {}).get("digest"):
        await asyncio.sleep(0.1)
    right = {text: await answer(region, text) for text in TEXTS}
    await region.close()
    async with aiohttp.ClientSession(headers=bearer(path.token), timeout=patient()) as session:
        return [await outages(path, session, right, part, times) for part in parts]


async def answer(region: Region, text: str) -> Scores:
    said = await region.classify(MODEL.replace("/", "."), [text], "", 60)
    scores: Scores = said.rows[0]["scores"]
    return scores


def alike(scores: Scores, right: Scores) -> bool:
    """But for the last bits, which depend on what shares a batch."""
    return scores.keys() == right.keys() and all(abs(scores[label] - right[label]) < 1e-5 for label in right)


async def outages(
    path: RequestPath, session: aiohttp.ClientSession, right: dict[str, Scores], part: str, times: int
) -> dict[str, Any]:
    asked, stop, took = Asked(), asyncio.Event(), list[float]()
    clients = [asyncio.create_task(client(path, session, right, first, asked, stop)) for first in range(CLIENTS)]
    await asyncio.sleep(2)
    for _ in range(times):
        killed = time.monotonic()
        asked.troubled = killed
        kill(path.processes[part])
        if not part.startswith("triton"):  # its keeper brings that back
            await asyncio.to_thread(path.start, part)
        while not asked.is_settled():
            await asyncio.sleep(0.05)
        took.append(asked.troubled - killed)
    stop.set()
    await asyncio.gather(*clients)
    return {
        "killed": part.split()[0].split("-")[0],
        "times": times,
        **{what: asked.ended[what] for what in ("answered", "to be tried again", "lost", "wrong")},
        "recovery_p50_s": sorted(took)[len(took) // 2],
        "recovery_max_s": max(took),
        "slowest_answer_s": asked.slowest,
        "why": ", ".join(f"{number} × {reason}" for reason, number in asked.why.most_common(3)),
    }


def kill(process: psutil.Process) -> None:
    """Of a keeper, what it keeps."""
    kept = [child for child in process.children() if child.name() == "tritonserver"]
    for each in kept or [process]:
        each.send_signal(signal.SIGKILL)
        each.wait(10)


async def client(
    path: RequestPath,
    session: aiohttp.ClientSession,
    right: dict[str, Scores],
    first: int,
    asked: Asked,
    stop: asyncio.Event,
) -> None:
    """Asks until `stop`; a request that may be tried again is, with its key, and counts once for each way it ended."""
    gateways = [name for name in path.urls if name.startswith("gateway")]
    while not stop.is_set():
        number = next(NUMBER)
        text, key = TEXTS[number % len(TEXTS)], f"{first}-{number}"
        began = asked.waiting[first] = time.monotonic()
        for turn in range(first, first + 200):
            ended = await attempt(session, path.urls[gateways[turn % 2]], text, key, right, asked)
            asked.ended[ended] += 1
            now = time.monotonic()
            if ended != "answered" or now - began > USUAL:
                asked.troubled = now
            if ended != "to be tried again":
                break
            await asyncio.sleep(0.1)
        if ended == "answered":
            asked.slowest = max(asked.slowest, time.monotonic() - began)


async def attempt(
    session: aiohttp.ClientSession, url: str, text: str, key: str, right: dict[str, Scores], asked: Asked
) -> str:
    headers = {"Idempotency-Key": key, "Timeout-Ms": str(DEADLINE_MS)}
    try:
        async with session.post(f"{url}/v1/models/{MODEL}/infer", json={"input": text}, headers=headers) as reply:
            said = await reply.json(content_type=None)
    except (aiohttp.ClientError, OSError, TimeoutError) as broken:
        asked.why[type(broken).__name__] += 1
        return "to be tried again"  # the connection says so: it is gone
    if reply.status != 200:
        asked.why[f"{reply.status} {said.get('detail', '')[:60]}"] += 1
        return "to be tried again" if said.get("retryable") else "lost"
    return "answered" if alike(said["results"][0]["scores"], right[text]) else "wrong"


if __name__ == "__main__":
    main()
