"""The LoRA engine: one resident base, adapters mounted on it, texts to labels. A plain library; it knows no Triton."""

from typing import TYPE_CHECKING, Any

from serving.engine.adapters import AdapterRefused
from serving.engine.base import BaseUnusable, base_digest, base_folder

if TYPE_CHECKING:
    from serving.engine.batching import Batch, Batcher
    from serving.engine.engine import Answer, Engine, EngineFull, Limits, NotMounted, Row

__all__ = [
    "AdapterRefused",
    "Answer",
    "BaseUnusable",
    "Batch",
    "Batcher",
    "Engine",
    "EngineFull",
    "Limits",
    "NotMounted",
    "Row",
    "base_digest",
    "base_folder",
]


def __getattr__(name: str) -> Any:
    # Whoever asks for a base's digest only should not wait for torch.
    if name not in __all__:
        raise AttributeError(f"serving.engine has no {name!r}")
    from serving.engine import batching, engine

    return getattr(batching if name in ("Batch", "Batcher") else engine, name)
