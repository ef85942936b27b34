"""What changed between two releases' schemas: columns added, missing, of another type, and perhaps renamed.

Works on the documents that governance/contracts/schema.py writes; no data is read here.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from typing import Any, Literal

Kind = Literal["added", "missing", "type changed", "renamed candidate"]
Fields = dict[str, dict[str, Any]]

NOISE = 0.02  # what fewer records than this share show is bad rows, not a change of schema
_RENAMED = 0.6
_CLEAR = 0.8  # share from which on one shape is the column's shape


@dataclass(frozen=True)
class Change:
    """One difference: the dotted path as it is now (as it was, where it is missing), and a sentence."""

    kind: Kind
    path: str
    detail: str


def drift(before: Mapping[str, Any] | None, after: Mapping[str, Any]) -> list[Change]:
    """The changes that the new deliveries of `after` bring; none where `before` is None or no delivery is new.

    Snapshots overlap, so only deliveries that `before` does not have are looked at. "Missing" is judged against the
    newest delivery of `before`, "added" against all of them.
    """
    if before is None or not before["deliveries"]:
        return []
    known = {delivery["delivery"] for delivery in before["deliveries"]}
    new = _merged(delivery for delivery in after["deliveries"] if delivery["delivery"] not in known)
    if not new:
        return []
    ever, last = _merged(before["deliveries"]), _merged(before["deliveries"][-1:])
    missing = {path: field for path, field in last.items() if path not in new}
    added = {path: field for path, field in new.items() if path not in ever}
    renamed = _renamed(missing, added)
    changes = [_renaming(was, path, score) for (was, path), score in renamed.items()]
    paired = {path for pair in renamed for path in pair}
    changes += [_missing(path, field) for path, field in missing.items() if path not in paired]
    changes += [_added(path, field) for path, field in added.items() if path not in paired]
    for path in sorted(set(new) & set(ever)):
        if detail := _type_change(last.get(path, ever[path]), new[path]):
            changes.append(Change("type changed", path, detail))
    return changes


def change_rows(changes: Iterable[Change]) -> list[dict[str, Any]]:
    """The drift report as table rows: kind, path, detail."""
    return [asdict(change) for change in changes]


def _merged(deliveries: Iterable[Mapping[str, Any]]) -> Fields:
    """The fields of several deliveries as one, shares weighted by records; paths that only noise has are left out."""
    several = [delivery for delivery in deliveries if delivery["rows"]]
    total = sum(delivery["rows"] for delivery in several)
    merged: Fields = {}
    for delivery in several:
        weight = delivery["rows"] / total
        for path, field in delivery["fields"].items():
            into = merged.setdefault(path, {"present": 0.0, "types": {}, "shapes": {}, "length": None})
            here = weight * field["present"]
            into["present"] += here
            into["length"] = field["length"] if into["length"] is None else into["length"]
            for part in ("types", "shapes"):
                for name, share in field[part].items():
                    into[part][name] = into[part].get(name, 0.0) + here * share
    for field in merged.values():
        for part in ("types", "shapes"):
            field[part] = {name: share / field["present"] for name, share in field[part].items()}
    return {path: field for path, field in merged.items() if field["present"] >= NOISE}


def _renamed(missing: Fields, added: Fields) -> dict[tuple[str, str], float]:
    """Each missing path with the added path that is most like it, one to one."""
    scores = {(was, path): _likeness(was, missing[was], path, added[path]) for was in missing for path in added}
    pairs: dict[tuple[str, str], float] = {}
    for (was, path), score in sorted(scores.items(), key=lambda item: (-item[1], item[0])):
        if score < _RENAMED:
            break
        if not any(was in pair or path in pair for pair in pairs):
            pairs[was, path] = score
    return pairs


def _likeness(was: str, old: dict[str, Any], path: str, new: dict[str, Any]) -> float:
    """0 to 1: a third for the name, two thirds for types, shapes, length and how often it is present."""
    lengths = sorted((old["length"] or 1.0, new["length"] or 1.0))
    return (
        0.3 * _name_likeness(was, path)
        + 0.2 * _overlap(old["types"], new["types"])
        + 0.35 * _overlap(old["shapes"], new["shapes"]) * lengths[0] / max(lengths[1], 1.0)
        + 0.15 * (1 - abs(old["present"] - new["present"]))
    )


def _name_likeness(one: str, other: str) -> float:
    """Of whole paths or of their last words, whichever is more; `customerId` is `customer_id`."""

    def plain(name: str) -> str:
        return re.sub(r"[^a-z0-9.]", "", name.lower())

    def ratio(a: str, b: str) -> float:
        return SequenceMatcher(None, a, b).ratio()

    a, b = plain(one), plain(other)
    return max(ratio(a, b), ratio(a.rpartition(".")[2], b.rpartition(".")[2]))


def _overlap(one: dict[str, float], other: dict[str, float]) -> float:
    return sum(min(share, other.get(name, 0.0)) for name, share in one.items())


def _type_change(old: dict[str, Any], new: dict[str, Any]) -> str | None:
    was, now = _clear(old["types"], NOISE), _clear(new["types"], NOISE)
    if set(was) != set(now):
        return f"{_listed(was)} became {_listed(now)}"
    was, now = _clear(old["shapes"], _CLEAR), _clear(new["shapes"], _CLEAR)
    if was and now and set(was) != set(now):
        return f"still {', '.join(new['types'])}, but what looked like {_listed(was)} looks like {_listed(now)}"
    return None


def _clear(shares: dict[str, float], least: float) -> dict[str, float]:
    return {name: share for name, share in shares.items() if share >= least}


def _listed(shares: dict[str, float]) -> str:
    return ", ".join(f"{name} ({share:.0%})" for name, share in shares.items())


def _renaming(was: str, path: str, score: float) -> Change:
    detail = f"{was!r} is gone and {path!r} looks like it (likeness {score:.2f}); if it is, add {path!r} to its aliases"
    return Change("renamed candidate", path, detail)


def _missing(path: str, field: dict[str, Any]) -> Change:
    return Change("missing", path, f"{field['present']:.0%} of the last delivery's records had it, none has it now")


def _added(path: str, field: dict[str, Any]) -> Change:
    return Change("added", path, f"new: {_listed(field['types'])}, in {field['present']:.0%} of the records")
