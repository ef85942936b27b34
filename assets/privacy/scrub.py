"""Rows to records: identifiers masked in the text, subjects tagged, identifier columns left behind; bounded memory."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.privacy.detector import build_detector
from governance.privacy.known import Known, known_identifier, known_spans
from governance.privacy.pseudonyms import record_id, subject_id, surrogate
from governance.privacy.spans import Detector, Span, merge
from governance.tenants import Model

BATCH_ROWS = 512
BATCH_CHARACTERS = 1_000_000  # a few long texts fill a batch as many short ones do
LOG_SECONDS = 5.0
BETWEEN_COLUMNS = " | "

SCHEMA = pa.schema(
    [
        pa.field("record_id", pa.string(), nullable=False),
        pa.field("subject_id", pa.string(), nullable=False),
        pa.field("delivery", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("label", pa.string(), nullable=False),
        pa.field("group", pa.string()),
    ]
)

Row = Mapping[str, Any]


class ScrubError(ValueError):
    """Rows cannot be scrubbed; the message names the file, the row or the column, and the remedy."""


@dataclass(frozen=True)
class Scrubbed:
    """How many records were written, and how many spans of each entity were masked in them."""

    records: int
    spans: dict[str, int]


def scrub(
    rows: Path,
    model: Model,
    key: bytes,
    out: Path,
    log: Callable[[str], None],
    make: Callable[[], Detector] = build_detector,
) -> Scrubbed:
    """Write `out/records.parquet`, one record for each row of `rows`, in the same order and byte for byte repeatable.

    Identifiers are found by the detector that `make` gives and by exact search for what the row declares in its
    identifier columns. Nothing is visible under that name before it is complete. Raises ScrubError.
    """
    total = _row_count(rows, model)
    log(f"scrubbing {total:,} rows; loading the detector")
    detect = make()
    masked: Counter[str] = Counter()
    written, since = 0, time.monotonic()
    target, temporary = out / "records.parquet", out / f".records.parquet.{os.getpid()}"
    try:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            for batch in _batches(rows, model):
                writer.write_batch(_records(batch, model, key, detect, masked))
                written += len(batch)
                if time.monotonic() - since > LOG_SECONDS:
                    share = f"{written:,} of {total:,} rows ({written / total:.0%})"
                    log(f"scrubbed {share}, masked {masked.total():,} identifiers")
                    since = time.monotonic()
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
    log(f"scrubbed {written:,} rows, masked {masked.total():,} identifiers")
    return Scrubbed(written, dict(sorted(masked.items())))


def identifier_columns(model: Model) -> tuple[str, ...]:
    """The columns that name a person: the subject's and the declared ones."""
    return tuple(dict.fromkeys([model.subject, *model.identifiers]))


def _row_count(rows: Path, model: Model) -> int:
    kept = {*model.text, model.label, *filter(None, [model.gate.bias.group])}
    if clash := sorted(kept & set(identifier_columns(model))):
        raise ScrubError(
            f"columns {clash} are identifiers and would stay in the records; declare other columns for them"
        )
    try:
        file = pq.ParquetFile(rows)
    except (pa.ArrowInvalid, OSError) as broken:
        raise ScrubError(
            f"{rows.name} cannot be read as Parquet ({broken}); normalize the deliveries again"
        ) from broken
    if missing := sorted({*_columns(model)} - set(file.schema_arrow.names)):
        raise ScrubError(f"{rows.name} lacks the columns {missing}; normalize the deliveries with the present contract")
    return int(file.metadata.num_rows)


def _columns(model: Model) -> list[str]:
    group = [model.gate.bias.group] if model.gate.bias.group else []
    return [*dict.fromkeys(["delivery", "file", "row", *model.text, model.label, *group, *identifier_columns(model)])]


def _batches(rows: Path, model: Model) -> Iterator[list[Row]]:
    """The rows, a bounded number of rows and characters at a time."""
    batch: list[Row] = []
    characters = 0
    for row in _each_row(rows, model):
        batch.append(row)
        characters += sum(len(str(row[column] or "")) for column in model.text)
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def _each_row(rows: Path, model: Model) -> Iterator[Row]:
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        for part in file.iter_batches(batch_size=BATCH_ROWS, columns=_columns(model), use_threads=False):
            yield from part.to_pylist()


def _records(batch: Sequence[Row], model: Model, key: bytes, detect: Detector, masked: Counter[str]) -> pa.RecordBatch:
    texts = [str(row[column]) for row in batch for column in model.text if row[column] is not None]
    spans = iter(zip(texts, detect(texts), strict=True))
    records = [_record(row, model, key, spans, masked) for row in batch]
    return pa.RecordBatch.from_pylist(records, schema=SCHEMA)


def _record(
    row: Row, model: Model, key: bytes, detected: Iterator[tuple[str, list[Span]]], masked: Counter[str]
) -> dict[str, object]:
    where = f"{row['file']} row {row['row']} of delivery {row['delivery']}"
    for column in (model.subject, model.label):
        if row[column] is None:
            raise ScrubError(
                f"{where} has no {column}; make it required in the contract, so that such rows are set aside"
            )
    known = [k for c in identifier_columns(model) if (k := known_identifier(c, row[c]))]
    present = sum(row[column] is not None for column in model.text)
    parts = [_masked(text, spans, known, key, masked) for text, spans in islice(detected, present)]
    group = row[model.gate.bias.group] if model.gate.bias.group else None
    return {
        "record_id": record_id(key, str(row["delivery"]), str(row["file"]), row["row"]),
        "subject_id": subject_id(key, str(row[model.subject])),
        "delivery": row["delivery"],
        "text": BETWEEN_COLUMNS.join(parts),
        "label": str(row[model.label]),
        "group": None if group is None else str(group),
    }


def _masked(text: str, spans: Sequence[Span], known: Sequence[Known], key: bytes, masked: Counter[str]) -> str:
    """The text with a surrogate for each span; what the row declares about itself takes precedence."""
    pieces, at = [], 0
    for span in merge(text, [*spans, *known_spans(text, known)]):
        pieces += [text[at : span.start], surrogate(key, span.entity, span.of or text[span.start : span.end])]
        masked[span.entity] += 1
        at = span.end
    return "".join([*pieces, text[at:]])
