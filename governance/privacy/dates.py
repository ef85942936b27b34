"""Dates in a text: moved by a number of days in the form they were written in, or told in general."""

import datetime
import re
from collections.abc import Callable, Iterator

from governance.privacy.writing import plain

OLDEST_DECADE = 1940  # births before it are one group, as ages over 89 are
_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_YEAR = re.compile(r"(?<!\d)(1[89]|20)\d\d(?!\d)")
_FIGURES = re.compile(r"(?<!\d)(\d{1,4})([./\-\u2010-\u2015\u2212])(\d{1,2})\2(\d{4}|\d{2})(?!\d)")
_DAY_MONTH = re.compile(
    r"(?<!\d)(\d{1,2})(st|nd|rd|th)?([\s\-]+(?:of\s+)?)([^\W\d_]{3,9})(\.?,?[\s\-]+)(\d{4})(?!\d)", re.I
)
_MONTH_DAY = re.compile(r"(?<!\w)([^\W\d_]{3,9})(\.?\s+)(\d{1,2})(st|nd|rd|th)?(,?\s+)(\d{4})(?!\d)", re.I)

_TIME = re.compile(
    r"(?:(?:T|,?\s(?:at\s)?)\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?(?:\s?[ap]\.?m\.?)?(?:Z|[+-]\d{2}:?\d{2})?)?", re.I
)


def general_date(entity: str, text: str) -> str:
    """A date keeps its year, a date of birth its decade."""
    year = _YEAR.search(text)
    if not year:
        return f"[{entity}]"
    if entity == "DATE":
        return f"[DATE {year[0]}]"
    return f"[BIRTHDATE {year[0][:3]}0s]" if int(year[0]) >= OLDEST_DECADE else f"[BIRTHDATE <{OLDEST_DECADE}]"


def moved_date(text: str, days: int, day_first: bool) -> str | None:
    """`text` with its date `days` later, everything else as it was; None where it is not one whole date.

    `day_first` decides what 03/04/2025 means; where only one reading is a date, that one holds.
    """
    for pattern, write in ((_FIGURES, _figures), (_DAY_MONTH, _day_month), (_MONTH_DAY, _month_day)):
        if (match := pattern.match(text)) and _TIME.fullmatch(text, match.end()):
            moved = write(match, datetime.timedelta(days), day_first)
            return None if moved is None else moved + text[match.end() :]
    return None


Mover = Callable[[re.Match[str], datetime.timedelta, bool], str | None]


def _figures(match: re.Match[str], days: datetime.timedelta, day_first: bool) -> str | None:
    parts = [match[1], match[3], match[4]]
    for order in _orders(parts, day_first):
        values = dict(zip(order, map(int, parts), strict=True))
        values["y"] += 0 if len(parts[order.index("y")]) == 4 else _century(values["y"])
        if (date := _date(values["y"], values["m"], values["d"], days)) is None:
            continue
        figures = {"y": date.year, "m": date.month, "d": date.day}
        return match[2].join(
            f"{figures[o] % 10 ** max(len(p), 2):0{len(p)}}" for o, p in zip(order, parts, strict=True)
        )
    return None


def _orders(parts: list[str], day_first: bool) -> Iterator[str]:
    if len(parts[0]) == 4:
        yield "ymd"
    elif len(parts[0]) <= 2:
        yield from ("dmy", "mdy") if day_first else ("mdy", "dmy")


def _century(year: int) -> int:
    return 2000 if year < 50 else 1900


def _day_month(match: re.Match[str], days: datetime.timedelta, day_first: bool) -> str | None:
    month, day, year = _month(match[4]), int(match[1]), int(match[6])
    if month is None or (date := _date(year, month, day, days)) is None:
        return None
    return f"{_day(date, match[1], match[2])}{match[3]}{_named(date, match[4])}{match[5]}{date.year:04}"


def _month_day(match: re.Match[str], days: datetime.timedelta, day_first: bool) -> str | None:
    month, day, year = _month(match[1]), int(match[3]), int(match[6])
    if month is None or (date := _date(year, month, day, days)) is None:
        return None
    return f"{_named(date, match[1])}{match[2]}{_day(date, match[3], match[4])}{match[5]}{date.year:04}"


def _date(year: int, month: int, day: int, days: datetime.timedelta) -> datetime.date | None:
    try:
        return datetime.date(year, month, day) + days
    except (ValueError, OverflowError):
        return None


def _month(word: str) -> int | None:
    lower = plain(word)
    return next((i for i, name in enumerate(_MONTHS, 1) if name.startswith(lower)), 9 if lower == "sept" else None)


def _named(date: datetime.date, written: str) -> str:
    """The month's name as short and in the case in which the other one was written."""
    name = _MONTHS[date.month - 1]
    name = name if len(written) > 4 or plain(written) in _MONTHS else name[:3]
    return name.upper() if written.isupper() else name if written.islower() else name.title()


def _day(date: datetime.date, written: str, ordinal: str | None) -> str:
    figures = f"{date.day:0{len(written)}}" if written.startswith("0") else f"{date.day}"
    if not ordinal:
        return figures
    suffix = {1: "st", 2: "nd", 3: "rd"}.get(date.day % 10 if date.day not in (11, 12, 13) else 0, "th")
    return figures + (suffix.upper() if ordinal.isupper() else suffix)
