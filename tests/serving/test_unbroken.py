"""A message that the broker shows after the one behind it is read all the same, and in order."""

from collections import namedtuple
from collections.abc import Sequence
from typing import Any

from aiokafka import TopicPartition

from serving.kafka import GAP_LOOKS, Unbroken

PARTITION, OTHER = TopicPartition("requests", 0), TopicPartition("requests", 1)
Message = namedtuple("Message", ["offset"])


class Log:
    """A consumer of a broker that hides some offsets."""

    def __init__(self, end: int) -> None:
        self.at, self.end, self.hidden = 0, end, set[int]()

    def assignment(self) -> set[TopicPartition]:
        return {PARTITION}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        assert partition == PARTITION
        self.at = offset

    def fetched(self) -> dict[Any, Any]:
        messages = _messages(*(offset for offset in range(self.at, self.end) if offset not in self.hidden))
        self.at = self.end
        return {PARTITION: messages}


def test_what_is_shown_too_late_is_read_before_what_is_behind_it() -> None:
    log = Log(end=8)
    unbroken = Unbroken(log)  # type: ignore[arg-type]
    log.hidden = {3, 5}
    assert _read(unbroken, log.fetched()) == [0, 1, 2]
    assert _read(unbroken, log.fetched()) == []
    log.hidden = {5}
    assert _read(unbroken, log.fetched()) == [3, 4]
    log.hidden = set()
    assert _read(unbroken, log.fetched()) == [5, 6, 7]


def test_what_never_comes_is_not_waited_for() -> None:
    log = Log(end=4)
    unbroken = Unbroken(log)  # type: ignore[arg-type]
    log.hidden = {1}
    reads = [_read(unbroken, log.fetched()) for _ in range(GAP_LOOKS + 1)]
    assert reads == [[0], *[[]] * (GAP_LOOKS - 1), [2, 3]]
    log.end, log.hidden = 6, {4}
    assert _read(unbroken, log.fetched()) == [], "the next gap is looked at anew"


def test_a_log_that_begins_anew_or_a_partition_that_comes_back_later_has_no_gap() -> None:
    log = Log(end=3)
    unbroken = Unbroken(log)  # type: ignore[arg-type]
    assert _read(unbroken, log.fetched()) == [0, 1, 2]
    assert _read(unbroken, {PARTITION: _messages(0, 1)}) == [0, 1]
    unbroken.forget(PARTITION)
    assert _read(unbroken, {PARTITION: _messages(90, 91)}) == [90, 91]
    assert _read(unbroken, {OTHER: _messages(5), PARTITION: _messages(92)}) == [5, 92]
    assert _read(unbroken, {OTHER: _messages(7)}) == [7], "it went to another meanwhile"


def _messages(*offsets: int) -> list[Message]:
    return [Message(offset) for offset in offsets]


def _read(unbroken: Unbroken, fetched: dict[TopicPartition, Sequence[Any]]) -> list[int]:
    return [message.offset for message in unbroken.read(fetched)]
