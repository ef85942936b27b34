"""Identifiers that a row declares about itself, found in its own text however they are written there.

Exact search, no model: the text and the identifier are compared as letters and digits only, without case, accents,
separators or invisible characters, and every hit is mapped back to the text's own offsets.
"""

import datetime
import ipaddress
import re
import unicodedata
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import lru_cache

from governance.privacy.names import ORDINARY, TITLES, fold
from governance.privacy.spans import Span

FEWEST = 4  # letters and digits; a shorter number names no one by itself
FEWEST_OF_NAME = 3  # 2 where a name is written in characters
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """One identifier of a row: what it is, its value in full, and the compact forms it may be written in."""

    entity: str
    value: str
    forms: tuple[str, ...]


@lru_cache(maxsize=4096)
def known_identifier(column: str, value: Hashable) -> Known | None:
    """What the value of an identifier column is and how it may be written; None for an empty or very short one."""
    if isinstance(value, datetime.date):
        return Known("BIRTHDATE", value.isoformat()[:10], _date_forms(value))
    text = str(value).strip() if value is not None else ""
    if not _names_alone(compact := _compact(text)):
        return None
    entity = _entity(column, text)
    if entity == "BIRTHDATE":
        return Known(entity, text, (compact, *_date_forms(datetime.date.fromisoformat(text))))
    if entity == "PERSON":
        parts = [part for part in re.split(r"[\W_]+", fold(text)) if _names_alone(part)]
        return Known(entity, text, _longest_first([compact, *parts]))
    forms = [compact]
    if entity == "EMAIL":
        forms.append(_compact(text.partition("@")[0]))
    elif entity != "IP":
        forms.append("".join(c for c in compact if c.isdecimal()))  # `MRN-0012345` is also written 0012345
    return Known(entity, text, _longest_first(f for f in forms if len(f) >= FEWEST))


def known_spans(text: str, known: Iterable[Known]) -> list[Span]:
    """Every place in `text` where one of the identifiers is written. Spans may overlap."""
    compact, offsets = _compact_with_offsets(text)
    return [
        Span(start, end, one.entity, 1.0, "known", one.value)
        for one in known
        for form in one.forms
        for start, end in _places(text, compact, offsets, form)
        if one.entity != "PERSON" or form not in ORDINARY or not text[start:end].islower()
    ]


def _places(text: str, compact: str, offsets: list[int], form: str) -> Iterable[tuple[int, int]]:
    at = compact.find(form)
    while at >= 0:
        start, end = offsets[at], offsets[at + len(form) - 1] + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1  # an accent written after its letter
        if not _in_word(text, start - 1) and not _in_word(text, end):
            yield start, end
        at = compact.find(form, at + 1)


def _names_alone(part: str) -> bool:
    return part not in TITLES and (len(part) >= FEWEST_OF_NAME or (len(part) == 2 and not _spaced(part[0])))


def _in_word(text: str, at: int) -> bool:
    return 0 <= at < len(text) and text[at].isalnum() and _spaced(text[at])


def _spaced(character: str) -> bool:
    """Whether words of this script end at a space; in Chinese or Japanese a name stands between other characters."""
    return character.isascii() or character.lower() != character.upper()


def _compact(text: str) -> str:
    return "".join(c for c in fold(text) if c.isalnum())


def _compact_with_offsets(text: str) -> tuple[str, list[int]]:
    if text.isascii():
        lower = text.lower()
        offsets = [i for i, c in enumerate(lower) if c.isalnum()]
        return "".join([lower[i] for i in offsets]), offsets
    pairs = [(folded, i) for i, c in enumerate(text) for folded in _compact(unicodedata.normalize("NFKC", c))]
    return "".join(c for c, _ in pairs), [i for _, i in pairs]


def _entity(column: str, text: str) -> str:
    if "@" in text:
        return "EMAIL"
    if not any(c.isdecimal() for c in text):
        return "PERSON"
    try:
        ipaddress.ip_address(text)
        return "IP"
    except ValueError:
        pass
    try:
        datetime.date.fromisoformat(text)
        return "BIRTHDATE" if "-" in text else "ID"
    except ValueError:
        return "MRN" if "mrn" in column.lower() or "medical" in column.lower() else "ID"


def _date_forms(date: datetime.date) -> tuple[str, ...]:
    """Compact forms of a date: three orders, two- or four-digit year, in figures and with the month's name."""
    day, month, year = date.day, date.month, date.year
    forms = set()
    for y in (f"{year:04}", f"{year % 100:02}"):
        for d, m in (
            (f"{day:02}", f"{month:02}"),
            (f"{day}", f"{month}"),
            (f"{day:02}", f"{month}"),
            (f"{day}", f"{month:02}"),
        ):
            forms |= {d + m + y, m + d + y, y + m + d}
        ordinal = {1: "st", 2: "nd", 3: "rd"}.get(day % 10 if day not in (11, 12, 13) else 0, "th")
        name = _MONTHS[month - 1]
        for word in {name, name[:3], name[:4] if month == 9 else name}:
            for d in (f"{day}", f"{day:02}", f"{day}{ordinal}"):
                forms |= {d + word + y, d + "of" + word + y, word + d + y, y + word + d}
    return _longest_first(form for form in forms if len(form) >= 5)


def _longest_first(forms: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(dict.fromkeys(forms), key=lambda form: (-len(form), form)))
