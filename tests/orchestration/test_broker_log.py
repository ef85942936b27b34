"""The local broker with its log in S3: a kill loses nothing, and the log stays short."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from orchestration import stack
from orchestration.broker_log import DEAD_LETTERS_KEPT, shorten, topic_prefix
from orchestration.settings import Settings
from orchestration.stack import kafka, supervisor
from serving.kafka import KafkaSettings, Topics, consumer, leave, producer, started
from serving.messages import DEAD_LETTERS, REQUESTS
from tests.conftest import StartStack

PLACE = TopicPartition(REQUESTS, 0)


@pytest.fixture(scope="module")
def broker(start_stack: StartStack) -> Settings:
    return start_stack("kafka", own='broker_log = "s3"\n')


def test_what_was_acknowledged_is_read_after_kills_and_readers_go_on(broker: Settings) -> None:
    async def write_while_it_is_killed() -> None:
        topics = Topics(_settings(broker))
        await topics.create()
        async with _writer(broker) as writer, _reader(broker) as reader:
            acknowledged: list[bytes] = []
            writing = asyncio.create_task(_write(writer, acknowledged))
            for _ in range(3):
                had = len(acknowledged)
                await _until(lambda had=had: len(acknowledged) > had + 20)
                await asyncio.to_thread(_kill_and_start, broker)
            writing.cancel()
            assert not await topics.create(), "it forgot nothing, and is the same cluster"
            read = set()
            async with asyncio.timeout(30):
                while not read >= set(acknowledged):
                    for messages in (await reader.getmany(timeout_ms=200)).values():
                        read |= {message.value for message in messages}
        await topics.close()

    asyncio.run(write_while_it_is_killed())


def test_old_batches_are_deleted_and_offsets_stay(broker: Settings) -> None:
    async def write_and_shorten() -> None:
        store, topics = broker.store(), Topics(_settings(broker))
        await topics.create()
        await topics.close()
        async with _writer(broker) as writer:
            last = (await writer.send_and_wait(REQUESTS, b"old", partition=0)).offset
            await writer.send_and_wait(DEAD_LETTERS, b"for people", partition=0)
            now = datetime.now(UTC) + timedelta(seconds=2)
            shorten(store, now, timedelta(0))
            left = [each.key for each in store.list(kafka.BUCKET, "") if each.key.endswith(".batch")]
            assert left and all(key.startswith(topic_prefix(DEAD_LETTERS)) for key in left)
            new = await writer.send_and_wait(REQUESTS, b"new", partition=0)
            assert new.offset == last + 1
            shorten(store, now + DEAD_LETTERS_KEPT, DEAD_LETTERS_KEPT * 2)
            (left,) = [each.key for each in store.list(kafka.BUCKET, "") if each.key.endswith(".batch")]
            assert left.startswith(topic_prefix(REQUESTS))
        async with _reader(broker, last) as reader, asyncio.timeout(10):
            assert (await reader.getone()).value == b"new"

    asyncio.run(write_and_shorten())


def test_the_log_is_looked_after_beside_it(broker: Settings) -> None:
    before = kafka.shortened_file(broker).stat().st_mtime
    until = time.monotonic() + 30
    while kafka.shortened_file(broker).stat().st_mtime == before and time.monotonic() < until:
        time.sleep(0.2)
    assert {part.part: part.healthy for part in stack.health(broker)}[kafka.LOG]
    entry = supervisor.read_ledger(broker.state_dir)[kafka.LOG]
    assert kafka.shortened_file(broker).stat().st_mtime > before
    process = psutil.Process(entry.pid)
    process.terminate()
    assert process.wait(5) == 0


def _settings(broker: Settings) -> KafkaSettings:
    ports = supervisor.read_ledger(broker.state_dir)["kafka"].ports
    given = kafka.client_environment(broker, ports)
    return KafkaSettings(**{name.removeprefix("PEDIGREE_KAFKA_").lower(): value for name, value in given.items()})


@asynccontextmanager
async def _writer(broker: Settings) -> AsyncIterator[AIOKafkaProducer]:
    writer = producer(_settings(broker))
    await started(writer)
    try:
        yield writer
    finally:
        await leave(writer)


@asynccontextmanager
async def _reader(broker: Settings, offset: int = 0) -> AsyncIterator[AIOKafkaConsumer]:
    reader = consumer(_settings(broker))
    await started(reader)
    reader.assign([PLACE])
    reader.seek(PLACE, offset)
    try:
        yield reader
    finally:
        await leave(reader)


async def _write(writer: AIOKafkaProducer, acknowledged: list[bytes]) -> None:
    for number in range(100_000):
        try:
            await writer.send_and_wait(REQUESTS, f"message {number}".encode(), partition=0)
        except KafkaError:
            continue
        acknowledged.append(f"message {number}".encode())


def _kill_and_start(broker: Settings) -> None:
    process = psutil.Process(supervisor.read_ledger(broker.state_dir)["kafka"].pid)
    process.kill()
    process.wait(10)
    stack.start(broker, ["kafka"])


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.02)
