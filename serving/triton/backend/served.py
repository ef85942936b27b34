"""What answers for a model."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Served:
    """A release that answers. mount: its name in the engine."""

    release: str
    digest: str
    mount: str
