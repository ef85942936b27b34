"""Kafka as gateway and workers use it: its settings, the topics, a producer, consumers.

Locally a small broker in memory, in production a managed one: only settings differ (`PEDIGREE_KAFKA_…`).
"""

import asyncio
import ssl
import time
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import aiokafka
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code
from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from serving.messages import DEAD_LETTERS, REPLIES, REQUESTS

SESSION_MS = 6_000  # a worker that died is noticed after so long
MESSAGE_BYTES = 4 << 20
# As a burst brings: aiokafka wakes all who wait for room in a batch, to let in as many as one batch holds.
BATCH_BYTES = 1 << 20
LOOK_SECONDS = 1.0
TURN_SECONDS = 10
GAP_LOOKS = 100  # it closes within a few
LEAVE_SECONDS = 3.0  # for what needs the broker, which may be away


class KafkaSettings(BaseSettings):
    """How to reach Kafka. `idempotence` of the producer is off by default: the local broker has no such thing.

    request_wait_ms, reply_wait_ms: how long a worker's or a gateway's fetch waits where nothing is there. The local
    broker looks for news when a fetch comes, not while it waits; a gateway fetches only while somebody waits for it.
    """

    model_config = SettingsConfigDict(env_prefix="PEDIGREE_KAFKA_", frozen=True, hide_input_in_errors=True)
    bootstrap_servers: str = "127.0.0.1:9092"
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ca_file: Path | None = None
    compression: Literal["none", "gzip"] = "none"
    idempotence: bool = False
    replication: int = 1
    request_partitions: int = 12
    reply_partitions: int = 32
    request_wait_ms: int = 10
    reply_wait_ms: int = 4

    def connection(self) -> dict[str, Any]:
        """What every client of the broker is given."""
        secure = "SSL" in self.security_protocol
        return {
            "bootstrap_servers": self.bootstrap_servers,
            "security_protocol": self.security_protocol,
            "ssl_context": ssl.create_default_context(cafile=self.ca_file) if secure else None,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_username,
            "sasl_plain_password": self.sasl_password.get_secret_value() if self.sasl_password else None,
        }


def producer(settings: KafkaSettings) -> AIOKafkaProducer:
    """Not started. A message counts as delivered when every replica has it."""
    compression = None if settings.compression == "none" else settings.compression
    return AIOKafkaProducer(
        **settings.connection(),
        acks="all",
        enable_idempotence=settings.idempotence,
        compression_type=compression,
        partitioner=in_turn,
        linger_ms=0,
        max_batch_size=BATCH_BYTES,
        max_request_size=MESSAGE_BYTES,
        request_timeout_ms=60_000,  # each request has a deadline of its own, and what waits here is not lost
        retry_backoff_ms=50,
    )


def in_turn(key: bytes | None, partitions: Sequence[int], _: Sequence[int]) -> int:
    """One key's partition now, among all gateways; after TURN_SECONDS it is the next.

    The local broker looks at every batch of a partition for whoever reads it, so none may grow alone.
    """
    return partitions[(zlib.crc32(key or b"") + int(time.time() / TURN_SECONDS)) % len(partitions)]


