"""Which offsets may be committed: in each partition everything up to the first message that is not done."""

from aiokafka import TopicPartition


class Offsets:
    """Messages are done in any order; a commit never passes one that is not."""

    def __init__(self) -> None:
        self._open: dict[TopicPartition, set[int]] = {}
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}

    def begin(self, partition: TopicPartition, offset: int) -> None:
        self._open.setdefault(partition, set()).add(offset)
        self._next[partition] = offset + 1

    def done(self, partition: TopicPartition, offset: int) -> None:
        self._open.get(partition, set()).discard(offset)

    def open(self, partition: TopicPartition) -> int:
        """How many messages of the partition are not done."""
        return len(self._open.get(partition, ()))

    def to_commit(self) -> dict[TopicPartition, int]:
        """Partition → the offset to go on from, where it moved since `committed`."""
        ready = {part: min(self._open[part], default=following) for part, following in self._next.items()}
        return {part: offset for part, offset in ready.items() if offset != self._committed.get(part)}

    def committed(self, offsets: dict[TopicPartition, int]) -> None:
        self._committed |= {part: offset for part, offset in offsets.items() if part in self._next}

    def forget(self, partition: TopicPartition) -> None:
        """The partition is another worker's now."""
        for kept in (self._open, self._next, self._committed):
            kept.pop(partition, None)
