"""How a delivered value becomes a value of its column's type.

Each function takes any value and gives the value, None where it is blank, or raises ValueError with the reason.
Guessing is refused: a form that could mean two things is a fault.
"""

import contextlib
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

_EXACT = 2**53
# Slashes are read month first and dots day first, never by what happens to fit one row: half of a file would be wrong.
_DATE_FORMS = ("%m/%d/%Y", "%d.%m.%Y", "%Y/%m/%d", "%d %b %Y", "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y")
_TIME_FORMS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_EPOCH_UNITS = ((1e11, 1.0), (1e14, 1e3), (1e17, 1e6), (1e20, 1e9))


def as_string(value: Any) -> str | None:
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _float_as_string(value)
    if isinstance(value, datetime | date):
        return value.isoformat()
    if value is None or isinstance(value, Decimal):
        return None if value is None else str(value)
    raise ValueError(f"{_name(value)} cannot be text")


def as_number(value: Any) -> Any:
    """For integers and numbers: what Pydantic then reads in its lax mode, without true and false."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool) or not (value is None or isinstance(value, int | float | Decimal)):
        raise ValueError(f"{_name(value)} is not a number")
    return None if value != value else value


def as_boolean(value: Any) -> Any:
    """What Pydantic reads: true/false, yes/no, on/off, 1/0, t/f, y/n in any case."""
    return value.strip() or None if isinstance(value, str) else value


def as_timestamp(value: Any) -> datetime | None:
    """ISO 8601, epoch seconds to nanoseconds, and the usual written forms; without a zone it is UTC."""
    moment = _moment(value)
    if moment is None:
        return None
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as outside:
        raise ValueError("outside the years 1 to 9999") from outside


def as_date(value: Any) -> date | None:
    """The forms of a timestamp; the day is the one that is written, without turning zones."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    moment = _moment(value)
    return None if moment is None else moment.date()


def _moment(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value.to_pydatetime(warn=False) if hasattr(value, "to_pydatetime") else value  # a pandas one has more
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day)
    if isinstance(value, str):
        text = value.strip()
        return _written_moment(text) if text else None
    if value is None or value != value:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{_name(value)} is not a time")
    if isinstance(value, int) and 19000101 <= value <= 21001231:
        return _written_moment(str(value))
    return _epoch(value)


def _written_moment(text: str) -> datetime:
    # All digits first: fromisoformat reads an epoch in milliseconds as a moment in the year 1712.
    if text.lstrip("-").replace(".", "", 1).isdigit() and text.isascii():
        if len(text) == 8 and text.isdigit():
            return datetime.strptime(text, "%Y%m%d")
        return _epoch(float(text))
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(text)
    for day, time in product(_DATE_FORMS, _TIME_FORMS):
        if day[2] in text:  # its separator; strptime is slow, and this is asked for every row
            with contextlib.suppress(ValueError):
                return datetime.strptime(text, day + time)
    raise ValueError("not a time in a form that is read (ISO 8601, epoch, 12/31/2026, 31.12.2026, 31 Dec 2026)")


def _epoch(number: float) -> datetime:
    for limit, unit in _EPOCH_UNITS:
        if abs(number) < limit:
            return datetime.fromtimestamp(number / unit, UTC)
    raise ValueError("too large to be a time since 1970")


def _float_as_string(value: float) -> str | None:
    if value != value:
        return None
    if abs(value) >= _EXACT:
        raise ValueError("the number has lost digits on its way; deliver it as text")
    # An integer column with gaps arrives as floats from many tools; 123.0 and 123 are one identifier.
    return str(int(value)) if value.is_integer() else repr(value)


def _name(value: Any) -> str:
    return {"dict": "an object", "list": "a list", "bool": "true or false", "bytes": "binary data"}.get(
        type(value).__name__, f"a {type(value).__name__}"
    )
