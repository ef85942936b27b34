"""Identifiers that a row declares about itself, found in its own text however they are written there.

Exact search, no model: text and identifier are compared in the compact form of writing.py. Names are also found in
part, in the plural and possessive, and as initials.
"""

import datetime
import ipaddress
import re
import unicodedata
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from governance.privacy.names import ORDINARY, TITLES, name_parts
from governance.privacy.spans import Span
from governance.privacy.writing import compact, compact_with_offsets, in_word, spaced, spelled_out, windows, word_end

FEWEST = 4  # letters and digits; a shorter number names no one by itself
FEWEST_OF_NAME = 2  # a name of two Latin letters counts only where it is written as one: `Ng`, not `ng`
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)


@dataclass(frozen=True, slots=True)
class Known:
    """One identifier of a row: what it is, its value in full, the compact forms it may be written in, its initials."""

    entity: str
    value: str
    forms: tuple[str, ...]
    initials: re.Pattern[str] | None = None


@lru_cache(maxsize=4096)
def known_identifier(column: str, value: Hashable) -> Known | None:
    """What the value of an identifier column is and how it may be written; None for an empty or very short one."""
    if isinstance(value, datetime.date):
        return Known("BIRTHDATE", value.isoformat()[:10], _date_forms(value))
    text = str(value).strip() if value is not None else ""
    if not _names_alone(whole := compact(text)):
        return None
    entity = _entity(column, text)
    if entity == "BIRTHDATE":
        return Known(entity, text, (whole, *_date_forms(datetime.date.fromisoformat(text))))
    if entity == "PERSON":
        return Known(entity, text, _longest_first([whole, *name_words(text)]), _initials(text))
    forms = [whole]
    if entity == "EMAIL":
        forms.append(compact(text.partition("@")[0]))
    elif entity != "IP":
        digits = "".join(c for c in whole if c.isdecimal())
        forms += [digits, digits[-10:]]  # `MRN-0012345` is also written 0012345, and a phone without its country
    return Known(entity, text, _longest_first(f for f in forms if len(f) >= FEWEST))


def name_words(name: str) -> list[str]:
    """The words of a name that stand for it alone, compact: of `Ana O'Neil-Ruiz` ana, oneil, neil, ruiz, oneilruiz."""
    words = []
    for writing in dict.fromkeys((name, spelled_out(name))):
        for part in re.split(r"[\s,]+", writing):
            pieces = re.split(r"['’`]", part)
            words += [part, "".join(pieces), *re.split(r"[\W_]+", part), *re.split(r"[\W_]+", "".join(pieces))]
    return [word for word in dict.fromkeys(map(compact, words)) if _names_alone(word)]


def known_spans(text: str, known: Iterable[Known]) -> list[Span]:
    """Every place in `text` where one of the identifiers is written. Spans may overlap."""
    searched = list(known)
    return [
        Span(at + start, at + end, one.entity, 1.0, "known", one.value)
        for at, piece in windows(text)
        for start, end, one in _in_piece(piece, searched)
    ]


def _in_piece(text: str, known: list[Known]) -> Iterator[tuple[int, int, Known]]:
    letters, offsets = compact_with_offsets(text)
    for one in known:
        for form in one.forms:
            yield from ((start, end, one) for start, end in _places(text, letters, offsets, form, one.entity))
        if one.initials:
            yield from ((*match.span(), one) for match in one.initials.finditer(text))


def _places(text: str, letters: str, offsets: list[int], form: str, entity: str) -> Iterator[tuple[int, int]]:
    at = letters.find(form)
    while at >= 0:
        start, end = offsets[at], offsets[at + len(form) - 1] + 1
        while end < len(text) and unicodedata.combining(text[end]):
            end += 1  # an accent written after its letter
        whole = word_end(text, end) if entity == "PERSON" else None if in_word(text, end) else end
        if whole and not in_word(text, start - 1) and (entity != "PERSON" or _as_name(form, text[start:end])):
            yield start, whole
        at = letters.find(form, at + 1)


def _as_name(form: str, written: str) -> bool:
    """Whether a name that is also a word, or of two letters, is written as a name."""
    if len(form) == 2 and spaced(form[0]):
        return written.istitle() and form not in ORDINARY
    return form not in ORDINARY or not written.islower()


def _names_alone(word: str) -> bool:
    return len(word) >= FEWEST_OF_NAME and word not in TITLES


def _initials(name: str) -> re.Pattern[str] | None:
    """`A.R.` and `A. R.` of Ana Ruiz; without their points, initials are words like `as`."""
    letters = [re.escape(part[0].upper()) for part in name_parts(name)]
    return re.compile(r"(?<!\w)" + r"\.[\s-]?".join(letters) + r"\.(?!\w)") if len(letters) > 1 else None


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
