"""Whether a dataset's label column can be learned as classes at all."""

from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

from governance.tenants import Model

MOST_CLASSES_SHARE = 0.5
_CLASS_TYPES = {"string", "integer", "boolean"}


class UnusableLabels(ValueError):
    """The label column has no classes to learn; the message says what it has instead."""


def check_labels(rows: Path, model: Model) -> dict[str, int]:
    """Rows of each class in rows.parquet, commonest first. Raises UnusableLabels.

    A label is a string, an integer or a boolean, of two classes or more, and of fewer classes than half the rows.
    """
    declared = model.contract.fields[model.label].type
    where = f"label column {model.label!r} of dataset {model.dataset!r}"
    if declared not in _CLASS_TYPES:
        raise UnusableLabels(
            f"{where} is declared as {declared}, which has no classes; "
            "name a column of classes as `label` in pedigree.yaml"
        )
    counts: Counter[str] = Counter()
    with pq.ParquetFile(rows) as parquet:
        for batch in parquet.iter_batches(columns=[model.label]):
            counts.update(str(value) for value in batch[model.label].to_pylist() if value is not None)
    if len(counts) < 2:
        only = f"only the class {next(iter(counts))!r}" if counts else "no value at all"
        raise UnusableLabels(f"{where} has {only} in {counts.total():,} rows; deliver rows of at least two classes")
    if len(counts) > MOST_CLASSES_SHARE * counts.total():
        raise UnusableLabels(
            f"{where} has {len(counts):,} different values in {counts.total():,} rows: that is a number or free text, "
            "no class; check that the right column is named as `label` in pedigree.yaml"
        )
    return dict(counts.most_common())
