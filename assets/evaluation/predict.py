"""Contenders and what they answer: the engine that serves clients is the one that is judged."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from serving.engine.parallel import side_by_side

if TYPE_CHECKING:
    from serving.engine.engine import Engine

_PART = 128
_REPORT_SECONDS = 10.0


@dataclass(frozen=True)
class Contender:
    """A release's adapter in `folder`; `name` is the release, `digest` that of its lora_adapter record."""

    name: str
    folder: Path
    digest: str


def predict(engine: "Engine", name: str, texts: Sequence[str], what: str, log: Callable[[str], None]) -> list[str]:
    """The label of each text by the model mounted under `name`; says how far it is every ten seconds."""
    log(f"{what}: {len(texts)} rows")
    parts = [texts[start : start + _PART] for start in range(0, len(texts), _PART)]
    labels: list[str] = []
    told = time.monotonic()
    for answers in side_by_side(lambda part: engine.classify(part, [name] * len(part)), parts):
        labels += [answer.label for answer in answers]
        if time.monotonic() - told > _REPORT_SECONDS:
            told = time.monotonic()
            log(f"{what}: {len(labels)} of {len(texts)} rows")
    return labels


def keep_predictions(sets: Mapping[str, pa.Table], said: Mapping[str, Sequence[str]], path: Path) -> None:
    """What was answered to each evaluation row, by record: no text, which the golden set alone keeps."""
    tables = [
        pa.table({"record_id": table["record_id"], "predicted": pa.array(said[name], pa.string())})
        for name, table in sets.items()
    ]
    pq.write_table(pa.concat_tables(tables), path)
