"""What stands in a template's slots: `fill(slot)` gives a text and what it identifies, None for nobody."""

import random
import re
import string
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from assets.detection.examples.pools import LOCALES, Pool, english, invented, pool, words

# Sections of words.txt that are identifiers.
LABELLED = {"country": "LOCATION", "state": "LOCATION", "bigcity": "LOCATION", "landmark": "LOCATION"} | {
    "nationality": "NRP",
    "brandorg": "ORGANIZATION",
}
ONE_COUNTRY = 0.7  # how often a name comes from the document's own country
CLOCK = ("{h:02}:{m:02}", "{h:02}:{m:02}", "{h} a.m.", "{h}pm", "{h:02}{m:02} hrs", "{h:02}:{m:02}:{s:02}")

_SLOT = re.compile(r"\{([a-z]+)(?:\.([a-z]+))?\}")
_SIGN = re.compile(r"\\(.)|[#^?~`]")
_SIGNS = {
    "#": string.digits,
    "^": string.digits[1:],
    "?": string.ascii_uppercase,
    "~": string.ascii_uppercase + string.digits,
    "`": [""],
}


class Form(NamedTuple):
    """A slot of grammar.txt: its label, the forms it may have and their weights."""

    label: str | None
    forms: list[str]
    weights: list[int]


@cache
def grammar() -> dict[str, Form]:
    lines = (Path(__file__).parent / "grammar.txt").read_text(encoding="utf-8").splitlines()
    return dict(_form(line) for line in lines if line and not line.startswith("# "))


def _form(line: str) -> tuple[str, Form]:
    head, forms = line.split(": ", 1)
    slot, *label = head.split()
    weighed = [re.fullmatch(r"(?:(\d+)\* )?(.*)", form) for form in forms.replace("\\n", "\n").split(" | ")]
    found = [match for match in weighed if match]
    return slot, Form(label[0] if label else None, [m[2] for m in found], [int(m[1] or 1) for m in found])


@dataclass
class Filler:
    """Draws from one country for most of a document, as real ones do."""

    rng: random.Random
    locale: str = field(init=False)

    def __post_init__(self) -> None:
        self.locale = self._any_locale()

    def fill(self, slot: str) -> tuple[str, str | None]:
        """The text of `{slot}` and its label. Raises KeyError for a slot that nobody declared."""
        if slot in grammar():
            return self._written(slot), grammar()[slot].label
        if slot in _DRAWN:
            label, draw = _DRAWN[slot]
            return draw(self), label
        return self.rng.choice(words()[slot]), LABELLED.get(slot)

    def pool(self) -> Pool:
        return pool(self.locale if self.rng.random() < ONE_COUNTRY else self._any_locale())

    def _written(self, slot: str) -> str:
        form = grammar()[slot]
        (chosen,) = self.rng.choices(form.forms, form.weights)
        text = _SIGN.sub(lambda m: m[1] or self.rng.choice(_SIGNS[m[0]]), chosen)
        return _SLOT.sub(lambda m: _CHANGES[m[2] or ""](self.fill(m[1])[0], self.rng), text)

    def _any_locale(self) -> str:
        return self.rng.choices(list(LOCALES), list(LOCALES.values()))[0]


def _plain(text: str) -> str:
    """Small unaccented letters and figures only."""
    return "".join(c for c in unicodedata.normalize("NFD", text) if c.isascii() and c.isalnum()).lower() or "x"


_CHANGES: dict[str, Callable[[str, random.Random], str]] = {
    "": lambda text, _: text,
    "lower": lambda text, _: text.lower(),
    "upper": lambda text, _: text.upper(),
    "plain": lambda text, _: _plain(text),
    "spaced": lambda text, rng: rng.choice([" ", "-", ".", "\u200b", "  "]).join(text),
}


def _date(oldest: int, newest: int) -> Callable[[Filler], str]:
    return lambda f: _day(f.rng, f.rng.randint(oldest, newest))


