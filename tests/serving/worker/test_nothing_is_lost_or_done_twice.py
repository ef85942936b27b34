"""A worker on a real broker and a real Redis. The model is ours, so that it can be slow, down, or at fault."""

import asyncio
import dataclasses
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import UnknownError

from orchestration.settings import Settings
from orchestration.stack import kafka, redis, supervisor
from serving.kafka import KafkaSettings, Topics, consumer, producer, started
from serving.messages import DEAD_LETTERS, REPLIES, REQUESTS, Reply, Request, decode_reply, header
from serving.redis import Redis, RedisSettings
from serving.triton.client import ModelUnknown, RegionDown, RequestRefused
from serving.worker.memory import Memory
from serving.worker.region import Said
from serving.worker.settings import WorkerSettings
from serving.worker.worker import Worker
from tests.conftest import StartStack

DIGEST, GROUP = "d" * 64, "for-all"


class Model:
    """Counts how often each text was asked. Texts are faults: slow, down, refused, unknown, poison."""

    def __init__(self) -> None:
        self.begin()

    def begin(self) -> None:
        self.asked: Counter[str] = Counter()
        self.groups: list[int] = []
        self.seconds = 0.0

    async def classify(self, model: str, texts: Sequence[str], digest: str, timeout: float, trace: str) -> Said:
        self.asked.update(texts)
        self.groups.append(len(texts))
        await asyncio.sleep(self.seconds)
        faults: dict[str, Exception] = {
            "down": RegionDown("it is down"),
            "refused": RequestRefused("address: TEXT row 0 is too strange"),
            "unknown": ModelUnknown("nobody"),
            "poison": RuntimeError("a bug"),
        }
        for text in texts:
            if text in faults and (text != "down" or self.asked["down"] < 3):
                raise faults[text]
        return Said("acme.intents@1", DIGEST, [{"label": text, "scores": {"a": 1.0}} for text in texts])

    async def embed(self, texts: Sequence[str], timeout: float, trace: str) -> list[list[float]]:
        return [[float(len(text))] for text in texts]

    async def status(self) -> dict[str, Any]:
        return {"base": "b" * 64, "models": {"acme.intents": {"release": "acme.intents@1", "digest": DIGEST}}}

    async def close(self) -> None: ...


class Desk:
    """The gateway's side, by hand."""

    def __init__(self, settings: Settings) -> None:
        ledger = supervisor.read_ledger(settings.state_dir)
        self.kafka = KafkaSettings(bootstrap_servers=kafka.address(ledger["kafka"].ports))
        self.redis = Redis(RedisSettings(url=redis.address(ledger["redis"].ports)))
        self.begin("nobody")

    def begin(self, name: str) -> None:
        """A new scenario, whose requests bear its name."""
        self.name, self.sent = name, 0
        self.replies: list[Reply] = []

    async def open(self) -> None:
        topics = Topics(self.kafka)
        await topics.create()
        await topics.close()
        self.producer = await started(producer(self.kafka))
        self.reader = await started(consumer(self.kafka))
        replies = TopicPartition(REPLIES, 0)
        self.reader.assign([replies])
        self.reader.seek(replies, (await self.reader.end_offsets([replies]))[replies])

    async def close(self) -> None:
        await self.producer.stop()
        await self.reader.stop()
        await self.redis.close()

    def worker(self, model: Model, **settings: Any) -> Worker:
        """In a group of the scenario's own."""
        return Worker(self.kafka, self.redis, WorkerSettings(group=f"group-{self.name}", **settings), model)

    def request(self, text: str, **changes: Any) -> Request:
        self.sent += 1
        now, identity = time.time(), f"{self.name}-{self.sent}"
        return dataclasses.replace(
            Request(identity, self.name, "free", "acme.intents", [text], now + 20, now, REPLIES, 0, identity, "f" * 32),
            **changes,
        )

    async def send(self, *requests: Request) -> None:
        encoded = [(request.key, *request.encode()) for request in requests]
        sent = [await self.producer.send(REQUESTS, value, key, headers=headers) for key, value, headers in encoded]
        await asyncio.gather(*sent)

    async def answers(self, number: int, seconds: float = 20) -> dict[str, Reply]:
        """Wait for so many replies to this desk; a reply to the same request twice is kept in `replies`."""
        until = time.monotonic() + seconds
        while len(self.replies) < number and time.monotonic() < until:
            for messages in (await self.reader.getmany(timeout_ms=100)).values():
                said = [decode_reply(message.value, message.headers) for message in messages]
                self.replies += [reply for reply in said if reply.id.startswith(f"{self.name}-")]
        return {reply.id: reply for reply in self.replies}


