"""Whose request is next."""

import asyncio
from collections import Counter

import pytest

from serving.worker.fair import FairQueue


def filled(*waiting: tuple[str, str, int]) -> FairQueue[str]:
    queue: FairQueue[str] = FairQueue()
    for tenant, tier, number in waiting:
        for _ in range(number):
            queue.put(tenant, tier, tenant)  # type: ignore[arg-type]
    return queue


def test_a_tenant_who_sent_a_thousand_does_not_hold_up_the_next() -> None:
    queue = filled(("noisy", "free", 1000), ("quiet", "free", 3))
    assert [queue.take() for _ in range(6)].count("quiet") == 3
    assert {queue.take() for _ in range(len(queue))} == {"noisy"}


def test_enterprise_has_four_turns_for_one_of_free() -> None:
    queue = filled(("free", "free", 100), ("paying", "enterprise", 100))
    first = [queue.take() for _ in range(50)]
    assert 38 <= first.count("paying") <= 42
    assert "free" in first[:6]


def test_one_tenants_requests_keep_their_order() -> None:
    queue: FairQueue[int] = FairQueue()
    for number in range(10):
        queue.put("a", "free", number)
        queue.put("b", "enterprise", 100 + number)
    taken = [queue.take() for _ in range(20)]
    assert [number for number in taken if number < 100] == list(range(10))
    assert [number for number in taken if number >= 100] == list(range(100, 110))
    with pytest.raises(IndexError):
        queue.take()


def test_who_has_less_in_work_is_taken_out_of_turn_and_the_turns_go_on() -> None:
    queue = filled(("noisy", "enterprise", 8), ("other", "free", 2), ("quiet", "free", 2))
    assert queue.take() == "noisy"
    assert queue.take_beside(Counter(noisy=4, other=4)) == "quiet"
    assert queue.take_beside(Counter(noisy=4, other=4, quiet=1)) == "quiet"
    with pytest.raises(IndexError):
        queue.take_beside(Counter(noisy=4, other=4, quiet=4))
    assert [queue.take() for _ in range(5)] == ["noisy"] * 3 + ["other", "noisy"]


def test_who_waits_for_the_queue_hears_of_what_comes() -> None:
    async def scenario() -> str:
        queue: FairQueue[str] = FairQueue()
        waiting = asyncio.create_task(queue.filled())
        await asyncio.sleep(0)
        assert not waiting.done()
        queue.put("a", "free", "x")
        await waiting
        return queue.take()

    assert asyncio.run(scenario()) == "x"
