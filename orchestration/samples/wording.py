"""How the examples are worded: sayings with gaps, and asides that say what another class would say, but take it back.

The asides are what no single word gives away: a head on frozen embeddings is misled by them, an adapter learns to read
past them.
"""

import random
import string
from collections.abc import Mapping, Sequence

Sayings = tuple[str, ...]
"""The ways to say one thing; a gap is written `{so}`."""


def pick(rng: random.Random, sayings: Sequence[str], gaps: Mapping[str, Sequence[str]]) -> str:
    """One of the sayings, each of its gaps filled by one of that gap's words."""
    saying = rng.choice(sayings)
    names = [name for _, name, _, _ in string.Formatter().parse(saying) if name]
    return saying.format(**{name: rng.choice(gaps[name]) for name in names})


def say(
    rng: random.Random,
    classes: Mapping[str, Sayings],
    meant: str,
    gaps: Mapping[str, Sequence[str]],
    asides: tuple[Sayings, float],
    joint: str,
) -> str:
    """What the class `meant` says; in a share of cases with an aside, before or after it, from another class.

    `asides` are the forms of one, with the gap `{said}`, and the share.
    """
    saying = pick(rng, classes[meant], gaps)
    forms, share = asides
    if rng.random() >= share:
        return saying
    other = rng.choice([name for name in classes if name != meant])
    aside = pick(rng, forms, {"said": [pick(rng, classes[other], gaps)]})
    return f"{aside}{joint}{saying}" if rng.random() < 0.5 else f"{saying}{joint}{aside}"
