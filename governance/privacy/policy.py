"""Which operator stands in the place of which entity: the choices, and what holds where nothing is declared.

The default leaves no text that could be taken for a person: a typed token, so that what a second pass still finds is
a leak and nothing else; and of dates, ages and addresses what a model may learn from and no one can be found by.
"""

from collections.abc import Mapping
from typing import Literal

from governance.privacy.labels import Entity

OperatorName = Literal["token", "surrogate", "shift", "generalize", "mask", "encrypt"]

_TIMES: dict[str, tuple[OperatorName, ...]] = {
    "DATE": ("generalize", "shift", "mask", "encrypt"),
    "BIRTHDATE": ("generalize", "shift", "mask", "encrypt"),
    "AGE": ("generalize", "mask", "encrypt"),
}
_ANY: tuple[OperatorName, ...] = ("token", "surrogate", "mask", "encrypt")
_GENERAL: tuple[OperatorName, ...] = ("token", "surrogate", "generalize", "mask", "encrypt")


def choices(entity: str) -> tuple[OperatorName, ...]:
    """The operators that an entity may have; the first is the default."""
    return _TIMES.get(entity, _GENERAL if entity == "ADDRESS" else _ANY)


def operator_of(entity: str, chosen: Mapping[Entity, OperatorName]) -> OperatorName:
    """What is done with an entity. One that a detector knows and this list does not becomes a token."""
    return next((operator for named, operator in chosen.items() if named == entity), choices(entity)[0])


def plausible(chosen: Mapping[Entity, OperatorName]) -> bool:
    """Whether scrubbed text may hold what looks like an identifier and is none."""
    return bool({"surrogate", "shift"} & set(chosen.values()))


def unfit(chosen: Mapping[Entity, OperatorName]) -> str | None:
    """What is wrong with a choice, as a sentence; None if nothing."""
    for entity, operator in chosen.items():
        if operator not in choices(entity):
            return f"{entity}: {operator} cannot stand for it; choose from {', '.join(choices(entity))}"
    return None
