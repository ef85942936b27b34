"""Who may come in: no more requests are held than can be answered in the time that their tier was promised.

The limit follows the latency that is seen (as in TCP, and Netflix's concurrency-limits): when answers take too large a
part of the target, as many may wait as would be answered in time at the present pace; when they do not and the limit
was reached, it grows. Free requests have a share of it, so they are turned away first. A tenant that holds less than
the others of its tier is let in beyond the limit: who asks too much stands in the way of itself alone. Who is turned
away hears when to come back, and has a place then.
"""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from serving.gateway.places import Places
from serving.gateway.problems import Problem
from serving.gateway.settings import GatewaySettings
from serving.messages import Tier
from serving.shares import has_less

LEAST = 16  # so many are always let in: with fewer, nothing would be learned
ADJUST_SECONDS = 0.1
PART = 0.6  # of its target that a request may take on average; the slow ones among them take the rest
GROWTH = 1.05
PACE_WEIGHT = 0.2
OVERBOOKED = {"enterprise": 1.25, "free": 0.95}  # of the limit may be held when those come for whom places were kept
PROMISED = 0.9  # of the pace; the rest is for those who come unannounced


class Admission:
    """in_flight: requests held now, by tier. limit: how many may be."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._adjusted = time.monotonic()
        self._done, self._ahead, self._slowness, self._reached = Counter[Tier](), 0, 0.0, False
        self._by_tenant: dict[Tier, Counter[str]] = {"enterprise": Counter(), "free": Counter()}
        self._places: dict[Tier, Places] = {"enterprise": Places(), "free": Places()}
        self.in_flight: Counter[Tier] = Counter()
        self.limit = float(settings.in_flight)
        self._pace: dict[Tier, float] = {"enterprise": 0.0, "free": 0.0}  # answers a second, while requests are held

    def let_in(self, tenant: str, tier: Tier, question: str) -> None:
        """Before a request is held; `question` names what it asks, and is the same when it is asked again.

        Raises Problem 429 with the seconds after which the question is let in.
        """
        allowed, places = max(LEAST, self.limit * self._settings.share[tier]), self._places[tier]
        full = self.in_flight.total() >= allowed and not has_less(self._by_tenant[tier], tenant)
        if full and not (self.in_flight.total() < self.limit * OVERBOOKED[tier] and places.take(question)):
            self._reached = True
            seconds = places.keep(question, self._room_after(allowed), self._pace_left(tier))
            raise Problem(429, f"the gateway holds as many {tier} requests as it can answer in time", seconds)

    @contextmanager
    def held(self, tenant: str, tier: Tier) -> Iterator[None]:
        """While what was let in is at the workers."""
        self._reached |= self.in_flight.total() + 1 >= self.limit
        self.in_flight[tier] += 1
        self._by_tenant[tier][tenant] += 1
        began, ahead = time.monotonic(), self.in_flight.total()
        try:
            yield
        finally:
            self.in_flight[tier] -= 1
            self._by_tenant[tier] -= Counter([tenant])  # who holds nothing any more is no longer counted
            self._left(tier, time.monotonic() - began, ahead)

    def _left(self, tier: Tier, seconds: float, ahead: int) -> None:
        """Learn from a request that took so long behind so many; slowness is counted in targets of its tier."""
        self._done[tier] += 1
        self._ahead += ahead
        self._slowness += seconds / self._settings.target[tier] / PART
        now = time.monotonic()
        if (passed := now - self._adjusted) < ADJUST_SECONDS:
            return
        for each, pace in self._pace.items():
            self._pace[each] += (self._done[each] / passed - pace) * (PACE_WEIGHT if pace else 1)
        slowness = self._slowness / self._done.total()
        right = self._ahead / self._slowness  # so many at once would take just as long as they may
        if slowness > 1:
            self.limit = max(LEAST, min(self.limit, right))
        elif self._reached and right > self.limit:
            self.limit = min(self._settings.in_flight, self.limit * GROWTH + 1)
        self._adjusted, self._done, self._ahead, self._slowness, self._reached = now, Counter(), 0, 0.0, False

    def _pace_left(self, tier: Tier) -> float:
        """Requests a second of the tier for which places can be kept: what enterprise leaves to free, and room to
        catch up where too many are held already."""
        pace = sum(self._pace.values())
        left = PROMISED * pace - (self._pace["enterprise"] if tier == "free" else 0)
        return max(left, (1 - PROMISED) * pace) * min(1, self.limit / max(1, self.in_flight.total()))

    def _room_after(self, allowed: float) -> float:
        """Seconds until the requests that are too many have been answered."""
        pace = sum(self._pace.values())
        return (self.in_flight.total() - allowed + 1) / pace if pace else 1.0
