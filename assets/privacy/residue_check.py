"""Does the scrubbed dataset still name someone? Every record is read again by the independent pass.

All of it is searched for everybody whom any row declared; a sample also for written forms, and for its own row's
identifiers part by part.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assets.privacy.rows import BATCH_ROWS, ScrubError, each, identifier_columns, identifiers, joined
from governance.privacy.forms import Forms
from governance.privacy.residue import Residue, declared_words, find_declared, find_residue, repeats
from governance.tenants import Model

Pair = tuple[int, dict[str, Any], dict[str, Any]]


@dataclass(frozen=True)
class RecordResidue:
    """A direct identifier in a record's text, by its place: the text itself is never repeated."""

    record_id: str
    entity: str
    start: int
    end: int


@dataclass(frozen=True)
class ResidueReport:
    """`checked`: records of the sample; `searched`: records that were searched for everybody."""

    checked: int
    searched: int
    residues: list[RecordResidue]


@dataclass(frozen=True)
class Sample:
    """How many records are read closely, and which. `plausible`: stand-ins in them look like identifiers."""

    records: int
    seed: int
    plausible: bool = False


def find_residues(
    rows: Path, records: Path, model: Model, sample: Sample, everyday: frozenset[str] = frozenset()
) -> ResidueReport:
    """Search all records for what any row declared but for `everyday` words, and a sample of them for everything.

    `records` is the scrub of `rows`, row for row. Raises ScrubError when it is not.
    """
    count = pq.ParquetFile(records).metadata.num_rows
    if (expected := pq.ParquetFile(rows).metadata.num_rows) != count:
        raise ScrubError(f"{records.name} has {count} records for {expected} rows; scrub the rows again")
    declared = Forms(b"residue")
    for _, value in identifiers(rows, model):
        declared.add(declared_words(value))
    drawn = set(random.Random(sample.seed).sample(range(count), min(sample.records, count)))
    residues: list[RecordResidue] = []
    pairs = _pairs(rows, records, model)
    while batch := list(islice(pairs, BATCH_ROWS)):
        found = find_declared([record["text"] for _, _, record in batch], declared, everyday)
        close = [pair for pair in batch if pair[0] in drawn]
        residues += [_of(batch[r.index][2], r) for r in found] + [
            r for pair in close for r in _closely(pair, model, sample)
        ]
    return ResidueReport(len(drawn), count, list(dict.fromkeys(residues)))


def _pairs(rows: Path, records: Path, model: Model) -> Iterator[Pair]:
    wanted = list(dict.fromkeys(["delivery", *model.text, *identifier_columns(model)]))
    both = zip(each(rows, wanted), each(records, ["record_id", "delivery", "text"]), strict=True)
    for number, (row, record) in enumerate(both):
        if row["delivery"] != record["delivery"]:
            raise ScrubError(f"record {number} of {records.name} is not of the row beside it; scrub the rows again")
        yield number, row, record


def _closely(pair: Pair, model: Model, sample: Sample) -> Iterator[RecordResidue]:
    _, row, record = pair
    own = [row[column] for column in identifier_columns(model) if row[column] is not None]
    for found in find_residue([record["text"]], [own]):
        # A stand-in was not in the row, what was left of the row is.
        if not sample.plausible or repeats(record["text"][found.start : found.end], joined(row, model)):
            yield _of(record, found)


def _of(record: dict[str, Any], residue: Residue) -> RecordResidue:
    return RecordResidue(record["record_id"], residue.entity, residue.start, residue.end)
