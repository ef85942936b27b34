"""Does the scrubbed dataset still name someone? A sample of records is read again by the independent pass."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from assets.privacy.scrub import ScrubError, identifier_columns
from governance.privacy.residue import find_residue
from governance.tenants import Model

BATCH_ROWS = 512


@dataclass(frozen=True)
class RecordResidue:
    """A direct identifier in a record's text, by its place: the text itself is never repeated."""

    record_id: str
    entity: str
    start: int
    end: int


@dataclass(frozen=True)
class ResidueReport:
    checked: int
    residues: list[RecordResidue]


def residue_sample(rows: Path, records: Path, model: Model, sample: int, seed: int) -> ResidueReport:
    """Check `sample` records drawn by `seed` (all, when there are fewer) for patterns and for their own identifiers.

    `records` is the scrub of `rows`, row for row. Raises ScrubError when it is not.
    """
    count = pq.ParquetFile(records).metadata.num_rows
    if (expected := pq.ParquetFile(rows).metadata.num_rows) != count:
        raise ScrubError(f"{records.name} has {count} records for {expected} rows; scrub the rows again")
    drawn = set(random.Random(seed).sample(range(count), min(sample, count)))
    identifiers = identifier_columns(model)
    pairs = zip(_each(rows, ["delivery", *identifiers]), _each(records, ["record_id", "delivery", "text"]), strict=True)
    report = ResidueReport(len(drawn), [])
    for number, (row, record) in enumerate(pairs):
        if row["delivery"] != record["delivery"]:
            raise ScrubError(f"record {number} of {records.name} is not of the row beside it; scrub the rows again")
        if number in drawn:
            found = find_residue([record["text"]], [[row[column] for column in identifiers if row[column] is not None]])
            report.residues.extend(RecordResidue(record["record_id"], r.entity, r.start, r.end) for r in found)
    return report


def _each(path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False):
            yield from batch.to_pylist()
