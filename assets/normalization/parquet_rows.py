"""Parquet, a few rows at a time."""

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from assets.normalization.records import CHUNK, LIMIT, Fault, Record, UnusableFile, raw_of
from governance.contracts.source import SourceFile

MOST_ROWS = 4096


def read_parquet(file: SourceFile) -> Iterator[Record]:
    """A record a row, values as Python has them. Raises UnusableFile where the file is cut off or damaged."""
    try:
        with pq.ParquetFile(file.path, pre_buffer=False, buffer_size=CHUNK) as parquet:
            names = parquet.schema_arrow.names
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise UnusableFile(file, f"names columns twice: {', '.join(twice)}", "give every column its own name")
            yield from _rows(parquet)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as broken:
        raise UnusableFile(file, f"is not whole Parquet ({str(broken).splitlines()[0]})") from broken


def _rows(parquet: pq.ParquetFile) -> Iterator[Record]:
    metadata = parquet.metadata
    unpacked = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
    size = unpacked // max(metadata.num_rows, 1) + 1
    start = 1
    for batch in parquet.iter_batches(batch_size=max(1, min(MOST_ROWS, LIMIT // size))):
        for row, content in enumerate(batch.to_pylist(), start):
            long = sum(len(value) for value in content.values() if isinstance(value, str | bytes)) > LIMIT
            fault = Fault(f"row too long (limit {LIMIT >> 20} MB)", "the row's text is too long", raw_of(content))
            yield Record(row, fault if long else content, size)
        start += len(batch)
