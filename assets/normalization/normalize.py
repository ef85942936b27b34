"""Deliveries to one table under the contract: good rows typed, bad rows in quarantine, the schema that was found.

A record goes to exactly one of the two files, so rows plus quarantined is always what was delivered.
"""

import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import ValidationError

from assets.normalization.readers import read_records
from assets.normalization.records import RAW_LIMIT, Fault, RecordTooDeep, raw_of, to_json
from assets.normalization.sink import Sink
from governance.contracts.row_model import arrow_schema, faults, names_of, row_model
from governance.contracts.schema import SchemaSketch, flatten
from governance.contracts.source import SourceFile
from governance.tenants import Contract

QUARANTINE = pa.schema(
    [
        pa.field("delivery", pa.string(), nullable=False),
        pa.field("file", pa.string(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("message", pa.string(), nullable=False),
        pa.field("raw", pa.string(), nullable=False),
    ]
)
_PROGRESS_ROWS = 100_000


class EmptyDelivery(ValueError):
    """There is nothing to normalize."""


class TooManyBadRows(ValueError):
    """More rows are bad than the contract allows; `quarantine` is the file in which all of them lie."""

    def __init__(self, message: str, quarantine: Path) -> None:
        super().__init__(message)
        self.quarantine = quarantine


@dataclass
class Normalized:
    """Counts of a normalization: `faults` is rule → bad rows, `schema` what each delivery looked like."""

    rows: int = 0
    quarantined: int = 0
    faults: dict[str, int] = field(default_factory=Counter)
    schema: dict[str, Any] = field(default_factory=dict)


def normalize(
    files: Sequence[SourceFile], contract: Contract, out: Path, log: Callable[[str], None] = print
) -> Normalized:
    """Write out/rows.parquet, out/quarantine.parquet and out/schema.json; the caller orders `files`.

    Memory is bounded by the longest record (16 MB), not by the delivery. Raises EmptyDelivery, UnusableFile, and
    TooManyBadRows, which leaves quarantine.parquet and schema.json but no rows.parquet.
    """
    if not files:
        raise EmptyDelivery("there is no file in any delivery; deliver at least one with rows")
    out.mkdir(parents=True, exist_ok=True)
    rows, quarantine = Sink(out / "rows.parquet", arrow_schema(contract)), Sink(out / "quarantine.parquet", QUARANTINE)
    sorting = _Sorting(contract, rows, quarantine)
    try:
        for file in files:
            sorting.file(file, log)
        quarantine.publish()
        done = sorting.done
        done.schema = {"deliveries": [sketch.document(name) for name, sketch in sorting.sketches.items()]}
        _write_json(out / "schema.json", done.schema)
        _refuse_too_many(sorting, contract.quarantine_share, quarantine.path)
        rows.publish()
    finally:
        rows.discard()
        quarantine.discard()
    log(f"normalized {done.rows:,} rows, {done.quarantined:,} in quarantine")
    return done


class _Sorting:
    """Each record to the rows or to the quarantine, counted."""

    def __init__(self, contract: Contract, rows: Sink, quarantine: Sink) -> None:
        self.contract, self.rows, self.quarantine = contract, rows, quarantine
        self.validate = row_model(contract).model_validate
        self.names = [names_of(column, declared) for column, declared in contract.fields.items()]
        self.done = Normalized()
        self.examples: dict[str, str] = {}
        self.sketches: dict[str, SchemaSketch] = {}

    def file(self, file: SourceFile, log: Callable[[str], None]) -> None:
        sketch = self.sketches.setdefault(file.delivery, SchemaSketch())
        count = 0
        for count, record in enumerate(read_records(file), 1):
            if isinstance(record.content, Fault):
                self._set_aside(file, record.row, record.content)
            else:
                self._judge(file, record.row, record.content, record.size, sketch)
            if count % _PROGRESS_ROWS == 0:
                log(f"{file.delivery}/{file.name}: {count:,} rows read")
        log(f"{file.delivery}/{file.name}: {count:,} rows, all read")

    def _judge(self, file: SourceFile, row: int, content: dict[str, Any], size: int, sketch: SchemaSketch) -> None:
        flat = flatten(content)
        sketch.add(flat)
        try:
            values = self.validate(flat).__dict__.values()
        except ValidationError as invalid:
            found = faults(invalid, self.contract)
            self._set_aside(file, row, Fault(found[0][0], "; ".join(text for _, text in found), raw_of(content)))
            return
        for names in self.names:
            for name in names:
                if name in flat:
                    del flat[name]
                    break
        try:
            extras = to_json(flat) if flat else "{}"
        except RecordTooDeep as deep:
            self._set_aside(file, row, Fault("nested too deep", str(deep), raw_of(content)))
            return
        self.rows.add((*values, file.delivery, file.name, row, extras), size)
        self.done.rows += 1

    def _set_aside(self, file: SourceFile, row: int, fault: Fault) -> None:
        self.quarantine.add((file.delivery, file.name, row, fault.rule, fault.message, fault.raw), RAW_LIMIT)
        self.done.quarantined += 1
        self.done.faults[fault.rule] = self.done.faults.get(fault.rule, 0) + 1
        self.examples.setdefault(fault.rule, f"{file.delivery}/{file.name}:{row}")


def _refuse_too_many(sorting: _Sorting, limit: float, quarantine: Path) -> None:
    done = sorting.done
    share = done.quarantined / (done.rows + done.quarantined)
    if share <= limit and done.rows:
        return
    common = sorted(done.faults.items(), key=lambda fault: -fault[1])[:3]
    rules = "; ".join(f"{rule!r} {count:,} (first: {sorting.examples[rule]})" for rule, count in common)
    raise TooManyBadRows(
        f"{done.quarantined:,} of {done.rows + done.quarantined:,} rows are bad ({share:.2%}, the contract allows "
        f"{limit:.2%}). Commonest rules: {rules}. Every bad row lies in {quarantine}; deliver corrected rows, or "
        "change the contract in pedigree.yaml (an alias for a renamed column, or quarantine_share)",
        quarantine,
    )


def _write_json(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w") as file:
        json.dump(document, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
