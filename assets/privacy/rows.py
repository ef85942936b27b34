"""The normalized rows as a scrub reads them: the columns it needs, a bounded number at a time."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from governance.privacy.known import known_identifier
from governance.privacy.mentions import Identifier
from governance.tenants import Model

BATCH_ROWS = 1024
BATCH_CHARACTERS = 1_000_000  # a few long texts fill a batch as many short ones do
SAMPLE = 20_000  # rows that tell which names are ordinary words

Row = Mapping[str, Any]


class ScrubError(ValueError):
    """Rows cannot be scrubbed; the message names the file, the row or the column, and the remedy."""


def identifier_columns(model: Model) -> tuple[str, ...]:
    """The columns that name a person: the subject's and the declared ones."""
    return tuple(dict.fromkeys([model.subject, *model.identifiers]))


def free_columns(model: Model) -> list[str]:
    """Text columns that can hold a person: numbers, truth values and words from a list cannot."""
    fields = ((column, model.contract.fields[column]) for column in model.text)
    return [column for column, field in fields if field.type not in ("number", "boolean") and field.one_of is None]


def joined(row: Row, model: Model) -> str:
    """All text of a row."""
    return " ".join(str(row[column]) for column in model.text if row[column] is not None)


def row_count(rows: Path, model: Model) -> int:
    """How many rows there are, if they can be scrubbed. Raises ScrubError."""
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


def text_bytes(rows: Path, model: Model) -> int:
    """Uncompressed bytes of the text columns."""
    metadata = pq.ParquetFile(rows).metadata
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    columns = (group.column(i) for group in groups for i in range(group.num_columns))
    return sum(column.total_uncompressed_size for column in columns if column.path_in_schema in model.text)


def each_row(rows: Path, model: Model) -> Iterator[Row]:
    yield from each(rows, _columns(model))


def each(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file, in order."""
    with pq.ParquetFile(file, pre_buffer=False) as parquet:
        for part in parquet.iter_batches(batch_size=BATCH_ROWS, columns=columns, use_threads=False):
            yield from part.to_pylist()


def batches(rows: Iterable[Row], model: Model) -> Iterator[list[Row]]:
    """The rows, a bounded number of rows and characters at a time."""
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += len(joined(row, model))
        if len(batch) >= BATCH_ROWS or characters >= BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def identifiers(rows: Path, model: Model) -> Iterator[Identifier]:
    """What the identifier columns hold; a value may come more than once."""
    columns = list(identifier_columns(model))
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        for part in file.iter_batches(batch_size=1 << 14, columns=columns, use_threads=False):
            for column in columns:
                yield from ((column, value) for value in part[column].unique().to_pylist())


def sampled(rows: Path, model: Model) -> Iterator[tuple[str, set[str]]]:
    """Texts, spread over the rows, each with the forms of its own row's names."""
    step = max(1, pq.ParquetFile(rows).metadata.num_rows // SAMPLE)
    for row in islice(each_row(rows, model), None, None, step):
        own = [known_identifier(column, row[column]) for column in identifier_columns(model)]
        yield joined(row, model), {form for known in own if known and known.entity == "PERSON" for form in known.forms}