def _day(rng: random.Random, year: int) -> str:
    """A day of the year in one of the ways that people write it."""
    month, day = rng.randint(1, 12), rng.randint(1, 28)
    name = words()["month"][month - 1]
    nth = f"{day}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(day if day < 20 else day % 10, 'th') }"
    forms = [f"{year}-{month:02}-{day:02}", f"{month:02}/{day:02}/{year}", f"{month}/{day}/{year}"]
    forms += [f"{day}/{month}/{year % 100:02}", f"{day:02}.{month:02}.{year}", f"{year}/{month:02}/{day:02}"]
    forms += [f"{day} {name} {year}", f"{name} {day}, {year}", f"{name[:3]} {day}, {year}", f"{day} {name[:3]} {year}"]
    forms += [f"{day:02}-{name[:3]}-{year}", f"{nth} {name} {year}", f"{name} {nth}", f"{nth} of {name}, {year}"]
    forms += [
        f"{month}/{day}",
        f"{name[:3]}. {day}",
        f"{day:02}{name[:3].upper()}{year}",
        f"{month:02}-{day:02}-{year}",
    ]
    return rng.choice(forms)


def _time(f: Filler) -> str:
    return f.rng.choice(CLOCK).format(h=f.rng.randint(1, 23), m=f.rng.randint(0, 59), s=f.rng.randint(0, 59))


def _stamp(f: Filler) -> str:
    """A moment as machines write it."""
    rng = f.rng
    day = f"{rng.randint(2015, 2026)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    clock = f"{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}"
    return day + rng.choice("T ") + clock + rng.choice(["", f".{rng.randint(0, 999):03}Z", "Z", ",123", "+00:00"])


def _ip(f: Filler) -> str:
    if f.rng.random() < 0.15:
        return "2001:db8:" + ":".join(f"{f.rng.getrandbits(16):x}" for _ in range(6))
    return ".".join(str(f.rng.randint(1, 254)) for _ in range(4))


def _count(f: Filler) -> str:
    return str(f.rng.randint(1, f.rng.choice([9, 12, 100, 1000, 9999])))


# Slots that are drawn and not written by a form: label, and how.
_DRAWN: dict[str, tuple[str | None, Callable[[Filler], str]]] = {
    "given": ("PERSON", lambda f: f.rng.choice(f.pool().first)),
    "family": ("PERSON", lambda f: f.rng.choice(f.pool().last)),
    "invented": (None, lambda f: invented(f.rng)),
    "initial": (None, lambda f: f.rng.choice(string.ascii_uppercase)),
    "town": ("LOCATION", lambda f: f.rng.choice(f.pool().city)),
    "road": ("ADDRESS", lambda f: f.rng.choice(f.pool().street)),
    "postcode": ("ADDRESS", lambda f: f.rng.choice(f.pool().postcode)),
    "localphone": ("PHONE", lambda f: f.rng.choice(f.pool().phone)),
    "company": ("ORGANIZATION", lambda f: f.rng.choice(f.pool().company)),
    "date": ("DATE", _date(1995, 2026)),
    "dob": ("BIRTHDATE", _date(1925, 2020)),
    "year": ("DATE", lambda f: str(f.rng.randint(1900, 2027))),
    "iso": ("DATE", _stamp),
    "ip": ("IP", _ip),
    "mac": ("DEVICE", lambda f: f.rng.choice(":-").join(f"{f.rng.getrandbits(8):02x}" for _ in range(6))),
    "time": (None, _time),
    "num": (None, _count),
    "job": (None, lambda f: f.rng.choice(f.rng.choice([english()["job"], words()["job"]]))),
    "word": (None, lambda f: f.rng.choice(english()["word"])),
    "wordtitle": (None, lambda f: f.rng.choice(english()["word"]).capitalize()),
    "catch": (None, lambda f: f.rng.choice(english()["catch"])),
    "bs": (None, lambda f: f.rng.choice(english()["bs"])),
    "PIPE": (None, lambda f: "|"),
}
