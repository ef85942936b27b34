"""Replies are read wherever they come, while a gateway moves from partition to partition."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from orchestration.settings import Settings
from orchestration.stack import kafka, redis, supervisor
from serving.gateway import replies
from serving.gateway.replies import Replies
from serving.kafka import TURN_SECONDS, KafkaSettings, Topics, Unbroken, consumer, in_turn, leave, producer, started
from serving.messages import REPLIES, REQUESTS, Reply, Request, decode_request
from serving.redis import Redis, RedisSettings
from tests.conftest import StartStack

HELD = "answer this one later"


@pytest.fixture(scope="module")
def broker(start_stack: StartStack) -> Settings:
    return start_stack("kafka", "redis")


@pytest.fixture(autouse=True)
def moves_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "REPLIES_EACH", 5)


def test_no_reply_is_missed_while_gateways_move_and_none_reads_anothers_partition(broker: Settings) -> None:
    async def ask_through_two() -> None:
        async with _gateway(broker) as first, _gateway(broker) as second, _answering(broker):
            seen: set[int] = set()
            for _ in range(15):
                await asyncio.gather(*(_ask(gateway) for _ in range(20) for gateway in (first, second)))
                assert first.partition != second.partition
                seen |= {first.partition, second.partition}
            assert len(seen) >= 6
            assert not first._consumer.assignment() & second._consumer.assignment()
            assert len(first._consumer.assignment()) <= 3, "what nobody waits in is read no more"
            async with asyncio.timeout(10):  # the last replies may have made them move
                while not await _is_free_what_neither_reads(first, second):
                    await asyncio.sleep(0.2)

    asyncio.run(ask_through_two())


def test_a_reply_that_takes_long_is_read_many_partitions_later(broker: Settings) -> None:
    async def ask_slowly() -> None:
        async with _gateway(broker) as gateway, _answering(broker) as held:
            slow = asyncio.create_task(_ask(gateway, HELD))
            for _ in range(30):
                await _ask(gateway)
            read, now = gateway._consumer.assignment(), gateway.partition
            held.set()
            asked_from = await slow
            assert TopicPartition(REPLIES, asked_from) in read and asked_from != now

    asyncio.run(ask_slowly())


def test_a_gateway_that_finds_no_other_partition_stays_where_it_is(broker: Settings) -> None:
    async def ask_in_one() -> None:
        async with _gateway(broker, reply_partitions=1) as gateway, _answering(broker):
            for _ in range(10):
                await asyncio.gather(*(_ask(gateway) for _ in range(20)))
            assert gateway.partition == 0

    asyncio.run(ask_in_one())


def test_a_key_has_one_partition_at_a_time_and_every_partition_in_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    now = TURN_SECONDS * 1_000_000.0
    partitions = list(range(12))
    had = []
    for turn in range(12):
        monkeypatch.setattr(time, "time", lambda turn=turn: now + turn * TURN_SECONDS)
        first = in_turn(b"northbank.support-intents", partitions, partitions)
        monkeypatch.setattr(time, "time", lambda turn=turn: now + turn * TURN_SECONDS + TURN_SECONDS - 0.01)
        assert in_turn(b"northbank.support-intents", partitions, partitions) == first
        had.append(first)
    assert sorted(had) == partitions
    assert in_turn(None, partitions, partitions) in partitions, "a dead letter may have come without a key"


def test_a_gateway_that_cannot_move_reads_on_where_it_is(broker: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask_on() -> None:
        async with _gateway(broker) as gateway, _answering(broker):
            tried = asyncio.Event()

            async def refuse(_: object) -> None:
                tried.set()
                raise KafkaError

            monkeypatch.setattr(gateway._consumer, "end_offsets", refuse)
            await _ask(gateway)  # what it was about when it was not refused yet is over
            began = gateway.partition
            for _ in range(12):
                await _ask(gateway)
            assert tried.is_set() and gateway.partition == began

    asyncio.run(ask_on())


def _settings(broker: Settings, **settings: int) -> KafkaSettings:
    ports = supervisor.read_ledger(broker.state_dir)["kafka"].ports
    return KafkaSettings(bootstrap_servers=kafka.address(ports), **settings)


@asynccontextmanager
async def _gateway(broker: Settings, **settings: int) -> AsyncIterator[Replies]:
    memory = Redis(RedisSettings(url=redis.address(supervisor.read_ledger(broker.state_dir)["redis"].ports)))
    gateway = Replies(_settings(broker, **settings), memory)
    await gateway.start()
    try:
        yield gateway
    finally:
        await gateway.stop()
        await memory.close()


async def _is_free_what_neither_reads(first: Replies, second: Replies) -> bool:
    """Whether another gateway could lease it now."""
    read = {each.partition for one in (first, second) for each in one._consumer.assignment()}
    left = set(range(KafkaSettings().reply_partitions)) - read
    return all([await first._redis.lease(f"reply:{each}", "another", 0.1) for each in left])


async def _ask(gateway: Replies, text: str = "a text") -> int:
    """A request whose reply must be its own; the partition it was asked from."""
    name, now = secrets.token_hex(8), time.time()
    request = Request(
        name, "northbank", "enterprise", "northbank.a", [text], now + 20, now, REPLIES, gateway.partition, name, name
    )
    assert (await gateway.ask(request)).body == name.encode()
    return request.reply_partition


@asynccontextmanager
async def _answering(broker: Settings) -> AsyncIterator[asyncio.Event]:
    """Answers each request with its id; one whose text is HELD when the event is set."""
    settings = _settings(broker)
    sender, follower = producer(settings), consumer(settings)
    await started(sender)
    await started(follower)
    await Topics(settings).create()
    partitions = [TopicPartition(REQUESTS, number) for number in range(settings.request_partitions)]
    ends = await follower.end_offsets(partitions)
    follower.assign(partitions)
    for partition in partitions:
        follower.seek(partition, ends[partition])
    held = asyncio.Event()
    answering = asyncio.create_task(_answer(follower, sender, held))
    try:
        yield held
    finally:
        answering.cancel()
        await leave(follower)
        await leave(sender)


async def _answer(follower: AIOKafkaConsumer, sender: AIOKafkaProducer, held: asyncio.Event) -> None:
    unbroken, replying = Unbroken(follower), set[asyncio.Task[None]]()
    while True:
        for message in unbroken.read(await follower.getmany(timeout_ms=1000)):
            request = decode_request(message.value, message.headers)
            replying.add(asyncio.create_task(_reply(sender, request, held)))


async def _reply(sender: AIOKafkaProducer, request: Request, held: asyncio.Event) -> None:
    if request.texts == [HELD]:
        await held.wait()
    value, headers = Reply(request.id, "answered", request.id.encode()).encode()
    await sender.send(request.reply_topic, value, partition=request.reply_partition, headers=headers)
