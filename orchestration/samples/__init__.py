"""Example deliveries of the tenants in pedigree.yaml: seeded, invented, never checked in.

One file a tenant says what its records look like; this one says which deliveries there are.
"""

import csv
import io
import json
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestration.samples.events import drifted, events, shuffled
from orchestration.samples.notes import notes
from orchestration.samples.people import Person, people
from orchestration.samples.tickets import tickets

RECORDS_A_PERSON = 2.5
BROKEN_SHARE = 0.01

Render = Callable[[random.Random, list[Person], int], Iterable[str]]


class SamplesRefused(ValueError):
    """The examples cannot be written there; the message names the folder."""


@dataclass(frozen=True)
class Sample:
    """One example delivery: hand `folder` to `pedigree deliver TENANT DATASET`. `shows`: what it is there for."""

    tenant: str
    dataset: str
    delivery: str
    folder: Path
    shows: str


def generate(folder: Path, rows: int = 3500, seed: int = 7) -> list[Sample]:
    """Write every example delivery under `folder`, `rows` records each; the same seed gives the same bytes.

    They lie in `folder/TENANT/DATASET/DELIVERY/`. Raises SamplesRefused when there is something in the folder.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise SamplesRefused(f"{folder} is not an empty folder; name another one for the examples")
    return [_write(folder, *plan, rows=rows, seed=seed) for plan in PLANS]


def _write(
    folder: Path,
    tenant: str,
    dataset: str,
    delivery: str,
    files: Sequence[str],
    render: Render,
    shows: str,
    *,
    rows: int,
    seed: int,
) -> Sample:
    into = folder / tenant / dataset / delivery
    into.mkdir(parents=True)
    source = f"{seed}/{tenant}/{delivery}"
    persons = people(source, ORDINALS[delivery], max(4, int(rows / RECORDS_A_PERSON)))
    lines = list(render(random.Random(f"{source}/rows"), persons, rows))
    header, lines = (lines[:1], lines[1:]) if render is _as_csv else ([], lines)
    share = -(-len(lines) // len(files))
    for number, name in enumerate(files):
        text = "".join(f"{line}\n" for line in [*header, *lines[number * share : (number + 1) * share]])
        (into / name).write_text(text, encoding="utf-8", newline="")
    return Sample(tenant, dataset, delivery, into, shows)


def _as_jsonl(records: Iterable[dict[str, Any]]) -> Iterator[str]:
    return (json.dumps(record, ensure_ascii=False) for record in records)


def _tickets(rng: random.Random, persons: list[Person], rows: int) -> Iterator[str]:
    return _as_jsonl(tickets(rng, persons, rows))


def _events(rng: random.Random, persons: list[Person], rows: int) -> Iterator[str]:
    return _as_jsonl(events(rng, persons, rows))


def _drifted(rng: random.Random, persons: list[Person], rows: int) -> Iterator[str]:
    return drifted(rng, events(rng, persons, rows), BROKEN_SHARE)


def _shuffled(rng: random.Random, persons: list[Person], rows: int) -> Iterator[str]:
    return drifted(rng, shuffled(rng, events(rng, persons, rows)), 0)


def _as_csv(rng: random.Random, persons: list[Person], rows: int) -> Iterator[str]:
    """A header, then one text per record; a record with a line break in its note has it quoted."""
    for position, record in enumerate(notes(rng, persons, rows)):
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, list(record), lineterminator="")
        if position == 0:
            yield ",".join(record)
        writer.writerow(record)
        yield buffer.getvalue()


ORDINALS = {"first": 1, "second": 2, "third": 3}
PLANS: list[tuple[str, str, str, Sequence[str], Render, str]] = [
    ("northbank", "tickets", "first", ("tickets-1.jsonl", "tickets-2.jsonl"), _tickets, "a bank's support intents"),
    ("stclare", "notes", "first", ("notes.csv",), _as_csv, "notes with people in the text"),
    ("loomworks", "events", "first", ("events.jsonl",), _events, "nested events"),
    (
        "loomworks",
        "events",
        "second",
        ("events-1.jsonl", "events-2.jsonl"),
        _drifted,
        "a renamed column, another type, new nested fields, 1 % broken rows",
    ),
    ("loomworks", "events", "third", ("events.jsonl",), _shuffled, "labels shuffled: the gate must stop it"),
]
