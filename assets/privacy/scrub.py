"""Rows to records: identifiers masked in the text, subjects tagged, identifier columns left behind; bounded memory.

First everybody is gathered whom the identifier columns name, then every text is searched for all of them. Canaries go
the same way after the rows.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow.parquet as pq

from assets.privacy import workers
from assets.privacy.planted import Flock, Planted
from assets.privacy.records import SCHEMA, Batch, Job, Masked, Scrubber
from assets.privacy.rows import Row, batches, each_row, identifiers, row_count, sampled, text_bytes
from governance.privacy.detector import build_detector
from governance.privacy.mentions import everyday_words, gather
from governance.privacy.policy import plausible
from governance.privacy.spans import Detector
from governance.tenants import Model, Privacy

MANY_BYTES = 4_000_000  # of text, from which on every core gets a worker; starting them takes seconds
LOG_SECONDS = 5.0

Log = Callable[[str], None]


@dataclass(frozen=True)
class Scrubbed:
    """How many records were written, what was masked in them, what became of the canaries, and how long it took.

    `everyday`: declared names that are ordinary words in this delivery, and masked only where they stand as names.
    """

    records: int
    masked: dict[Masked, int]
    planted: Planted
    everyday: frozenset[str]
    text_bytes: int
    seconds: float

    @property
    def spans(self) -> dict[str, int]:
        """Masked spans by entity."""
        return self.counted("entity")

    def counted(self, by: str) -> dict[str, int]:
        """Masked spans by `entity`, `recognizer` or `operator`."""
        counts: Counter[str] = Counter()
        for kind, spans in self.masked.items():
            counts[getattr(kind, by)] += spans
        return dict(sorted(counts.items()))


@dataclass(frozen=True)
class Options:
    """How a tenant's text is scrubbed, and where: on `cores` (None: all, if it is worth it) or on the cluster at `ray`.

    `detector` makes it in each worker; `subject_keys` is the file in which the operator `encrypt` keeps its keys.
    """

    detector: Callable[[], Detector] = build_detector
    privacy: Privacy = field(default_factory=Privacy)
    subject_keys: Path | None = None
    canaries: int = 0
    cores: int | None = None
    ray: str = ""


DEFAULT = Options()


def scrub(rows: Path, model: Model, key: bytes, out: Path, log: Log, options: Options = DEFAULT) -> Scrubbed:
    """Write `out/records.parquet`, one record for each row of `rows`, in the same order and byte for byte repeatable.

    Nothing is visible under that name before it is complete. Raises ScrubError, WorkerLost, SubjectKeyError.
    """
    began, total = time.monotonic(), row_count(rows, model)
    flock = Flock(options.canaries, key.hex(), rows, model)
    with TemporaryDirectory(dir=out, prefix=".known-") as folder:
        everybody = gather(chain(identifiers(rows, model), (("canary", name) for name in flock.declared)), key)
        everybody.save(Path(folder))
        everyday = everyday_words(everybody.names, sampled(rows, model))
        job = Job(model, options.detector, options.privacy, key, Path(folder), everyday, _subject_keys(options))
        log(f"scrubbing {total:,} rows; loading the detector")
        given = chain(batches(each_row(rows, model), model), batches(flock.rows(), model))
        done = _results(given, partial(Scrubber, job), text_bytes(rows, model), options)
        masked, texts = _written(done, total, out, log)
        planted = flock.survivors(texts, plausible(options.privacy.operators))
    log(f"scrubbed {total:,} rows, masked {sum(masked.values()):,} identifiers")
    return Scrubbed(total, masked, planted, everyday, text_bytes(rows, model), time.monotonic() - began)


def _subject_keys(options: Options) -> Path | None:
    if "encrypt" not in options.privacy.operators.values():
        return None
    if options.subject_keys is None:
        raise ValueError("the operator encrypt needs a file for its keys")
    return options.subject_keys


def _results(given: Iterator[list[Row]], make: Callable[[], Scrubber], size: int, options: Options) -> Iterator[Batch]:
    if options.ray:
        return workers.on_ray(make, given, options.ray)
    count = options.cores or (workers.cores() if size >= MANY_BYTES else 1)
    return workers.here(make, given) if count == 1 else workers.on_cores(make, given, count)


def _written(results: Iterator[Batch], total: int, out: Path, log: Log) -> tuple[dict[Masked, int], list[str]]:
    """Write the records of the rows; what was masked in them, and the texts of the canaries, which follow them."""
    target, temporary = out / "records.parquet", out / f".records.parquet.{os.getpid()}"
    masked: Counter[Masked] = Counter()
    written, since = 0, time.monotonic()
    try:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
            while written < total:
                batch = next(results)
                writer.write_batch(batch.records)
                masked.update(batch.masked)
                written += batch.records.num_rows
                if time.monotonic() - since > LOG_SECONDS:
                    share = f"{written:,} of {total:,} rows ({written / total:.0%})"
                    log(f"scrubbed {share}, masked {masked.total():,} identifiers")
                    since = time.monotonic()
        planted = [text for batch in results for text in batch.records["text"].to_pylist()]
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.rename(target)
    finally:
        temporary.unlink(missing_ok=True)
    return dict(sorted(masked.items())), planted
