"""The schema that a delivery shows: which dotted paths its records have, of which types and shapes, how often.

Inferred over every record, before the contract judges it. It holds no value of any record.
"""

import re
from collections import Counter
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

MOST_PATHS = 2000  # (path, type) pairs of a delivery; data keyed by identifiers would have no end
DEEPEST = 20
_SHAPED_FIRST, _SHAPED_EVERY = 256, 64  # shapes need a sample, not every record

_TYPES: dict[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    Decimal: "number",
    bool: "boolean",
    list: "array",
    dict: "object",
    datetime: "timestamp",
    date: "date",
    bytes: "bytes",
}
_SHAPES = (
    ("integer", re.compile(r"[+-]?\d+")),
    ("number", re.compile(r"[+-]?\d*[.,]\d+(e[+-]?\d+)?", re.IGNORECASE)),
    ("timestamp", re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")),
    ("date", re.compile(r"\d{4}[-/]\d\d?[-/]\d\d?|\d\d?[./]\d\d?[./]\d{4}")),
    ("uuid", re.compile(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", re.IGNORECASE)),
    ("email", re.compile(r"[^@\s]+@[^@\s]+\.\w+")),
    ("ip", re.compile(r"\d{1,3}(\.\d{1,3}){3}|[0-9a-f:]*:[0-9a-f:]+", re.IGNORECASE)),
    ("boolean", re.compile(r"true|false|yes|no", re.IGNORECASE)),
    ("code", re.compile(r"(?=\S*\d)\S{2,64}")),
    ("word", re.compile(r"\S+")),
    ("words", re.compile(r"\S+( \S+){1,2}")),
)


def flatten(content: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested objects as one flat mapping, dotted path → leaf. Nulls and NaN are left out; lists are leaves."""
    flat: dict[str, Any] = {}
    _flatten_into(flat, content, prefix, DEEPEST)
    return flat


def _flatten_into(flat: dict[str, Any], content: Mapping[str, Any], prefix: str, depth: int) -> None:
    for key, value in content.items():
        kind = value.__class__
        if kind is dict and value and depth:
            _flatten_into(flat, value, f"{prefix}{key}.", depth - 1)
        elif value is not None and not (kind is float and value != value):
            flat[f"{prefix}{key}"] = value


class SchemaSketch:
    """What the records of one delivery looked like, counted in bounded memory."""

    def __init__(self) -> None:
        self.rows = 0
        self.seen: dict[tuple[str, type], int] = {}
        self.shapes: dict[str, Counter[str]] = {}
        self.lengths: dict[str, list[int]] = {}  # path → [characters, values] of the sample
        self.left_out = 0

    def add(self, flat: Mapping[str, Any]) -> None:
        """Count one flattened record. A list counts as `array`, and its first element under `path[]`."""
        self.rows += 1
        self._count(flat)
        if self.rows <= _SHAPED_FIRST or self.rows % _SHAPED_EVERY == 0:
            self._add_shapes(flat)

    def document(self, delivery: str) -> dict[str, Any]:
        """JSON: `{delivery, rows, left_out, fields: {path: {types: {type: share}, present, shapes, length}}}`.

        `present` is the share of records that have the path, `types` shares of those, `length` mean characters.
        """
        types: dict[str, Counter[str]] = {}
        for (path, kind), count in self.seen.items():
            types.setdefault(path, Counter())[_type_name(kind)] += count
        fields = {path: self._field(path, counts) for path, counts in sorted(types.items())}
        return {"delivery": delivery, "rows": self.rows, "left_out": self.left_out, "fields": fields}

    def _count(self, flat: Mapping[str, Any]) -> None:
        seen = self.seen
        for path, value in flat.items():
            kind = value.__class__
            if (key := (path, kind)) in seen:
                seen[key] += 1
            elif len(seen) < MOST_PATHS:
                seen[key] = 1
            else:
                self.left_out += 1
            if kind is list and value:
                self._count(flatten({f"{path}[]": value[0]}))

    def _field(self, path: str, counts: Counter[str]) -> dict[str, Any]:
        characters, values = self.lengths.get(path, (0, 0))
        return {
            "types": _shares(counts),
            "present": round(counts.total() / self.rows, 4),
            "shapes": _shares(self.shapes.get(path, Counter())),
            "length": round(characters / values, 1) if values else None,
        }

    def _add_shapes(self, flat: Mapping[str, Any]) -> None:
        for path, value in flat.items():
            if (path, value.__class__) in self.seen:
                self.shapes.setdefault(path, Counter())[shape(value)] += 1
                if isinstance(value, str):
                    sums = self.lengths.setdefault(path, [0, 0])
                    sums[0] += len(value)
                    sums[1] += 1


def shape(value: Any) -> str:
    """What a value looks like, e.g. `email`, `timestamp`, `code`, `words`, `text`; other types by their name."""
    if not isinstance(value, str):
        return _type_name(type(value))
    text = value[:200].strip()
    return next((name for name, pattern in _SHAPES if pattern.fullmatch(text)), "text")


def _type_name(kind: type) -> str:
    return next((_TYPES[base] for base in kind.__mro__ if base in _TYPES), kind.__name__)


def schema_rows(schema: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The schema as table rows: delivery, path, types, present, looks like."""
    return [
        {
            "delivery": delivery["delivery"],
            "path": path,
            "types": ", ".join(field["types"]),
            "present": field["present"],
            "looks like": next(iter(field["shapes"]), ""),
        }
        for delivery in schema["deliveries"]
        for path, field in delivery["fields"].items()
    ]


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    commonest_first = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return {name: round(count / total, 4) for name, count in commonest_first}
