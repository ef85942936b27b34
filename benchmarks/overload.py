"""Three times as much as can be answered, for two minutes: who is answered in time, who is told to come back, and when.

Real broker, Redis, gateway, worker and Triton. Requests come at their rate whatever becomes of them (an open loop). An
enterprise tenant asks for half of what can be answered, a free one for the rest. Before that one enterprise tenant asks
for all of it beside a quiet one, which is judged against itself alone (noisy_p95_ratio) and beside one that asks for
half of what can be answered (noisy_p95_ratio_busy). The two ask from a process each, so that the quiet one's client
does not wait for the other's replies. Noise and overload have a path each, for the local broker gets slower with what
it holds. The generators share the machine with what they ask, here as in the baseline.
"""

import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks.load import bearer, closed_loop, latencies, memory, patient
from benchmarks.report import arguments, publish
from benchmarks.request_path import BODY, RequestPath, running
from serving.messages import Tier

TIMES = 3.0  # what can be answered
QUIET_RATE = 5.0  # requests a second
TARGETS = {"GATEWAY_TARGET": '{"enterprise": 0.7, "free": 1.0}', "GATEWAY_DEADLINE": "5"}
RIGHT = 1.25  # of the seconds told: let in after no more, a client was told right
SETTLING = 4.0  # seconds in which the gateway learns how much it can hold; they are not judged
CLIENTS = 32  # by whom it is measured what can be answered
USUAL = 5  # so many answers in a row as fast as before, and it has recovered
NUMBER = count()


@dataclass(frozen=True)
class Load:
    """Requests a second of one tenant."""

    tenant: str
    tier: Tier
    rate: float


@dataclass(frozen=True)
class Reply:
    """What became of a request; seconds: until its reply; at: seconds since the phase began.

    Of one that came back after it was refused: told, the seconds of its first refusal; waited, those of all its
    refusals; returns: how often it came back.
    """

    load: Load
    number: int
    at: float
    status: int
    seconds: float
    retry_after: float
    told: float = 0.0
    waited: float = 0.0
    returns: int = 0


def main() -> None:
    args = arguments(__doc__ or "")
    seconds = 10.0 if args.quick else 120.0
    with on_a_path() as path:
        beside, noisy = asyncio.run(measure_noise(path, seconds / 4))
    with on_a_path() as path:
        over, shed = asyncio.run(measure_overload(path, seconds, noisy["quiet_p95_ms"] * 1.25))
    phases = {**beside, "overload": over}
    rows = [row(name, load, replies) for name, replies in phases.items() for load in {each.load for each in replies}]
    publish("overload", args, shed | noisy, rows)


@contextmanager
def on_a_path() -> Iterator[RequestPath]:
    with tempfile.TemporaryDirectory() as name, running(Path(name) / "path", 1, True, settings=TARGETS) as path:
        yield path


def client() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=patient())


async def measure_noise(path: RequestPath, seconds: float) -> tuple[dict[str, list[Reply]], dict[str, float]]:
    async with client() as session:
        capacity = await answered_a_second(session, path, 2.0 if seconds < 15 else 8.0)
        quiet, noisy = Load("loomworks", "enterprise", QUIET_RATE), Load("stclare", "enterprise", TIMES * capacity)
        usual = Load("stclare", "enterprise", capacity / 2)
        with ProcessPoolExecutor(1, get_context("spawn")) as process:

            async def beside(neighbour: Load) -> list[Reply]:
                theirs = elsewhere(process, path, neighbour, seconds)
                return await phase(session, path, [quiet], seconds) + await theirs

            await elsewhere(process, path, usual, 0)  # it is started
            by_itself = await phase(session, path, [quiet], seconds)
            busy = await beside(usual)
            loud = await beside(noisy)
    return {"quiet": by_itself, "busy neighbour": busy, "noisy neighbour": loud}, {
        "quiet_p95_ms": p95(by_itself, quiet),
        "noisy_p95_ratio": p95(loud, quiet) / p95(by_itself, quiet),
        "noisy_p95_ratio_busy": p95(loud, quiet) / p95(busy, quiet),
    }


def elsewhere(process: Executor, path: RequestPath, load: Load, seconds: float) -> "asyncio.Future[list[Reply]]":
    """A phase of one load, asked from that process."""
    return asyncio.get_running_loop().run_in_executor(process, alone, replace(path, processes={}), load, seconds)


def alone(path: RequestPath, load: Load, seconds: float) -> list[Reply]:
    """A phase of one load."""

    async def asked() -> list[Reply]:
        async with client() as session:
            return await phase(session, path, [load], seconds)

    return asyncio.run(asked())


async def measure_overload(path: RequestPath, seconds: float, usual_ms: float) -> tuple[list[Reply], dict[str, float]]:
    """usual_ms: what a request takes at most when nothing else is asked."""
    async with client() as session:
        capacity = await answered_a_second(session, path, 2.0 if seconds < 60 else 8.0)
        steady = Load("northbank", "enterprise", capacity / 2)
        greedy = Load("stclare", "free", (TIMES - 0.5) * capacity)
        before = memory(path)
        over = await phase(session, path, [steady, greedy], seconds, returning=0.05)
        after = memory(path)
        recovered = await seconds_to_recover(session, path, Load("loomworks", "enterprise", QUIET_RATE), usual_ms)
    shed = [reply for reply in over if reply.status == 429]
    back = [reply for reply in over if reply.returns]
    return over, {
        "capacity_req_s": capacity,
        "overload_p95_ms_enterprise": p95(over, steady),
        "overload_p95_ms_free": p95(over, greedy),
        "overload_errors": float(sum(reply.status not in (200, 429) for reply in over)),
        "overload_shed": len(shed) / len(over),
        "overload_shed_enterprise": sum(r.load == steady for r in shed) / max(1, sum(r.load == steady for r in over)),
        "retry_after_p50_s": statistics.median([r.retry_after for r in shed if not r.returns] or [0.0]),
        "let_in_after_retry_after": sum(r.status == 200 and r.returns == 1 for r in back) / max(1, len(back)),
        "retry_after_right": sum(r.status == 200 and r.waited <= RIGHT * r.told for r in back) / max(1, len(back)),
        "gateway_mb_grown": after - before,
        "recovery_s": recovered,
    }


