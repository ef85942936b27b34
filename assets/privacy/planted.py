"""Canaries in copies of rows: they go through a scrub as every row does, and nothing of them is written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from assets.privacy.rows import BATCH_ROWS, Row, each_row, free_columns, joined
from governance.privacy.canaries import Canary, canaries, left
from governance.tenants import Model


@dataclass(frozen=True)
class Planted:
    """How many went through, and the kind and format of each that was not gone afterwards."""

    count: int
    left: list[tuple[str, str]]


class Flock:
    """`count` canaries for the first rows of a file, each row copied as often as it takes."""

    def __init__(self, count: int, seed: str, rows: Path, model: Model) -> None:
        self.model, self.columns = model, free_columns(model)[:1]
        self.copied = list(islice(each_row(rows, model), BATCH_ROWS)) if count and self.columns else []
        self.canaries = canaries(count, seed) if self.copied else []

    @property
    def declared(self) -> list[str]:
        """Names that another row would declare."""
        return [canary.declared for canary in self.canaries if canary.declared]

    def rows(self) -> Iterator[Row]:
        for i, (canary, row) in enumerate(self._pairs()):
            text = str(row[self.columns[0]] or "")
            yield {**row, self.columns[0]: f"{canary.text}\n{text}" if i % 2 else f"{text}\n{canary.text}"}

    def survivors(self, texts: list[str], plausible: bool) -> Planted:
        """What became of them, given the scrubbed text of each row, in which there may be plausible stand-ins."""
        pairs = zip(self._pairs(), texts, strict=True)
        leaks = [(c.kind, c.format) for (c, row), text in pairs if left(c, joined(row, self.model), text, plausible)]
        return Planted(len(self.canaries), leaks)

    def _pairs(self) -> Iterator[tuple[Canary, Row]]:
        return ((canary, self.copied[i % len(self.copied)]) for i, canary in enumerate(self.canaries))
