"""The loop of a worker: fetch, take tenants in turn, answer what is not answered yet, reply, commit.

A message is committed after its reply was delivered. So a worker that dies leaves messages that another one gets again,
and those that were answered already are answered from memory.
"""

import asyncio
import collections
import secrets
import time
from collections.abc import Awaitable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import stamina
import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge, Histogram

from serving.kafka import LEAVE_SECONDS, KafkaSettings, Topics, Unbroken, consumer, ended, leave, producer, started
from serving.messages import DEAD_LETTERS, REQUESTS, Malformed, Reply, Request, decode_request
from serving.redis import Redis
from serving.tracing import past, span
from serving.triton.client import RequestFailed
from serving.worker.answers import Answers, Model, expired
from serving.worker.fair import FairQueue
from serving.worker.memory import Looked, Memory
from serving.worker.offsets import Offsets
from serving.worker.settings import WorkerSettings

LIFE_SECONDS = 3.0  # a worker that has not said so for this long does not live
LOOK_SECONDS = 1.0
COMMIT_SECONDS = 0.1  # what was answered and is not committed is answered from memory
DRAIN_SECONDS = 10.0
REVOKED_SECONDS = 3.0
BUSY_SECONDS = 0.05
GROUP_ROWS = 8
SENDINGS = 5  # of a reply

ENDED = Counter("pedigree_worker_requests", "Requests by how they ended", ["outcome"])
REPLAYED = Counter("pedigree_worker_replayed", "Requests that had been answered before")
CACHED = Counter("pedigree_worker_cached", "Requests answered from what the live release said before")
SET_ASIDE = Counter("pedigree_worker_dead_letters", "Messages that nobody could answer")
ROWS = Histogram("pedigree_worker_rows", "Texts that went to the region together", buckets=[1, 2, 4, 8, 16, 32, 64])
SECONDS = Counter("pedigree_worker_region_seconds", "Seconds that calls of the region took, by tenant", ["tenant"])
WAITING = Gauge("pedigree_worker_waiting", "Messages fetched and not begun")

log = structlog.get_logger()


@dataclass(frozen=True)
class Taken:
    """A request and where it came from; `generation` tells whether the partition still is this worker's."""

    request: Request
    message: Any
    generation: int


