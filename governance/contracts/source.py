"""The one shape in which a delivered file travels from ingestion to normalization."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """One file of one delivery: `name` is its name in the delivery, `path` where its bytes lie on this machine now."""

    delivery: str
    name: str
    path: Path
