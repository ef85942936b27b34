"""How often a tenant may ask: token buckets in Redis, from which a gateway takes some tokens at a time along.

So most requests, and most refusals, need no round trip. What a gateway took counts as spent, so no number of gateways
gives out more than the bucket held.
"""

import asyncio
import time
from dataclasses import dataclass, field

from serving.gateway.settings import GatewaySettings
from serving.messages import Tier
from serving.redis import Redis

AHEAD = 0.1  # seconds' worth of tokens are taken at once


@dataclass
class _Held:
    """tokens: taken and not spent. empty_until: the bucket has none before, on the clock that only goes on."""

    tokens: int = 0
    empty_until: float = 0.0
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Rates:
    """One gateway's side of the buckets."""

    def __init__(self, redis: Redis, settings: GatewaySettings) -> None:
        self._redis, self._settings = redis, settings
        self._held: dict[tuple[str, Tier], _Held] = {}

    async def take(self, tenant: str, tier: Tier) -> float:
        """Spend a token: 0, or the seconds until there is one. While Redis is away nobody is held to a rate."""
        held = self._held.setdefault((tenant, tier), _Held())
        if not held.tokens:
            async with held.asking:
                if not held.tokens and (wait := await self._fetch(held, tenant, tier)):
                    return wait
        held.tokens -= 1
        return 0

    async def _fetch(self, held: _Held, tenant: str, tier: Tier) -> float:
        """0 when there are tokens now; while there cannot be any, the bucket is not asked."""
        if (wait := held.empty_until - time.monotonic()) > 0:
            return wait
        rate, burst = self._settings.rate[tier], self._settings.burst[tier]
        most = max(1, int(rate * AHEAD))
        held.tokens, wait = await self._redis.take_tokens(f"{tenant}:{tier}", rate, burst, most)
        held.empty_until = time.monotonic() + wait
        return wait
