"""A rule: what one kind of identifier looks like, and what is found worth.

A rule must be linear in the text: a run of characters may start a match in one place only, and every other repetition
is bounded.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

Check = Callable[[str], float | None]


class Rule(NamedTuple):
    """`check` scores what was found, None refuses it; a group named `v` narrows the find to the identifier itself.

    Where `cues` are given a match holds one of them, in small letters: a text without any need not be searched.
    """

    entity: str
    score: float
    regex: re.Pattern[str]
    check: Check | None
    cues: tuple[str, ...] = ()


def rule(
    entity: str, score: float, *regex: str, check: Check | None = None, case: bool = False, cues: str = ""
) -> Rule:
    return Rule(entity, score, re.compile("".join(regex), 0 if case else re.IGNORECASE), check, tuple(cues.split()))
