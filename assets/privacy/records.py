"""One batch of rows to one batch of records: what every worker of a scrub does, wherever it runs."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from assets.privacy.rows import Row, ScrubError, free_columns, identifier_columns
from governance.privacy.known import Known, known_identifier, known_spans
from governance.privacy.mentions import Everybody, mentions
from governance.privacy.operators import OPERATORS
from governance.privacy.policy import operator_of
from governance.privacy.pseudonyms import record_id, subject_id
from governance.privacy.spans import Detector, Span, merge
from governance.privacy.subject_keys import keys_for
from governance.privacy.surrogates import surrogate
from governance.privacy.writing import windows
from governance.tenants import Model, Privacy

BETWEEN_COLUMNS = " | "
PIECE = 8192  # characters that are detected in at a time
REMEMBERED = 20_000  # stand-ins

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


@dataclass(frozen=True)
class Job:
    """What a scrub is told. `known`: folder of everybody; `subject_keys`: where `encrypt` keeps its keys."""

    model: Model
    detector: Callable[[], Detector]
    privacy: Privacy
    key: bytes
    known: Path
    everyday: frozenset[str]
    subject_keys: Path | None


class Masked(NamedTuple):
    """One kind of replacement, for counting."""

    entity: str
    recognizer: str
    operator: str


class Batch(NamedTuple):
    records: pa.RecordBatch
    masked: Counter[Masked]


class Person(NamedTuple):
    """Whose record it is: id, the key that `encrypt` uses, what the row declares."""

    subject: str
    key: bytes | None
    known: list[Known]


class Scrubber:
    """Rows to records, in order. Holds the detector; nothing that it holds changes an answer."""

    def __init__(self, job: Job) -> None:
        self.job, self.detect = job, job.detector()
        self.everybody = Everybody.opened(job.known, job.key, job.everyday)
        self.columns = free_columns(job.model)
        self.operators = {name: kind() for name, kind in OPERATORS.items()}
        self.stand_in = lru_cache(maxsize=REMEMBERED)(partial(surrogate, job.key, names=self._names))

    def __call__(self, rows: Sequence[Row]) -> Batch:
        for row in rows:
            _refuse_gaps(row, self.job.model)
        subjects = [subject_id(self.job.key, str(row[self.job.model.subject])) for row in rows]
        keys = keys_for(self.job.subject_keys, subjects) if self.job.subject_keys else {}
        texts = [str(row[column]) for row in rows for column in self.columns if row[column] is not None]
        found = zip(texts, self._detected(texts), mentions(texts, self.everybody), strict=True)
        masked: Counter[Masked] = Counter()
        records = [
            self._record(row, self._person(row, subject, keys), found, masked)
            for row, subject in zip(rows, subjects, strict=True)
        ]
        return Batch(pa.RecordBatch.from_pylist(records, schema=SCHEMA), masked)

    def _detected(self, texts: Sequence[str]) -> list[list[Span]]:
        """Spans of each text; of a long one piece by piece: Presidio takes the square of what it finds in time."""
        pieces = [(i, at, piece) for i, text in enumerate(texts) for at, piece in windows(text, PIECE, PIECE // 16)]
        found: list[list[Span]] = [[] for _ in texts]
        for (i, at, _), spans in zip(pieces, self.detect([piece for _, _, piece in pieces]), strict=True):
            found[i] += [replace(span, start=at + span.start, end=at + span.end) for span in spans]
        return found

    def _person(self, row: Row, subject: str, keys: Mapping[str, bytes]) -> Person:
        known = [k for c in identifier_columns(self.job.model) if (k := known_identifier(c, row[c]))]
        return Person(subject, keys.get(subject), known)

    def _record(
        self,
        row: Row,
        person: Person,
        found: Iterator[tuple[str, list[Span], list[Span]]],
        masked: Counter[Masked],
    ) -> dict[str, object]:
        parts = []
        for column in self.job.model.text:
            if row[column] is None:
                continue
            if column in self.columns:
                parts += [self._masked(*one, person, masked) for one in islice(found, 1)]
            else:
                parts.append(str(row[column]))
        group = row[self.job.model.gate.bias.group] if self.job.model.gate.bias.group else None
        return {
            "record_id": record_id(self.job.key, str(row["delivery"]), str(row["file"]), row["row"]),
            "subject_id": person.subject,
            "delivery": row["delivery"],
            "text": BETWEEN_COLUMNS.join(parts),
            "label": str(row[self.job.model.label]),
            "group": None if group is None else str(group),
        }

    def _masked(
        self, text: str, spans: Sequence[Span], named: Sequence[Span], person: Person, masked: Counter[Masked]
    ) -> str:
        """The text with something else for each span; what the row declares about itself takes precedence."""
        own = known_spans(text, person.known)
        others = _starts_of_others(text, named, own)
        pieces, at = [], 0
        for span in merge(text, [*spans, *named, *own]):
            operator = operator_of(span.entity, self.job.privacy.operators)
            of_another = bisect_left(others, span.start) < bisect_left(others, span.end)
            pieces += [text[at : span.start], self._replaced(text[span.start : span.end], span, person, of_another)]
            masked[Masked(span.entity, span.recognizer, operator)] += 1
            at = span.end
        return "".join([*pieces, text[at:]])

    def _replaced(self, text: str, span: Span, person: Person, of_another: bool) -> str:
        operator = operator_of(span.entity, self.job.privacy.operators)
        if operator == "surrogate":
            return self.stand_in(span.entity, text, span.of)
        return self.operators[operator].operate(
            text,
            {
                "entity_type": span.entity,
                "key": self.job.key,
                "of": span.of,
                "subject": person.subject,
                # Another subject's name may not be read again by this one's key: that key outlives the other's.
                "subject_key": None if of_another else person.key,
                "names": lambda made: bool(known_spans(made, person.known)),
                "day_first": self.job.privacy.day_first,
            },
        )

    def _names(self, made: str) -> bool:
        return any(mentions([made], self.everybody))


def _refuse_gaps(row: Row, model: Model) -> None:
    for column in (model.subject, model.label):
        if row[column] is None:
            raise ScrubError(
                f"{row['file']} row {row['row']} of delivery {row['delivery']} has no {column}; "
                "make it required in the contract, so that such rows are set aside"
            )


def _starts_of_others(text: str, named: Sequence[Span], own: Sequence[Span]) -> list[int]:
    """Where somebody else of the delivery is named, in order."""
    mine = merge(text, own)
    ends = [span.end for span in mine]

    def is_mine(span: Span) -> bool:
        at = bisect_left(ends, span.start + 1)
        return at < len(mine) and mine[at].start < span.end

    return sorted(span.start for span in named if not is_mine(span))
