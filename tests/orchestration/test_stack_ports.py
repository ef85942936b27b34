"""Which ports local servers are given."""

import random
import socket

from orchestration.stack.ports import HOST, choose

NAMES = dict.fromkeys("abcdefgh")


def test_a_seed_does_not_decide_which_ports_are_drawn() -> None:
    drawn = []
    for _ in range(2):
        random.seed(7)
        drawn.append(choose(NAMES))
    assert drawn[0] != drawn[1]


def test_none_is_given_twice_and_none_that_somebody_has() -> None:
    with socket.socket() as mine:
        mine.bind((HOST, 0))
        mine.listen()
        wished = mine.getsockname()[1]
        chosen = choose({"first": wished, "second": None, "third": None})
    assert wished not in chosen.values() and len(set(chosen.values())) == 3