@asynccontextmanager
async def working(worker: Worker) -> AsyncIterator[Worker]:
    await worker.start()
    try:
        yield worker
    finally:
        await worker.stop()


@dataclass
class Bench:
    """A desk, and a worker that works for all scenarios: joining a group takes the broker seconds."""

    runner: asyncio.Runner
    desk: Desk
    model: Model
    worker: Worker

    def run(self, scenario: Callable[[Desk, Model], Coroutine[Any, Any, None]]) -> None:
        self.desk.begin(scenario.__qualname__.split(".")[0].replace("_", "-")[5:65])
        self.model.begin()
        self.runner.run(asyncio.wait_for(scenario(self.desk, self.model), 60))


@pytest.fixture(scope="module")
def bench(start_stack: StartStack) -> Iterator[Bench]:
    settings = start_stack("kafka", "redis")
    with asyncio.Runner() as runner:

        async def opened() -> Bench:
            desk, model = Desk(settings), Model()
            await desk.open()
            worker = Worker(desk.kafka, desk.redis, WorkerSettings(group=GROUP, in_flight=16), model)
            await worker.start()
            return Bench(runner, desk, model, worker)

        bench = runner.run(opened())
        yield bench
        runner.run(bench.worker.stop())
        runner.run(bench.desk.close())


