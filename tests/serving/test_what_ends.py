"""Leaving: tasks that swallow a cancellation, and a broker that does not answer."""

import asyncio
from contextlib import suppress

import pytest

from serving import kafka


def test_a_task_that_swallows_a_cancellation_is_cancelled_again() -> None:
    swallowed = []

    async def stubborn() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        swallowed.append(True)
        await asyncio.sleep(60)

    async def run() -> None:
        async with asyncio.timeout(10):
            tasks = [asyncio.create_task(stubborn()), asyncio.create_task(asyncio.sleep(60))]
            await asyncio.sleep(0)
            await kafka.ended(tasks)
            assert all(task.cancelled() for task in tasks)
            await kafka.ended([])

    asyncio.run(run())
    assert swallowed


def test_a_client_that_does_not_stop_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "LEAVE_SECONDS", 0.1)

    class Away:
        async def stop(self) -> None:
            await asyncio.sleep(60)

    async def run() -> None:
        async with asyncio.timeout(10):
            await kafka.leave(Away())

    asyncio.run(run())
