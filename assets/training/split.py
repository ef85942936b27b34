"""Which records train, which stop the training, which judge the release. Decided by subject alone; no models here."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from governance.tenants import Training


class UnusableRecords(ValueError):
    """Records that cannot be split or learned from, such as a record without a label."""


class TooFewRows(UnusableRecords):
    """A part of the split has no rows."""


class OneClass(UnusableRecords):
    """A part of the split shows fewer than two labels, so nothing can be told apart in it."""


@dataclass(frozen=True)
class Examples:
    """Texts and their labels, one to one."""

    texts: list[str]
    labels: list[str]


@dataclass(frozen=True)
class Split:
    """Records by use; every subject is in exactly one part. Columns are those of the records."""

    train: pa.Table
    validation: pa.Table
    evaluation: pa.Table


def split(records: pa.Table, training: Training) -> Split:
    """Divide `records` (columns subject_id, text, label, …) by subject, keeping their order.

    A subject's side follows from its id alone: it is the same in every release, whatever else was delivered.
    Raises UnusableRecords, TooFewRows, OneClass with the numbers.
    """
    for column in ("subject_id", "text", "label"):
        if empty := records[column].null_count:
            raise UnusableRecords(
                f"{empty} of {records.num_rows} records have no {column}; "
                "make the column required in the contract, so that such rows go to quarantine"
            )
    held_out = _chosen(records, lambda subject: _place(subject) < training.evaluation_share)
    stopping = _chosen(records, lambda subject: _place(f"validation:{subject}") < training.validation_share)
    rest = pc.invert(held_out)
    parts = Split(
        train=records.filter(pc.and_not(rest, stopping)),
        validation=records.filter(pc.and_(rest, stopping)),
        evaluation=records.filter(held_out),
    )
    _require_learnable(parts, records)
    return parts


def examples(records: pa.Table) -> Examples:
    """The texts and labels of `records`."""
    return Examples(texts=records["text"].to_pylist(), labels=records["label"].to_pylist())


def _place(name: str) -> float:
    """A fixed place in [0, 1) for a name: the first 53 bits of its sha256, what a float holds exactly."""
    return (int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") >> 11) / (1 << 53)


def _chosen(records: pa.Table, wanted: Callable[[str], bool]) -> pa.BooleanArray:
    """`wanted` of each record's subject, asked once a subject."""
    subjects = records["subject_id"].to_pylist()
    answers = {subject: wanted(subject) for subject in set(subjects)}
    return pa.array([answers[subject] for subject in subjects], pa.bool_())


def _require_learnable(parts: Split, records: pa.Table) -> None:
    named = {"training": parts.train, "validation": parts.validation, "evaluation": parts.evaluation}
    rows = {name: part.num_rows for name, part in named.items()}
    labels = {name: len(set(part["label"].to_pylist())) for name, part in named.items()}
    whole = f"{records.num_rows} records of {len(set(records['subject_id'].to_pylist()))} subjects"
    if bare := [name for name, count in rows.items() if count == 0]:
        raise TooFewRows(
            f"no rows for {' and '.join(bare)}: {whole} gave {_listed(rows)}; deliver records of more subjects"
        )
    if single := [name for name, count in labels.items() if count < 2]:
        raise OneClass(
            f"fewer than two labels in {' and '.join(single)}: {whole} gave {_listed(labels)} labels; "
            "deliver records of every label, from more subjects"
        )


def _listed(numbers: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in numbers.items())
