"""The LoRA engine: one resident base, adapters mounted on it, texts to labels. A plain library; it knows no Triton."""

from serving.engine.adapters import AdapterRefused
from serving.engine.base import BaseUnusable, base_digest, base_folder
from serving.engine.engine import Answer, Engine, NotMounted

__all__ = ["AdapterRefused", "Answer", "BaseUnusable", "Engine", "NotMounted", "base_digest", "base_folder"]
