"""A tenant's rate, kept by several gateways in one Redis, and how seldom they ask it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from orchestration.settings import Settings
from orchestration.stack import redis, supervisor
from orchestration.stack.supervisor import read_ledger
from serving.gateway.rates import Rates
from serving.gateway.settings import GatewaySettings
from serving.redis import Redis, RedisSettings

Open = Callable[..., Rates]


@pytest.fixture(scope="module")
def settings(start_stack: Callable[..., Settings]) -> Settings:
    return start_stack("redis")


@asynccontextmanager
async def gateways(settings: Settings) -> AsyncIterator[tuple[Redis, Open]]:
    """A client of Redis, and a function that makes one gateway's rates."""
    client = Redis(RedisSettings(url=redis.address(read_ledger(settings.state_dir)["redis"].ports)))

    def opened(rate: float, burst: float) -> Rates:
        of = {"enterprise": rate, "free": rate}
        return Rates(client, GatewaySettings(rate=of, burst=dict.fromkeys(of, burst)))

    try:
        yield client, opened
    finally:
        await client.close()


async def asked(client: Redis) -> int:
    """Scripts that Redis ran so far."""
    said = await client.ask(lambda each: each.info("commandstats"), {})
    return int(said.get("cmdstat_eval", {"calls": 0})["calls"])


async def let_in(*asking: Awaitable[float]) -> int:
    return sum(wait == 0 for wait in await asyncio.gather(*asking))


def test_several_gateways_give_out_no_more_than_the_bucket_holds(settings: Settings) -> None:
    async def go() -> None:
        async with gateways(settings) as (_, opened):
            first, second = opened(100, 200), opened(100, 200)
            began = time.monotonic()
            came = await let_in(*(each.take("northbank", "free") for each in (first, second) for _ in range(400)))
            refilled = (time.monotonic() - began) * 100
            assert 200 <= came <= 200 + refilled + 1

    asyncio.run(go())


def test_most_requests_need_no_round_trip_and_refusals_none(settings: Settings) -> None:
    async def go() -> None:
        async with gateways(settings) as (client, opened):
            rates, before = opened(500, 1000), await asked(client)
            assert await let_in(*(rates.take("stclare", "enterprise") for _ in range(500))) == 500
            assert await asked(client) - before == 10  # 50 tokens each
            slow = opened(0.1, 2)
            assert await let_in(*(slow.take("stclare", "free") for _ in range(100))) == 2
            assert await asked(client) - before == 13  # two tokens, and that there is no third
            assert 9 < await slow.take("stclare", "free") <= 10

    asyncio.run(go())


def test_who_waits_as_long_as_told_is_let_in(settings: Settings) -> None:
    async def go() -> None:
        async with gateways(settings) as (_, opened):
            rates = opened(5, 1)
            assert await rates.take("loomworks", "free") == 0
            wait = await rates.take("loomworks", "free")
            assert 0 < wait <= 0.2
            await asyncio.sleep(wait)
            assert await rates.take("loomworks", "free") == 0

    asyncio.run(go())


def test_tenants_and_tiers_have_buckets_of_their_own(settings: Settings) -> None:
    async def go() -> None:
        async with gateways(settings) as (_, opened):
            rates = opened(0.1, 1)
            assert await let_in(rates.take("umbra", "free"), rates.take("umbra", "free")) == 1
            assert await let_in(rates.take("umbra", "enterprise"), rates.take("penumbra", "free")) == 2

    asyncio.run(go())


def test_without_redis_nobody_is_held_to_a_rate(settings: Settings) -> None:
    async def go() -> None:
        async with gateways(settings) as (_, opened):
            rates = opened(0.1, 1)
            supervisor.stop([read_ledger(settings.state_dir)["redis"]])
            assert await let_in(*(rates.take("northbank", "free") for _ in range(50))) == 50

    asyncio.run(go())