def consumer(settings: KafkaSettings, group: str | None = None) -> AIOKafkaConsumer:
    """Not started: a worker's, or without a group a gateway's. Offsets are committed by the caller alone; a group
    without any begins at the earliest message."""
    return AIOKafkaConsumer(
        **settings.connection(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=settings.request_wait_ms if group else settings.reply_wait_ms,
        max_partition_fetch_bytes=MESSAGE_BYTES,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 6,
        metadata_max_age_ms=10_000,
        retry_backoff_ms=50,
    )


class Topics:
    """Keeps the topics in being: a broker that forgot everything gets them anew, and its reader begins anew.

    `answers` tells whether the broker did at the last look.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._admin: AIOKafkaAdminClient | None = None
        self._cluster = ""
        self.answers = False

    async def create(self) -> bool:
        """Create what is missing; whether the broker forgot what it had since the last look.

        The local broker keeps its log in memory, and has another cluster's id each time it starts. Raises KafkaError,
        OSError.
        """
        if self._admin is None:
            admin = AIOKafkaAdminClient(**self._settings.connection(), request_timeout_ms=5_000)
            await admin.start()
            self._admin = admin
        wanted = {
            REQUESTS: self._settings.request_partitions,
            REPLIES: self._settings.reply_partitions,
            DEAD_LETTERS: 1,
        }
        cluster = (await self._admin.describe_cluster())["cluster_id"]
        missing = wanted.keys() - set(await self._admin.list_topics())
        if missing:
            new = [NewTopic(name, wanted[name], self._settings.replication) for name in sorted(missing)]
            for _, code, reason in (await self._admin.create_topics(new)).topic_errors:
                if code not in (0, TopicAlreadyExistsError.errno):
                    raise for_code(code)(reason)
        forgot = bool(missing) or self._cluster not in ("", cluster)
        self._cluster = cluster
        return forgot

    async def keep(self, follower: AIOKafkaConsumer, lost: Callable[[], None] = lambda: None) -> None:
        """Look every second, for ever; `lost` hears that the broker forgot what it had."""
        while True:
            try:
                forgot = await self.create()
                if await rewind(follower, forgot) or forgot:
                    lost()
                self.answers = True
            except (KafkaError, OSError):
                self.answers = False
                await self.close()
            await asyncio.sleep(LOOK_SECONDS)

    async def close(self) -> None:
        admin, self._admin = self._admin, None
        if admin:
            with suppress(KafkaError, OSError):
                await admin.close()


async def ended(tasks: Collection["asyncio.Task[Any]"]) -> None:
    """Cancel the tasks, again and again until they end: what they wait for in aiokafka may swallow a cancellation."""
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=0.2)


async def leave(client: Any) -> None:
    """Stop a client, without waiting long for a broker that is away."""
    with suppress(KafkaError, OSError, TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await client.stop()


async def started(client: Any, patience: float = 60.0) -> Any:
    """`client`, started; a broker that does not answer yet is waited for. Raises KafkaError after `patience`."""
    until = asyncio.get_running_loop().time() + patience
    while True:
        try:
            await client.start()
            return client
        except KafkaError:
            if asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(0.2)


class Unbroken:
    """The messages of a consumer, none left out.

    Of two batches that are written at once the local broker now and then shows the later one first; who has read that
    one goes on behind it. So a gap is looked at again, some GAP_LOOKS times: what was deleted leaves one too.
    """

    def __init__(self, follower: AIOKafkaConsumer) -> None:
        self._follower = follower
        self._next: dict[aiokafka.TopicPartition, int] = {}
        self._looks: Counter[aiokafka.TopicPartition] = Counter()

    def read(self, fetched: Mapping[aiokafka.TopicPartition, Sequence[Any]]) -> Iterator[Any]:
        """What was fetched, up to a gap; what comes after it is fetched again."""
        for partition, messages in fetched.items():
            for message in messages:
                if self._goes_back(partition, message.offset):
                    break
                self._next[partition] = message.offset + 1
                yield message

    def forget(self, partition: aiokafka.TopicPartition) -> None:
        """It is another one's to read now."""
        self._next.pop(partition, None)
        self._looks.pop(partition, None)

    def _goes_back(self, partition: aiokafka.TopicPartition, offset: int) -> bool:
        """Whether there is a gap before this offset, to which the follower was sent back."""
        expected = self._next.get(partition, offset)
        gave_up = self._looks[partition] >= GAP_LOOKS
        if offset <= expected or gave_up or partition not in self._follower.assignment():
            self._looks.pop(partition, None)
            return False
        self._looks[partition] += 1
        self._follower.seek(partition, expected)
        return True


async def rewind(follower: AIOKafkaConsumer, everything: bool) -> bool:
    """Begin anew with `everything`, or where the log is shorter than what was read of it; whether there was any.

    Offsets of the lost log may be committed to the new one: a broker does not say that they are past its end. The end
    is that of the last fetch: asked for it, the local broker names the beginning of the last batch.
    """
    assigned = follower.assignment()
    lost = [partition for partition in assigned if everything or await _is_past_the_end(follower, partition)]
    for partition in lost:
        follower.seek(partition, 0)
    return bool(lost)


async def _is_past_the_end(follower: AIOKafkaConsumer, partition: aiokafka.TopicPartition) -> bool:
    try:
        async with asyncio.timeout(1):
            read = await follower.position(partition)
        end = follower.highwater(partition)
    except (TimeoutError, KafkaError):  # it has just gone to another, or nothing was fetched yet
        return False
    return end is not None and read > end
