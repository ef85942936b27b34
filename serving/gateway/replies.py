"""Sends requests to the workers and hands each reply to the one who waits for it.

Replies come back in a partition that this gateway leases and reads from the end on, without a consumer group. When many
came it leases another: the local broker looks at every batch of a partition for whoever reads it. A reply that nobody
waits for any more is counted and dropped.
"""

import asyncio
import random
import secrets
import time
from collections.abc import Collection
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from serving.gateway.problems import Problem
from serving.kafka import KafkaSettings, Topics, Unbroken, consumer, ended, leave, producer, started
from serving.messages import REPLIES, REQUESTS, Malformed, Reply, Request, decode_reply, header
from serving.redis import Redis

LEASE_SECONDS = 15.0
REPLIES_EACH = 1000  # in one partition
UNDELIVERED = "the request could not be handed to the workers; try again"


class Replies:
    """One gateway's side of the queue. partition: where replies are to come; late: those that nobody waited for."""

    def __init__(self, kafka: KafkaSettings, redis: Redis) -> None:
        self._kafka, self._redis = kafka, redis
        self.name = secrets.token_hex(8)
        self.partition = -1
        self.late = 0
        self._read_here = 0
        self._waiting: dict[str, tuple[int, asyncio.Future[Reply]]] = {}
        self._producer = producer(kafka)
        self._consumer: AIOKafkaConsumer = consumer(kafka)
        self._unbroken = Unbroken(self._consumer)
        self._topics = Topics(kafka)
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def ready(self) -> bool:
        """Whether the partition is read and the broker answers."""
        return self.partition >= 0 and self._topics.answers

    async def start(self) -> None:
        """Wait for the broker, lease a partition and read it from now on. Raises KafkaError."""
        await started(self._producer)
        await started(self._consumer)
        await self._topics.create()
        await self._move(random.randrange(self._kafka.reply_partitions))
        self._tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._renew()),
            asyncio.create_task(self._topics.keep(self._consumer, self._lost)),
        ]

    async def stop(self) -> None:
        await ended(self._tasks)
        await self._release(self._consumer.assignment())
        for client in (self._producer, self._consumer):
            await leave(client)
        await self._topics.close()

    async def ask(self, request: Request) -> Reply:
        """Send the request, wait for its reply until its deadline. Raises Problem 503 undelivered, 504 in vain."""
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[request.id] = request.reply_partition, reply
        self._consumer.resume(*self._consumer.paused())
        try:
            async with asyncio.timeout(request.deadline - time.time()):
                value, headers = request.encode()
                sent = await self._producer.send(REQUESTS, value, request.key, headers=headers)
                sent.add_done_callback(lambda done: _undelivered(done, reply))
                return await reply
        except TimeoutError:
            raise Problem(504, "no answer came within the deadline; the request may be sent again", 1) from None
        except KafkaError as error:
            raise Problem(503, UNDELIVERED, 1) from error
        finally:
            self._waiting.pop(request.id, None)

    async def _read(self) -> None:
        while True:
            try:
                if self._read_here >= REPLIES_EACH:
                    self._read_here = 0  # should it fail, the earlier one is read on
                    await self._move(self.partition + 1)
                fetched = await self._consumer.getmany(timeout_ms=1000)
            except KafkaError:
                await asyncio.sleep(0.2)
                continue
            for message in self._unbroken.read(fetched):
                self._read_here += 1
                self._hand_over(message)
            if all(reply.done() for _, reply in self._waiting.values()):
                self._consumer.pause(*self._consumer.assignment())

    def _hand_over(self, message: Any) -> None:
        _, waiting = self._waiting.get(header(message.headers, "id"), (0, None))
        if waiting is None or waiting.done():
            self.late += 1
            return
        try:
            waiting.set_result(decode_reply(message.value, message.headers))
        except Malformed as broken:
            waiting.set_exception(Problem(500, f"a worker's reply cannot be read: {broken}", 1))

    async def _move(self, first: int) -> None:
        """Have replies come in another partition, at best `first`. Earlier ones are read while somebody waits there.

        Raises KafkaError.
        """
        new, held = TopicPartition(REPLIES, await self._lease(first)), self._consumer.assignment()
        awaited = {partition for partition, _ in self._waiting.values()} | {self.partition}
        position = {each: await self._consumer.position(each) for each in held if each.partition in awaited}
        if new not in position:
            self._unbroken.forget(new)
            position |= await self._consumer.end_offsets([new])
        self._consumer.assign(list(position))
        for partition, offset in position.items():
            self._consumer.seek(partition, offset)
        self.partition = new.partition
        await self._release(held - position.keys())

    def _lost(self) -> None:
        """The broker lost its log, and so the requests or their replies: let the clients ask again at once."""
        for _, reply in self._waiting.values():
            if not reply.done():
                reply.set_exception(Problem(503, "the broker lost the request; try again", 1))

    async def _lease(self, first: int) -> int:
        """The next partition that nobody reads. Sharing one is no fault, only more to read."""
        count = self._kafka.reply_partitions
        for partition in ((first + step) % count for step in range(count)):
            if await self._redis.lease(f"reply:{partition}", self.name, LEASE_SECONDS) is not False:
                return partition
        return first % count

    async def _release(self, left: Collection[TopicPartition]) -> None:
        for partition in left:
            await self._redis.release(f"reply:{partition.partition}", self.name)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            for read in self._consumer.assignment():
                await self._redis.lease(f"reply:{read.partition}", self.name, LEASE_SECONDS)


def _undelivered(sent: "asyncio.Future[object]", reply: "asyncio.Future[Reply]") -> None:
    if not sent.cancelled() and sent.exception() and not reply.done():
        reply.set_exception(Problem(503, UNDELIVERED, 1))
