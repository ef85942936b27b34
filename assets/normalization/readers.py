"""Which reader reads a file: its name decides."""

import gzip
import zlib
from collections.abc import Iterator

from assets.normalization.csv_rows import read_csv
from assets.normalization.json_values import read_json
from assets.normalization.lines import read_json_lines
from assets.normalization.parquet_rows import read_parquet
from assets.normalization.records import Record, UnusableFile
from governance.contracts.source import SourceFile

_TEXT = {
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
    ".json": read_json,
    ".csv": read_csv,
    ".tsv": read_csv,
}
READERS = {**_TEXT, **{f"{suffix}.gz": reader for suffix, reader in _TEXT.items()}, ".parquet": read_parquet}


def read_records(file: SourceFile) -> Iterator[Record]:
    """Every record of the file, in its order, in bounded memory. Raises UnusableFile; also for a file without any."""
    reader = next((READERS[suffix] for suffix in READERS if file.name.lower().endswith(suffix)), None)
    if reader is None:
        raise UnusableFile(file, "is of no kind that is read", f"deliver one of {', '.join(READERS)}")
    record = None
    try:
        for record in reader(file):
            yield record
    except (EOFError, gzip.BadGzipFile, zlib.error) as broken:
        raise UnusableFile(file, f"is not a whole gzip file ({broken})") from broken
    if record is None:
        raise UnusableFile(file, "has no rows", "leave it out of the delivery, or deliver it with rows")