async def answered_a_second(session: aiohttp.ClientSession, path: RequestPath, seconds: float) -> float:
    """By clients that ask again as soon as they are answered; who is told to come back is no answer."""
    load, answered = Load("northbank", "enterprise", 0), list[Reply]()
    while (await ask(session, path, load, 0)).status != 200:
        await asyncio.sleep(0.1)  # until the model is mounted

    async def once(_: str) -> dict[str, float]:
        reply = await ask(session, path, load, 0)
        if reply.status == 200:
            answered.append(reply)
        else:
            await asyncio.sleep(reply.retry_after)
        return {}

    await closed_loop(once, CLIENTS, 1.0, NUMBER, [], [0.0], [])
    answered.clear()
    wall = [0.0]
    await closed_loop(once, CLIENTS, seconds, NUMBER, [], wall, [])
    return len(answered) / wall[0]


async def phase(
    session: aiohttp.ClientSession, path: RequestPath, loads: Sequence[Load], seconds: float, returning: float = 0
) -> list[Reply]:
    """All replies after the first seconds. A share `returning` of the refused asks the same again when it was told to,
    and again, until it is let in or what it was told first has not proved right."""
    began, drawn = time.perf_counter(), random.Random(1)
    replies, tasks = list[Reply](), list[asyncio.Task[None]]()

    async def one(load: Load) -> None:
        reply = await ask(session, path, load, began)
        replies.append(reply)
        if reply.status == 429 and drawn.random() < returning:
            replies.append(await come_back(session, path, reply, began))

    async def arrivals(load: Load) -> None:
        due = began
        while (due := due + drawn.expovariate(load.rate)) < began + seconds:
            await asyncio.sleep(max(0, due - time.perf_counter()))
            tasks.append(asyncio.create_task(one(load)))

    await asyncio.gather(*map(arrivals, loads))
    await asyncio.gather(*tasks)
    return [reply for reply in replies if reply.at > min(SETTLING, seconds / 3)]


async def come_back(session: aiohttp.ClientSession, path: RequestPath, refused: Reply, began: float) -> Reply:
    """What became of the same request, asked each time after the seconds that the refusal before it named."""
    again, waited, returns = refused, 0.0, 0
    while again.status == 429 and waited + again.retry_after <= RIGHT * refused.retry_after:
        await asyncio.sleep(again.retry_after)
        waited, returns = waited + again.retry_after, returns + 1
        again = await ask(session, path, refused.load, began, refused.number)
    return replace(again, told=refused.retry_after, waited=waited, returns=returns)


async def ask(
    session: aiohttp.ClientSession, path: RequestPath, load: Load, began: float, number: int | None = None
) -> Reply:
    """status: 0 where there was none. Requests of one number are the same."""
    start, number = time.perf_counter(), next(NUMBER) if number is None else number
    url = f"{path.url}/v1/models/{load.tenant}/task-0/infer"
    headers, body = bearer(path.token_of(load.tenant, load.tier)), {"input": f"{BODY['input']}, number {number}"}
    status, retry_after = 0, 0.0
    try:
        async with session.post(url, json=body, headers=headers) as reply:
            await reply.read()
            status, retry_after = reply.status, float(reply.headers.get("Retry-After", 0))
    except (aiohttp.ClientError, OSError, TimeoutError):
        pass
    return Reply(load, number, start - began, status, time.perf_counter() - start, retry_after)


async def seconds_to_recover(session: aiohttp.ClientSession, path: RequestPath, load: Load, usual_ms: float) -> float:
    """Until so many requests in a row are answered as fast as that."""
    began, fast = time.perf_counter(), 0
    while fast < USUAL:
        reply = await ask(session, path, load, began)
        fast = fast + 1 if reply.status == 200 and reply.seconds * 1000 < usual_ms else 0
        await asyncio.sleep(0.05)
    return time.perf_counter() - began


def p95(replies: Sequence[Reply], load: Load) -> float:
    """Of the answered requests of the load, milliseconds."""
    times = [reply.seconds for reply in replies if reply.load == load and reply.status == 200]
    return latencies(times)["p95_ms"] if times else float("nan")


def row(name: str, load: Load, replies: Sequence[Reply]) -> dict[str, Any]:
    mine = [reply for reply in replies if reply.load == load]
    times = [reply.seconds for reply in mine if reply.status == 200]
    return {
        "phase": name,
        "tenant": load.tenant,
        "tier": load.tier,
        "asked_a_second": load.rate,
        "answered": len(times),
        "told to come back": sum(reply.status == 429 for reply in mine),
        "errors": sum(reply.status not in (200, 429) for reply in mine),
        **(latencies(times) if times else {}),
    }


if __name__ == "__main__":
    main()
