"""A commit never passes a message that is not done."""

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st

from serving.worker.offsets import Offsets

P, Q = TopicPartition("t", 0), TopicPartition("t", 1)


@given(st.permutations(range(8)), st.integers(0, 8))
def test_whatever_the_order_everything_below_the_commit_is_done(order: list[int], done: int) -> None:
    offsets = Offsets()
    for offset in range(8):
        offsets.begin(P, offset)
    for offset in order[:done]:
        offsets.done(P, offset)
    committed = offsets.to_commit()[P]
    assert set(range(committed)) <= set(order[:done])
    assert committed == 8 or committed not in order[:done]


def test_only_what_moved_is_committed_again() -> None:
    offsets = Offsets()
    offsets.begin(P, 5)
    offsets.begin(Q, 7)
    offsets.done(P, 5)
    assert offsets.to_commit() == {P: 6, Q: 7}
    offsets.committed(offsets.to_commit())
    assert offsets.to_commit() == {}
    offsets.done(Q, 7)
    assert offsets.to_commit() == {Q: 8}


def test_a_partition_that_went_away_is_not_committed() -> None:
    offsets = Offsets()
    offsets.begin(P, 5)
    offsets.forget(P)
    offsets.done(P, 5)
    offsets.committed({P: 6})
    assert offsets.to_commit() == {}
    assert offsets.open(P) == 0


def test_a_log_that_began_anew_is_followed_down() -> None:
    offsets = Offsets()
    offsets.begin(P, 900)
    offsets.done(P, 900)
    offsets.committed(offsets.to_commit())
    offsets.begin(P, 0)
    assert offsets.to_commit() == {P: 0}