def test_each_fault_ends_as_what_it_is_and_takes_no_other_with_it(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        requests = {text: desk.request(text) for text in ("fine", "refused", "poison", "also fine")}
        requests["down"] = desk.request("down", model="acme.other")
        requests["unknown"] = desk.request("unknown", model="acme.gone")
        requests["late"] = desk.request("late", deadline=time.time() - 1)
        await desk.send(*requests.values())
        replies = await desk.answers(7)
        ended = {text: replies[request.id].outcome for text, request in requests.items()}
        assert ended == {
            "fine": "answered", "also fine": "answered", "down": "answered", "refused": "refused",
            "poison": "failed", "unknown": "unknown", "late": "expired",
        }  # fmt: skip
        assert model.asked["late"] == 0
        assert model.asked["poison"] <= 2 * WorkerSettings().attempts, "tried for ever"
        assert b"too strange" in replies[requests["refused"].id].body
        assert b"a bug" not in replies[requests["poison"].id].body
        assert b'"label":"fine"' in replies[requests["fine"].id].body

    bench.run(scenario)


def test_what_nobody_can_read_or_answer_goes_to_the_dead_letters_with_its_reason(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        poison, fine = desk.request("poison"), desk.request("still fine")
        letters = await started(consumer(desk.kafka))
        partition = TopicPartition(DEAD_LETTERS, 0)
        letters.assign([partition])
        letters.seek(partition, (await letters.end_offsets([partition]))[partition])
        await desk.producer.send_and_wait(REQUESTS, b"garbage", b"acme.intents", headers=[("schema", b"9")])
        await desk.send(poison)
        await desk.answers(1)
        await desk.send(fine)
        assert (await desk.answers(2))[fine.id].outcome == "answered"
        aside = [await asyncio.wait_for(letters.getone(), 5) for _ in range(2)]
        reasons = {header(letter.headers, "reason"): letter for letter in aside}
        assert any("schema '9'" in reason for reason in reasons)
        (kept,) = (letter for reason, letter in reasons.items() if reason == "RuntimeError: a bug")
        assert (kept.value, header(kept.headers, "id")) == (poison.encode()[0], poison.id)
        await letters.stop()
        await committed_everything(bench.worker)

    bench.run(scenario)


async def committed_everything(worker: Worker) -> None:
    """Wait until it has."""
    reader = worker._consumer
    while True:
        if all([reader.highwater(each) == (await reader.committed(each) or 0) for each in reader.assignment()]):
            return
        await asyncio.sleep(0.05)


def test_messages_that_come_again_are_answered_from_memory(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        requests = [desk.request(f"again {number}") for number in range(20)]
        await desk.send(*requests)
        first = await desk.answers(20)
        desk.replies.clear()
        async with working(desk.worker(model)):  # its group has committed nothing: it gets every message anew
            second = await desk.answers(20)
        assert {name: reply.body for name, reply in second.items()} == {
            name: reply.body for name, reply in first.items()
        }
        assert [model.asked[request.texts[0]] for request in requests] == [1] * 20

    bench.run(scenario)


def test_a_request_that_another_executes_is_waited_for(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        model.seconds = 0.4
        first, second = desk.request("the same", idempotency="once"), desk.request("the same", idempotency="once")
        other = desk.request("another", idempotency="once", fingerprint="e" * 32)
        await desk.send(first, second, other)
        replies = await desk.answers(3)
        assert replies[first.id].body == replies[second.id].body
        assert replies[other.id].outcome == "conflict"
        assert model.asked == {"the same": 1}

    bench.run(scenario)


def test_a_dead_workers_claim_does_not_outlive_it(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        request, dead = desk.request("orphan"), Memory(desk.redis, "dead", 60, 60)
        await desk.redis.worker_lives("dead", 0.5)
        (looked,) = await dead.look([request], [""], time.time())
        assert looked.reply is None and not looked.busy
        await desk.send(request)
        assert (await desk.answers(1))[request.id].outcome == "answered"
        assert model.asked == {"orphan": 1}

    bench.run(scenario)


def test_requests_of_one_model_go_to_the_region_together(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        model.seconds = 0.2
        await desk.send(*(desk.request(f"together {number}") for number in range(40)))
        await desk.answers(40)
        assert sum(model.groups) == 40
        assert len(model.groups) < 20

    bench.run(scenario)


def test_a_text_said_before_is_answered_from_the_releases_cache(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        for number in range(3):
            await desk.send(desk.request("often asked"))
            await desk.answers(number + 1)
        assert model.asked == {"often asked": 1}
        assert len({reply.body for reply in desk.replies}) == 1

    bench.run(scenario)


def test_a_noisy_tenant_is_not_served_before_a_quiet_one(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        model.seconds = 0.2
        noisy = [desk.request(f"noise {number}") for number in range(200)]
        quiet = [desk.request(f"quiet {number}", tenant=f"{desk.name}-quiet") for number in range(4)]
        await desk.send(*noisy, *quiet)
        await desk.answers(204)
        order = [reply.id for reply in desk.replies]
        assert max(order.index(request.id) for request in quiet) < 120

    bench.run(scenario)


def test_a_tenant_with_less_in_work_does_not_wait_for_room(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        model.seconds, room = 3.0, bench.worker._settings.in_flight
        noisy = [desk.request(f"din {number}") for number in range(40)]
        slow, quiet = (desk.request(text, tenant=f"{desk.name}-quiet") for text in ("slow", "calm"))
        await desk.send(*noisy)
        while sum(model.groups) < room:
            await asyncio.sleep(0.02)
        await desk.send(slow)
        while sum(model.groups) < room + 1:
            await asyncio.sleep(0.02)
        model.seconds = 0.0
        await desk.send(quiet)
        assert quiet.id in await desk.answers(1)
        assert len(desk.replies) == 1, "it was answered after what had all the room"
        await desk.answers(42)

    bench.run(scenario)


def test_a_reply_that_the_broker_refused_is_sent_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    send, refused = bench.worker._producer.send_and_wait, list[int]()

    async def sometimes(*given: Any, **named: Any) -> Any:
        if len(refused) < 2:
            refused.append(1)
            raise UnknownError
        return await send(*given, **named)

    async def scenario(desk: Desk, model: Model) -> None:
        monkeypatch.setattr(bench.worker._producer, "send_and_wait", sometimes)
        await desk.send(desk.request("refused"))
        assert len(await desk.answers(1)) == 1
        assert model.asked == {"refused": 1}

    bench.run(scenario)


def test_a_worker_that_comes_and_one_that_goes_do_nothing_twice(bench: Bench) -> None:
    async def scenario(desk: Desk, model: Model) -> None:
        model.seconds = 0.2
        requests = [desk.request(f"text {number}", model=f"acme.model-{number % 7}") for number in range(240)]
        await desk.send(*requests[:120])
        goes, bench.worker = bench.worker, Worker(desk.kafka, desk.redis, bench.worker._settings, model)
        await bench.worker.start()
        await desk.send(*requests[120:])
        await desk.answers(140)
        await goes.stop()
        replies = await desk.answers(240)
        await asyncio.sleep(0.2)
        assert replies.keys() == {request.id for request in requests}
        assert all(f'"{request.texts[0]}"'.encode() in replies[request.id].body for request in requests)
        assert [model.asked[request.texts[0]] for request in requests] == [1] * 240

    bench.run(scenario)