class Worker(ConsumerRebalanceListener):
    """`start`, then `stop`. `model` is what answers."""

    def __init__(self, kafka: KafkaSettings, redis: Redis, settings: WorkerSettings, model: Model) -> None:
        self.name = secrets.token_hex(8)
        self._redis, self._settings, self._model = redis, settings, model
        self._memory = Memory(redis, self.name, settings.kept_results, settings.kept_answers)
        self._answers = Answers(model, settings.attempts)
        self._queue: FairQueue[Taken] = FairQueue()
        self._offsets = Offsets()
        self._generation = 0
        self._room = settings.in_flight
        self._asked = collections.Counter[str]()  # requests in work, by tenant
        self._changed, self._moved = asyncio.Event(), asyncio.Event()
        self._producer = producer(kafka)
        self._consumer: AIOKafkaConsumer = consumer(kafka, settings.group)
        self._unbroken = Unbroken(self._consumer)
        self._topics = Topics(kafka)
        self._loops: list[asyncio.Task[None]] = []
        self._working: set[asyncio.Task[None]] = set()
        self.region_answers = False

    @property
    def ready(self) -> bool:
        """Whether the broker answers and gave this worker partitions."""
        return self._topics.answers and bool(self._consumer.assignment())

    async def start(self) -> None:
        """Wait for the broker, then work. Raises KafkaError."""
        await started(self._producer)
        await self._topics.create()
        self._consumer.subscribe([REQUESTS], listener=self)
        await started(self._consumer)
        loops: Iterable[Awaitable[None]] = (
            self._live(),
            self._look(),
            self._fetch(),
            self._dispatch(),
            self._commit(),
            self._topics.keep(self._consumer),
        )
        self._loops = [asyncio.create_task(loop) for loop in loops]  # type: ignore[arg-type]

    async def stop(self) -> None:
        """Finish what was begun, commit, leave the group at once."""
        self._generation += 1
        await ended(self._loops)
        await self._drain(DRAIN_SECONDS)
        for client in (self._consumer, self._producer):
            await leave(client)
        await self._topics.close()
        await self._redis.worker_lives(self.name, 0)
        await self._model.close()

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """What was begun is finished and committed, so that its next owner does not begin it again."""
        self._generation += 1
        await self._drain(REVOKED_SECONDS)
        for partition in revoked:
            self._offsets.forget(partition)
            self._unbroken.forget(partition)

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        log.info("partitions", worker=self.name, assigned=len(assigned))

    async def _live(self) -> None:
        while True:
            await self._redis.worker_lives(self.name, LIFE_SECONDS)
            await asyncio.sleep(LIFE_SECONDS / 3)

    async def _look(self) -> None:
        while True:
            try:
                await self._answers.look()
                self.region_answers = True
            except RequestFailed:
                self.region_answers = False
            await asyncio.sleep(LOOK_SECONDS)

    async def _fetch(self) -> None:
        while True:
            try:
                fetched = await self._consumer.getmany(timeout_ms=200)
            except KafkaError as error:
                log.warning("fetch failed", worker=self.name, error=str(error))
                await asyncio.sleep(0.2)
                continue
            for message in self._unbroken.read(fetched):
                self._take(message)
            self._hold_back()
            WAITING.set(len(self._queue))

    def _take(self, message: Any) -> None:
        self._offsets.begin(TopicPartition(message.topic, message.partition), message.offset)
        try:
            request = decode_request(message.value, message.headers)
        except Malformed as broken:
            self._work(self._set_aside_unread(message, str(broken)))
            return
        self._queue.put(request.tenant, request.tier, Taken(request, message, self._generation))
        self._changed.set()

    def _hold_back(self) -> None:
        """A partition with enough waiting here is not fetched from until some of it is done."""
        for partition in self._consumer.assignment():
            full = self._offsets.open(partition) >= self._settings.waiting
            if full and partition not in self._consumer.paused():
                self._consumer.pause(partition)
            elif not full and partition in self._consumer.paused():
                self._consumer.resume(partition)

    async def _dispatch(self) -> None:
        while True:
            await self._queue.filled()
            self._changed.clear()
            if batch := list(self._next()):
                self._work(self._begin(batch))
            else:
                await self._changed.wait()

    def _next(self) -> Iterator[Taken]:
        """What there is room for; without room, what tenants asked that have less in work than others: it would wait
        for theirs."""
        with suppress(IndexError):
            while self._room > -self._settings.in_flight:
                taken = self._queue.take() if self._room > 0 else self._queue.take_beside(self._asked)
                if taken.generation == self._generation:
                    self._room -= len(taken.request.texts)
                    self._asked[taken.request.tenant] += 1
                    yield taken

    async def _begin(self, batch: Sequence[Taken]) -> None:
        """Look at what is known of a batch, then ask the region for the rest, one model's requests together."""
        now = time.time()
        late = [(taken, expired(taken.request)) for taken in batch if taken.request.deadline <= now]
        if late:
            self._work(self._finish(late, keep=False))
        batch = [taken for taken in batch if taken.request.deadline > now]
        digests = [self._answers.digest(taken.request) for taken in batch]
        looks = await self._memory.look([taken.request for taken in batch], digests, now)
        groups: dict[tuple[str, str], list[Taken]] = collections.defaultdict(list)
        for taken, looked in zip(batch, looks, strict=True):
            if looked.busy:
                self._work(self._wait(taken))
            elif (known := self._known(taken, looked)) is not None:
                known = replace(known, waited=now - taken.request.sent)
                self._work(self._finish([(taken, known)], keep=looked.reply is None))
            else:
                groups[taken.request.model, taken.request.digest].append(taken)
        for group in groups.values():
            for together in _parted(group):
                self._work(self._ask(together))

    def _known(self, taken: Taken, looked: Looked) -> Reply | None:
        """The reply that needs no model."""
        if looked.reply is not None:
            REPLAYED.inc()
            return looked.reply
        if looked.rows and self._answers.digest(taken.request):
            CACHED.inc()
            return self._answers.from_rows(taken.request, looked.rows)
        return None

    async def _ask(self, group: Sequence[Taken]) -> None:
        waited = time.time()
        ROWS.observe(sum(len(taken.request.texts) for taken in group))
        requests = [taken.request for taken in group]
        for request in requests:
            past("queue", request.traceparent, request.sent, waited, SpanKind.CONSUMER)
        # Of several that go together the first one's trace leads on into the region.
        with span("worker", requests[0].traceparent, SpanKind.CLIENT, requests=len(requests)) as trace:
            answered = await self._answers.ask(requests, trace)
        _charge(requests, time.time() - waited)
        rows: dict[str, bytes] = {}
        replies: list[tuple[Taken, Reply]] = []
        for taken, each in zip(group, answered, strict=True):
            rows |= self._memory.rows_by_key(taken.request, each.reply.digest, each.rows)
            replies.append((taken, replace(each.reply, waited=waited - taken.request.sent)))
            if each.poison:
                await self._set_aside(taken.message, each.poison)
        await self._finish(replies, rows=rows)

    async def _wait(self, taken: Taken) -> None:
        """Another worker executes this request: what comes of it is the answer."""
        request, digest = taken.request, self._answers.digest(taken.request)
        while time.time() < request.deadline:
            await asyncio.sleep(BUSY_SECONDS)
            (looked,) = await self._memory.look([request], [digest], time.time())
            if looked.reply is not None:
                await self._finish([(taken, looked.reply)], keep=False)
                return
            if not looked.busy:
                await self._ask([taken])
                return
        await self._finish([(taken, expired(request))], keep=False)

    async def _set_aside(self, message: Any, reason: str) -> None:
        """To the dead letters, with the reason."""
        SET_ASIDE.inc()
        place = f"{message.partition}:{message.offset}"
        log.error("dead letter", worker=self.name, place=place, reason=reason)
        headers = [*message.headers, ("reason", reason.encode()), ("place", place.encode())]
        with suppress(KafkaError):
            await self._producer.send_and_wait(DEAD_LETTERS, message.value, message.key, headers=headers)

    async def _set_aside_unread(self, message: Any, reason: str) -> None:
        await self._set_aside(message, f"malformed: {reason}")
        self._done(message, 0)

    async def _finish(
        self, replies: Sequence[tuple[Taken, Reply]], rows: dict[str, bytes] | None = None, keep: bool = True
    ) -> None:
        """Remember, reply, then count the messages as done."""
        try:
            if keep:
                await self._memory.keep([(taken.request, reply) for taken, reply in replies], rows or {})
            await asyncio.gather(*(self._send(taken.request, reply) for taken, reply in replies))
        finally:
            done = (taken.request.tenant for taken, _ in replies)
            self._asked -= collections.Counter(done)  # who has none is no longer counted
            for taken, reply in replies:
                ENDED.labels(reply.outcome).inc()
                self._done(taken.message, len(taken.request.texts))

    async def _send(self, request: Request, reply: Reply) -> None:
        (body, headers), left = reply.encode(), request.deadline - time.time()
        again = stamina.retry_context(on=KafkaError, attempts=SENDINGS, timeout=left, wait_initial=0.05, wait_max=0.5)
        try:
            async for attempt in again:  # a reply that is sent twice is dropped, one that is lost is waited for
                with attempt:
                    await self._producer.send_and_wait(
                        request.reply_topic, body, partition=request.reply_partition, headers=headers
                    )
        except KafkaError as error:  # the gateway has answered by now that it may be tried again
            log.warning("reply not delivered", worker=self.name, error=str(error))

    def _done(self, message: Any, rows: int) -> None:
        self._room += rows
        self._changed.set()
        self._offsets.done(TopicPartition(message.topic, message.partition), message.offset)
        self._moved.set()

    async def _drain(self, seconds: float) -> None:
        """Finish what was begun, if it does not take longer, and commit it."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._working:
                    await asyncio.wait(self._working)
        with suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(LEAVE_SECONDS):
                await self._commit_now()

    async def _commit(self) -> None:
        while True:
            await self._moved.wait()
            self._moved.clear()
            try:
                await self._commit_now()
            except KafkaError as error:  # the partition went to another worker
                log.warning("commit failed", worker=self.name, error=str(error))
            await asyncio.sleep(COMMIT_SECONDS)

    async def _commit_now(self) -> None:
        if offsets := self._offsets.to_commit():
            await self._consumer.commit(offsets)
            self._offsets.committed(offsets)

    def _work(self, job: Any) -> None:
        task = asyncio.create_task(job)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        task.add_done_callback(_report)


def _parted(group: Sequence[Taken]) -> Iterator[list[Taken]]:
    """In calls of GROUP_ROWS texts: all of a call are answered when the last of them is."""
    call: list[Taken] = []
    for taken in group:
        if call and sum(len(each.request.texts) for each in (*call, taken)) > GROUP_ROWS:
            yield call
            call = []
        call.append(taken)
    yield call


def _charge(requests: Sequence[Request], seconds: float) -> None:
    """Share what a call took among the tenants whose texts went together: what it costs follows from it."""
    texts = sum(len(request.texts) for request in requests)
    for request in requests:
        SECONDS.labels(request.tenant).inc(seconds * len(request.texts) / texts)


def _report(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (fault := task.exception()):
        log.error("a request was not answered", exc_info=fault)
