"""A Parquet file that is written in batches and seen only when it is whole."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MOST_ROWS = 16_384
MOST_BYTES = 32 << 20


class Sink:
    """Rows go in one by one; `publish` gives the file its name, `discard` leaves nothing of it."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.path, self.schema = path, schema
        self.partial = path.with_name(f".{path.name}.partial")
        self.writer: pq.ParquetWriter | None = pq.ParquetWriter(self.partial, schema, compression="zstd")
        self.batch: list[tuple[Any, ...]] = []
        self.batch_bytes = 0

    def add(self, row: tuple[Any, ...], size: int) -> None:
        """One row, in the schema's order; `size` is about what it weighs, in bytes."""
        self.batch.append(row)
        self.batch_bytes += size
        if len(self.batch) >= MOST_ROWS or self.batch_bytes >= MOST_BYTES:
            self._write()

    def publish(self) -> None:
        self._write()
        self._close()
        with self.partial.open("rb") as file:
            os.fsync(file.fileno())
        self.partial.rename(self.path)

    def discard(self) -> None:
        """Remove what was not published."""
        self._close()
        self.partial.unlink(missing_ok=True)

    def _write(self) -> None:
        if not self.batch or self.writer is None:
            return
        columns = zip(*self.batch, strict=True)
        arrays = [pa.array(values, field.type) for values, field in zip(columns, self.schema, strict=True)]
        self.writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self.batch, self.batch_bytes = [], 0

    def _close(self) -> None:
        if self.writer is not None:
            self.writer.close()
            self.writer = None
