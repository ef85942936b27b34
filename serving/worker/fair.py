"""Who is next: tenants in turn, however much one of them has sent; enterprise tenants more often than free ones."""

import asyncio
from collections import Counter, deque
from typing import Generic, TypeVar

from serving.messages import Tier
from serving.shares import has_less

Item = TypeVar("Item")
TURNS: dict[Tier, int] = {"enterprise": 4, "free": 1}  # requests of a tenant before the next one's turn


class FairQueue(Generic[Item]):
    """Weighted round-robin over the tenants that have something waiting."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}
        self._order: deque[tuple[str, int]] = deque()  # tenant, turns per round
        self._turn = 0
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, tenant: str, tier: Tier, item: Item) -> None:
        if tenant not in self._lines:
            self._lines[tenant] = deque()
            self._order.append((tenant, TURNS[tier]))
        self._lines[tenant].append(item)
        self._filled.set()

    async def filled(self) -> None:
        """Wait until something waits."""
        while not self._lines:
            self._filled.clear()
            await self._filled.wait()

    def take(self) -> Item:
        """The next item. Raises IndexError when nothing waits."""
        tenant, turns = self._order[0]
        self._turn += 1
        item = self._pop(tenant)
        if tenant in self._lines and self._turn >= turns:
            self._order.rotate(-1)
            self._turn = 0
        return item

    def take_beside(self, in_work: Counter[str]) -> Item:
        """The next item, out of turn, of a tenant with less than an equal part of what is in work. Raises IndexError
        when there is none."""
        less = [each for each, _ in self._order if has_less(in_work, each)]
        return self._pop(less[0])

    def _pop(self, tenant: str) -> Item:
        item = self._lines[tenant].popleft()
        if not self._lines[tenant]:
            del self._lines[tenant]
            if self._order[0][0] == tenant:
                self._turn = 0
            self._order = deque(each for each in self._order if each[0] != tenant)
        return item
