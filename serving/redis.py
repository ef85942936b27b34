"""Redis as gateway and workers use it: what several processes must know, each entry with a time to live.

    pedigree:done:<tenant>:<key>            who executes a request, then what came of it
    pedigree:answer:<digest>:<sha256>       what a release said about a text; a promotion has other keys
    pedigree:tokens:<tenant>:<tier>         the token bucket
    pedigree:reply:<partition>              which gateway reads that reply partition
    pedigree:workers                        workers, by the time until which they are taken to live

Nothing here is needed for an answer: while Redis is down, everything is executed and nothing is remembered.
"""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import redis.asyncio
from pydantic_settings import BaseSettings, SettingsConfigDict
from redis.asyncio.client import Pipeline
from redis.exceptions import RedisError

T = TypeVar("T")
CONNECTIONS = 64
PAUSE = 1.0  # seconds in which nobody asks a Redis that did not answer
WORKERS = "pedigree:workers"

# Take the execution of a request, unless it is done, or a worker that lives has it. Nil: taken.
CLAIM = """
local said = redis.call('GET', KEYS[1])
if said then
  if string.sub(said, 1, 1) ~= '?' then return said end
  local owner = string.match(said, '^%?[^ ]* (.*)$')
  local lives = redis.call('ZSCORE', KEYS[2], owner)
  if lives and tonumber(lives) > tonumber(ARGV[4]) then return said end
end
redis.call('SET', KEYS[1], '?' .. ARGV[1] .. ' ' .. ARGV[2], 'PX', ARGV[3])
return false
"""

# Take the tokens there are, at most so many: how many, and if none, the milliseconds until there is one.
TAKE = """
local rate, burst, now, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local held = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local tokens, at = tonumber(held[1]) or burst, tonumber(held[2]) or now
tokens = math.min(burst, tokens + math.max(0, now - at) * rate)
local taken, wait = math.min(most, math.floor(tokens)), 0
if taken < 1 then wait = math.ceil((1 - tokens) / rate * 1000) end
redis.call('HSET', KEYS[1], 'tokens', tokens - taken, 'at', now)
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return {taken, wait}
"""

# Keep or take a lease. 1: it is the caller's.
LEASE = """
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""


class RedisSettings(BaseSettings):
    """How to reach Redis; `rediss://` for TLS, user and password in the address."""

    model_config = SettingsConfigDict(env_prefix="PEDIGREE_REDIS_", frozen=True, hide_input_in_errors=True)
    url: str = "redis://127.0.0.1:6379"
    timeout: float = 0.5


class Redis:
    """One connection pool. `up` tells whether Redis answered when it was last asked."""

    def __init__(self, settings: RedisSettings) -> None:
        # Who finds no connection free waits for one: a burst of requests is no reason to call Redis down.
        pool = redis.asyncio.BlockingConnectionPool.from_url(
            settings.url,
            socket_timeout=settings.timeout,
            socket_connect_timeout=settings.timeout,
            max_connections=CONNECTIONS,
            timeout=None,
        )
        self._client = redis.asyncio.Redis.from_pool(pool)
        self._silent_until = 0.0
        self.up = True

    async def ask(self, question: Callable[[redis.asyncio.Redis], Awaitable[T]], otherwise: T) -> T:
        """What Redis says, or `otherwise` when it does not answer."""
        if time.monotonic() < self._silent_until:
            return otherwise
        try:
            said = await question(self._client)
        except (RedisError, OSError, TimeoutError):
            self.up, self._silent_until = False, time.monotonic() + PAUSE
            return otherwise
        self.up = True
        return said

    async def together(self, fill: Callable[[Pipeline], object], otherwise: list[Any]) -> list[Any]:
        """Several commands in one round trip."""

        async def run(client: redis.asyncio.Redis) -> list[Any]:
            pipeline = client.pipeline(transaction=False)
            fill(pipeline)
            return list(await pipeline.execute())

        return await self.ask(run, otherwise)

    async def take_tokens(self, bucket: str, rate: float, burst: float, most: int) -> tuple[int, float]:
        """How many tokens were taken, at most so many; seconds until the bucket has one if it had none.

        `most` of them when Redis does not answer.
        """
        taken, wait = await self.ask(
            lambda client: client.eval(TAKE, 1, f"pedigree:tokens:{bucket}", rate, burst, time.time(), most),
            (most, 0),
        )
        return int(taken), wait / 1000

    async def lease(self, name: str, owner: str, seconds: float) -> bool | None:
        """Whether `owner` has the lease now; None when Redis does not answer."""
        held = await self.ask(
            lambda client: client.eval(LEASE, 1, f"pedigree:{name}", owner, int(seconds * 1000)),
            None,
        )
        return None if held is None else bool(held)

    async def release(self, name: str, owner: str) -> None:
        """Give a lease back, if it is the owner's."""

        async def give_back(client: redis.asyncio.Redis) -> None:
            if await client.get(f"pedigree:{name}") == owner.encode():
                await client.delete(f"pedigree:{name}")

        await self.ask(give_back, None)

    async def worker_lives(self, worker: str, seconds: float) -> None:
        """Say that a worker lives for so many more seconds; 0: it has ended."""
        now = time.time()

        def fill(pipeline: Pipeline) -> None:
            pipeline.zremrangebyscore(WORKERS, 0, now - 60)
            pipeline.zadd(WORKERS, {worker: now + seconds})
            pipeline.expire(WORKERS, 3600)

        await self.together(fill, [])

    async def workers(self) -> int | None:
        """How many workers live; None when Redis does not answer."""
        return await self.ask(lambda client: client.zcount(WORKERS, time.time(), "+inf"), None)

    async def ping(self) -> bool:
        return bool(await self.ask(lambda client: client.ping(), False))

    async def close(self) -> None:
        await self._client.aclose()


def claim(pipeline: Pipeline, key: str, fingerprint: str, worker: str, seconds: float) -> None:
    """Add one CLAIM to a pipeline; see `Executions`."""
    pipeline.eval(CLAIM, 2, key, WORKERS, fingerprint, worker, int(seconds * 1000), time.time())


def done_key(tenant: str, idempotency: str) -> str:
    return f"pedigree:done:{tenant}:{idempotency}"


def answer_keys(digest: str, hashes: Sequence[str]) -> list[str]:
    return [f"pedigree:answer:{digest}:{each}" for each in hashes]
