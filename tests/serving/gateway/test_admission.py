"""How many are let in, and what the others are told. A simulated clock: the same every time."""

import asyncio
import heapq
import random
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from serving.gateway import admission
from serving.gateway.admission import LEAST, Admission
from serving.gateway.places import LONGEST, Places
from serving.gateway.problems import Problem
from serving.gateway.settings import GatewaySettings


class Service:
    """A service that answers `pace` requests a second, first come first served, in simulated time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, pace: float, **settings: object) -> None:
        self.now, self._free_at, self._pace = 0.0, 0.0, pace
        self._held: list[tuple[float, int, ExitStack, float, str]] = []
        self._count = 0
        self.back: list[tuple[float, bool]] = []  # after how many seconds it was to come back, was it let in
        self.took: list[tuple[float, str]] = []
        self.shed: Counter[str] = Counter()
        self.retry_after: list[float] = []
        self.returning = 0.0  # part of those turned away who come back, as often as they are told to
        self._asked, self._drawn = 0, random.Random(1)
        self._later: list[tuple[float, str, str, float]] = []
        monkeypatch.setattr(admission.time, "monotonic", lambda: self.now)  # that of places too
        self.admission = Admission(GatewaySettings(**settings))  # type: ignore[arg-type]

    def arrive(self, tier: str, tenant: str = "acme", question: str = "", told: float = 0) -> None:
        held, self._asked = ExitStack(), self._asked + 1
        question = question or str(self._asked)
        try:
            self.admission.let_in(tenant, tier, question)  # type: ignore[arg-type]
            held.enter_context(self.admission.held(tenant, tier))  # type: ignore[arg-type]
        except Problem as problem:
            assert problem.status == 429
            self.shed[tier] += 1
            self.shed[tenant] += 1
            seconds = problem.retry_after or 0
            self.retry_after.append(seconds)
            self.back += [(told, False)] if told else []
            if told or self._drawn.random() < self.returning:
                at = self.now + seconds * self._drawn.uniform(1, 1.2)
                heapq.heappush(self._later, (at, tier, question, seconds))
            return
        self.back += [(told, True)] if told else []
        self._free_at = max(self._free_at, self.now) + 1 / self._pace
        self._count += 1
        heapq.heappush(self._held, (self._free_at, self._count, held, self.now, tier))

    def run(self, seconds: float, rates: dict[str, float]) -> None:
        arrivals = sorted(
            (self.now + n / rate, tier) for tier, rate in rates.items() for n in range(int(seconds * rate))
        )
        for at, tier in arrivals:
            while self._later and self._later[0][0] <= at:
                back, came, question, told = heapq.heappop(self._later)
                self._answer(back)
                self.now = back
                self.arrive(came, question=question, told=told)
            self._answer(at)
            self.now = at
            self.arrive(tier)

    def _answer(self, until: float) -> None:
        while self._held and self._held[0][0] <= until:
            self.now, _, held, came, tier = heapq.heappop(self._held)
            held.close()
            self.took.append((self.now - came, tier))


@pytest.fixture
def overloaded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    """Three times too much, looked at once the gateway knows."""
    service, load = Service(monkeypatch, pace=200), {"enterprise": 150.0, "free": 450.0}
    service.run(4, load)
    service.took, service.shed = [], Counter()
    service.run(16, load)
    yield service


def test_at_three_times_the_capacity_those_who_come_in_are_answered_in_time(overloaded: Service) -> None:
    for tier, target in (("enterprise", 0.7), ("free", 1.0)):
        ordered = sorted(seconds for seconds, of in overloaded.took if of == tier)
        assert ordered[int(len(ordered) * 0.95)] < target
    assert len(overloaded.took) / 16 > 180, "the service stood idle"


def test_free_is_turned_away_before_enterprise(overloaded: Service) -> None:
    assert overloaded.shed["enterprise"] == 0
    assert overloaded.shed["free"] > 380 * 16


def test_who_seldom_comes_back_is_told_to_do_so_soon(overloaded: Service) -> None:
    overloaded.run(60, {"enterprise": 150.0, "free": 450.0})
    assert all(1 <= seconds <= 2 for seconds in overloaded.retry_after[-100:])


@pytest.mark.parametrize(("part", "until_known"), [(0.05, 6), (0.2, 6), (1.0, 35)])
def test_who_comes_back_when_told_is_let_in(monkeypatch: pytest.MonkeyPatch, part: float, until_known: float) -> None:
    service, load = Service(monkeypatch, pace=200), {"enterprise": 150.0, "free": 450.0}
    service.returning = part
    service.run(until_known, load)
    service.took, service.back, service.shed = [], [], Counter()
    service.run(20, load)
    promised = [let_in for told, let_in in service.back if told < LONGEST]
    assert len(promised) > 20
    assert all(promised), "a place that was promised was not kept"
    assert service.shed["enterprise"] == 0
    for tier, target in (("enterprise", 0.7), ("free", 1.0)):
        ordered = sorted(seconds for seconds, of in service.took if of == tier)
        assert ordered[int(len(ordered) * 0.95)] < target


def test_who_would_have_to_come_back_much_later_is_told_so(overloaded: Service) -> None:
    overloaded.returning = 1.0
    overloaded.run(60, {"enterprise": 150.0, "free": 450.0})
    assert max(overloaded.retry_after) == LONGEST


def test_a_place_is_kept_for_who_was_told_and_for_about_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(admission.time, "monotonic", lambda: now[0])
    places = Places()
    assert [places.keep(question, 0, 0.5) for question in ("a", "b", "c")] == [2, 4, 6]
    now[0] = 1.0
    assert places.keep("b", 0, 0.5) == 2, "it has its place already"
    assert not places.take("a")
    now[0] = 2.0
    assert (places.take("a"), places.take("a"), places.take("d")) == (True, False, False)
    now[0] = 5.5
    assert not places.take("b"), "it came too late"


def test_who_asks_too_much_shuts_out_itself_alone(overloaded: Service) -> None:
    overloaded.shed = Counter()
    for _ in range(200):
        overloaded.arrive("enterprise", "noisy")
    assert overloaded.shed["noisy"] > 50
    for _ in range(20):
        overloaded.arrive("enterprise", "quiet")
    assert overloaded.shed["quiet"] == 0
    for _ in range(200):
        overloaded.arrive("enterprise", "quiet")
    assert overloaded.shed["quiet"] > 50, "an equal part is not the whole"


def test_enterprise_may_fill_the_gateway_and_free_may_not(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch, pace=200, in_flight=100)
    for _ in range(100):
        service.arrive("enterprise", "noisy")
    service.arrive("free", "modest")
    service.arrive("enterprise", "quiet")
    assert (service.shed["noisy"], service.shed["modest"], service.shed["quiet"]) == (0, 1, 0)


def test_after_an_overload_the_limit_grows_again(overloaded: Service) -> None:
    shed = overloaded.shed.total()
    overloaded.run(5, {"enterprise": 100.0})
    assert overloaded.shed.total() == shed
    overloaded._pace = 2000
    overloaded.run(10, {"enterprise": 1000.0})
    before = overloaded.shed.total()
    overloaded.run(5, {"enterprise": 1000.0})
    assert overloaded.shed.total() == before


def test_one_slow_answer_in_a_quiet_hour_shuts_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    service = Service(monkeypatch, pace=0.2)
    service.run(20, {"enterprise": 0.1})
    service._pace = 1000
    for _ in range(LEAST // 2):
        service.arrive("enterprise")
    assert not service.shed


def test_what_ends_in_an_error_is_no_longer_held() -> None:
    async def scenario() -> int:
        gate = Admission(GatewaySettings())

        async def held() -> None:
            with gate.held("acme", "free"):
                await asyncio.sleep(10)

        tasks = [asyncio.create_task(held()) for _ in range(5)]
        await asyncio.sleep(0)
        assert gate.in_flight.total() == 5
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return gate.in_flight.total()

    assert asyncio.run(scenario()) == 0
