"""An adapter that the engine would not compute exactly, or that is crafted, is refused by file and fault."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from serving.engine import AdapterRefused, Engine

QUERY = "base_model.model.encoder.layer.0.attention.self.query.lora_A.weight"


@pytest.fixture(scope="module")
def sound(make_adapter: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sound")
    make_adapter(folder)
    return folder


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "adapter"))


def change_json(file: str, **values: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        document = json.loads((folder / file).read_text())
        (folder / file).write_text(json.dumps(document | values))

    return change


def change_tensor(file: str, name: str, change: Callable[[torch.Tensor | None], torch.Tensor | None]) -> Any:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / file)
        tensor = change(tensors.pop(name, None))
        save_file(tensors if tensor is None else tensors | {name: tensor.contiguous()}, folder / file)

    return apply


def config(**values: Any) -> Any:
    return change_json("adapter_config.json", **values)


def head(**values: Any) -> Any:
    return change_json("head.json", **values)


def lora(change: Any, name: str = QUERY) -> Any:
    return change_tensor("adapter_model.safetensors", name, change)


FAULTS = {
    "missing file": (lambda f: (f / "head.json").unlink(), "head.json: is missing"),
    "symlink": (lambda f: _link(f / "head.json"), "head.json: is missing or no plain file"),
    "not JSON": (lambda f: (f / "adapter_config.json").write_text("{"), "adapter_config.json: is not JSON"),
    "JSON list": (lambda f: (f / "head.json").write_text("[]"), "head.json: is not a JSON object"),
    "pickle": (lambda f: torch.save({}, f / "adapter_model.safetensors"), "adapter_model.safetensors: is not safe"),
    "truncated": (lambda f: _cut(f / "adapter_model.safetensors"), "adapter_model.safetensors: is not safetensors"),
    "huge header": (lambda f: (f / "head.safetensors").write_bytes(b"\xff" * 64), "head.safetensors: is not safete"),
    "header of absurd offsets": (
        lambda f: _header(
            f / "head.safetensors", weight={"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}
        ),
        "head.safetensors: is not safetensors",
    ),
    "tensors that overlap": (
        lambda f: _header(
            f / "head.safetensors",
            weight={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            bias={"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
        ),
        "head.safetensors: is not safetensors",
    ),
    "rank over limit": (config(r=4096), "rank r is 4096"),
    "rank not a number": (config(r=True), "rank r is True"),
    "other rank": (config(r=8), r"lora_A.weight has shape \[4, 384\], the base wants \[8, 384\]"),
    "alpha NaN": (config(lora_alpha=float("nan")), "lora_alpha is nan"),
    "DoRA": (config(use_dora=True), "sets use_dora"),
    "rank pattern": (config(rank_pattern={"query": 2}), "sets rank_pattern"),
    "unknown option": (config(future_option="x"), "sets future_option"),
    "base changing start": (config(init_lora_weights="pissa"), "'pissa' changes the base"),
    "other method": (config(peft_type="IA3"), "peft_type is 'IA3'"),
    "NaN": (lora(lambda t: torch.full_like(t, float("nan"))), "query.lora_A.weight holds NaN"),
    "infinity": (lora(lambda t: torch.full_like(t, float("inf"))), "holds NaN or infinity"),
    "integers": (lora(lambda t: t.int()), "is torch.int32"),
    "wrong width": (lora(lambda t: t[:, :7]), r"shape \[4, 7\]"),
    "half a pair": (lora(lambda t: None), "query.lora_A.weight is missing"),
    "no linear module": (
        lora(lambda t: torch.ones(4, 4), "base_model.model.embeddings.word_embeddings.lora_A.weight"),
        "belongs to no linear module",
    ),
    "path as a name": (lora(lambda t: torch.ones(4, 4), "../../x.lora_A.weight"), "belongs to no linear module"),
    "label too many": (head(labels=["a", "b", "c", "d"]), r"weight has shape \[3, 384\], the base wants \[4, 384\]"),
    "label twice": (head(labels=["a", "a", "b"]), "3 labels; allowed"),
    "label no string": (head(labels=["a", 1, "b"]), "non-empty strings"),
    "one label": (head(labels=["a"]), "1 labels"),
    "other pooling": (head(pooling="cls"), "pooling 'cls'"),
    "too many tokens": (head(max_tokens=100_000), "max_tokens is 100000, this base takes 3 to 512"),
    "head tensor added": (
        change_tensor("head.safetensors", "extra", lambda t: torch.ones(1)),
        r"holds tensors \['bias', 'extra', 'weight'\]",
    ),
    "head of other width": (change_tensor("head.safetensors", "weight", lambda t: t[:, :5]), r"shape \[3, 5\]"),
}


def _link(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


def _header(path: Path, **tensors: dict[str, Any]) -> None:
    header = json.dumps(tensors).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_adapter_is_refused_and_the_one_before_stays(engine: Engine, folder: Path, fault: str) -> None:
    change, message = FAULTS[fault]
    engine.mount("before", folder)
    wanted = engine.classify(["my card"], ["before"])
    change(folder)
    with pytest.raises(AdapterRefused, match=message):
        engine.mount("before", folder)
    assert engine.classify(["my card"], ["before"]) == wanted
    engine.unmount("before")


def test_the_bare_base_with_a_head_can_be_mounted(engine: Engine, folder: Path) -> None:
    save_file({}, folder / "adapter_model.safetensors")
    engine.mount("bare", folder)
    assert len(engine.classify(["my card"], ["bare"])[0].scores) == 3
    engine.unmount("bare")
