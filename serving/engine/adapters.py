"""Reading a release folder's adapter and head, and refusing everything the engine would not compute exactly.

The files are data from outside: safetensors and JSON only, and every name, shape and number is checked against the
resident base before a tensor is kept. Who signed them is not asked here (governance/custody/verify.py).
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from governance.custody.canonical import sha256_bytes

if TYPE_CHECKING:
    from torch import Tensor

ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors")
RANK_LIMIT = 64
SIZE_LIMIT = 512 << 20
LABEL_LIMIT = 10_000
TENSOR_PREFIX = "base_model.model."

# peft settings that say where the adapter came from or which modules it has (the tensors say that again).
# Any other setting changes the arithmetic, so it must be off.
NEUTRAL = {
    "auto_mapping", "base_model_name_or_path", "exclude_modules", "inference_mode", "init_lora_weights",
    "layers_pattern", "layers_to_transform", "lora_alpha", "lora_dropout", "peft_type", "peft_version", "r", "revision",
    "target_modules", "task_type", "use_rslora",
    "megatron_core", "qalora_group_size", "loftq_config", "corda_config", "eva_config",
}  # fmt: skip
OFF: tuple[object, ...] = (None, False, 0, [], {}, "none")


class AdapterRefused(ValueError):
    """An adapter cannot be mounted; the message says what is wrong and in which file."""


@dataclass(frozen=True)
class Adapter:
    """One release, ready to compute.

    layers: module name → (A [in, r], B [r, out]), float32, B already scaled, so that delta = x @ A @ B.
    weight [hidden, labels] and bias [labels]: the head.
    """

    labels: tuple[str, ...]
    max_tokens: int
    layers: dict[str, tuple["Tensor", "Tensor"]]
    weight: "Tensor"
    bias: "Tensor"

    @property
    def rank(self) -> int:
        return max((a.shape[1] for a, _ in self.layers.values()), default=0)


@dataclass(frozen=True)
class BaseShape:
    """What an adapter must fit. linears: module name → (in, out)."""

    linears: dict[str, tuple[int, int]]
    hidden: int
    positions: int


def load_adapter(folder: Path, base: BaseShape, expect: Mapping[str, str] | None = None) -> Adapter:
    """The adapter in `folder`. Raises AdapterRefused.

    expect: file name → sha256 that was verified. The bytes that are used must have it, so a file that changes
    between verification and this call is refused.
    """
    bodies = {name: _read(folder / name, expect) for name in ADAPTER_FILES}
    rank, scale = _rank_and_scale(folder, _json(folder / "adapter_config.json", bodies))
    labels, max_tokens = _head_facts(folder, _json(folder / "head.json", bodies), base)
    lora = _tensors(folder / "adapter_model.safetensors", bodies)
    head = _tensors(folder / "head.safetensors", bodies)
    where = folder / "head.safetensors"
    if set(head) != {"weight", "bias"}:
        raise AdapterRefused(f"{where}: holds tensors {sorted(head)}, a head has exactly `weight` and `bias`")
    _shape(where, "weight", head["weight"], (len(labels), base.hidden))
    _shape(where, "bias", head["bias"], (len(labels),))
    layers = _layers(folder / "adapter_model.safetensors", lora, base, rank, scale)
    return Adapter(labels, max_tokens, layers, _own(head["weight"].T), _own(head["bias"]))


def _read(path: Path, expect: Mapping[str, str] | None) -> bytes:
    if path.is_symlink() or not path.is_file():
        raise AdapterRefused(f"{path}: is missing or no plain file; stage the release again")
    if path.stat().st_size > SIZE_LIMIT:
        raise AdapterRefused(f"{path}: {path.stat().st_size} bytes, an adapter's file has at most {SIZE_LIMIT}")
    body = path.read_bytes()
    if expect is not None and sha256_bytes(body) != expect.get(path.name):
        raise AdapterRefused(f"{path}: changed after it was verified; stage the release again")
    return body


def _json(path: Path, bodies: Mapping[str, bytes]) -> dict[str, Any]:
    try:
        document = json.loads(bodies[path.name])
    except ValueError as broken:
        raise AdapterRefused(f"{path}: is not JSON: {broken}") from broken
    if not isinstance(document, dict):
        raise AdapterRefused(f"{path}: is not a JSON object")
    return document


def _tensors(path: Path, bodies: Mapping[str, bytes]) -> dict[str, "Tensor"]:
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        tensors = load(bodies[path.name])
    except (SafetensorError, KeyError, ValueError) as broken:
        raise AdapterRefused(f"{path}: is not safetensors: {broken}") from broken
    for name, tensor in tensors.items():
        if tensor.dtype not in (torch.float32, torch.float16, torch.bfloat16):
            raise AdapterRefused(f"{path}: tensor {name} is {tensor.dtype}, allowed are float32, float16, bfloat16")
        if not bool(torch.isfinite(tensor).all()):
            raise AdapterRefused(f"{path}: tensor {name} holds NaN or infinity")
    return tensors


def _rank_and_scale(folder: Path, config: dict[str, Any]) -> tuple[int, float]:
    """Rank, and the factor on B @ A @ x: alpha / r, or alpha / sqrt(r) for rank-stabilized LoRA (arXiv 2312.03732)."""
    where = folder / "adapter_config.json"
    if config.get("peft_type") != "LORA":
        raise AdapterRefused(f"{where}: peft_type is {config.get('peft_type')!r}, the engine computes LORA")
    if active := sorted(key for key, value in config.items() if key not in NEUTRAL and value not in OFF):
        raise AdapterRefused(f"{where}: sets {', '.join(active)}, which the engine does not compute; train without")
    if (start := config.get("init_lora_weights", True)) not in (True, False, "gaussian", "orthogonal"):
        raise AdapterRefused(f"{where}: init_lora_weights {start!r} changes the base; the base is shared and fixed")
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if not isinstance(rank, int) or isinstance(rank, bool) or not 1 <= rank <= RANK_LIMIT:
        raise AdapterRefused(f"{where}: rank r is {rank!r}, allowed are 1 to {RANK_LIMIT}")
    if not isinstance(alpha, int | float) or isinstance(alpha, bool) or not math.isfinite(alpha):
        raise AdapterRefused(f"{where}: lora_alpha is {alpha!r}, it must be a number")
    return rank, alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)


def _head_facts(folder: Path, head: dict[str, Any], base: BaseShape) -> tuple[tuple[str, ...], int]:
    where = folder / "head.json"
    labels, max_tokens = head.get("labels"), head.get("max_tokens")
    if not isinstance(labels, list) or not all(isinstance(label, str) and label for label in labels):
        raise AdapterRefused(f"{where}: `labels` must be a list of non-empty strings")
    if not 2 <= len(labels) <= LABEL_LIMIT or len(set(labels)) != len(labels):
        raise AdapterRefused(f"{where}: {len(labels)} labels; allowed are 2 to {LABEL_LIMIT}, each once")
    if head.get("pooling") != "mean" or head.get("dtype") != "float32":
        found = f"pooling {head.get('pooling')!r}, dtype {head.get('dtype')!r}"
        raise AdapterRefused(f"{where}: {found}; the engine computes mean, float32")
    if not isinstance(max_tokens, int) or isinstance(max_tokens, bool) or not 3 <= max_tokens <= base.positions:
        raise AdapterRefused(f"{where}: max_tokens is {max_tokens!r}, this base takes 3 to {base.positions}")
    return tuple(labels), max_tokens


def _layers(
    where: Path, tensors: dict[str, "Tensor"], base: BaseShape, rank: int, scale: float
) -> dict[str, tuple["Tensor", "Tensor"]]:
    modules = set()
    for name in tensors:
        module, _, part = name.removeprefix(TENSOR_PREFIX).rpartition(".lora_")
        if not name.startswith(TENSOR_PREFIX) or module not in base.linears or part not in ("A.weight", "B.weight"):
            raise AdapterRefused(f"{where}: tensor {name} belongs to no linear module of the base")
        modules.add(module)
    layers = {}
    for module in sorted(modules):
        wide, out = base.linears[module]
        names = [f"{TENSOR_PREFIX}{module}.lora_{part}.weight" for part in "AB"]
        if absent := [name for name in names if name not in tensors]:
            raise AdapterRefused(f"{where}: tensor {absent[0]} is missing")
        a, b = tensors[names[0]], tensors[names[1]]
        _shape(where, names[0], a, (rank, wide))
        _shape(where, names[1], b, (out, rank))
        layers[module] = (_own(a.T), _own(b.float().T * scale))
    return layers


def _shape(where: Path, name: str, tensor: "Tensor", wanted: tuple[int, ...]) -> None:
    if tuple(tensor.shape) != wanted:
        raise AdapterRefused(f"{where}: tensor {name} has shape {list(tensor.shape)}, the base wants {list(wanted)}")


def _own(tensor: "Tensor") -> "Tensor":
    """A contiguous float32 copy in memory of its own: an odd address in a file's buffer may change a sum's last bit."""
    import torch

    return tensor.to(torch.float32).contiguous().clone()
