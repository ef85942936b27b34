"""The agreed forward: tokens → encoder (base, maybe with LoRA) → masked mean → linear head. Nothing is trained here.

An adapter's folder is written and read here too: adapter_config.json, adapter_model.safetensors, head.safetensors,
head.json. Serving has an engine of its own that must give the same logits.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from serving.engine.base import BaseUnusable
from serving.engine.parallel import side_by_side

EVALUATION_BATCH = 32


@dataclass
class Classifier:
    """An encoder, with its tokenizer, and a head: all that the forward needs."""

    encoder: Any
    tokenizer: Any
    head: torch.nn.Linear

    def logits(self, batch: "Batch") -> torch.Tensor:
        """Float32 [rows, labels]."""
        scores: torch.Tensor = self.head(pooled(self.encoder, batch))
        return scores


@dataclass(frozen=True)
class Batch:
    """Padded token ids and their mask, int64 [rows, tokens]; `rows` says which texts they are."""

    rows: list[int]
    ids: torch.Tensor
    mask: torch.Tensor


@contextmanager
def reproducible(seed: int) -> Iterator[torch.device]:
    """Same seed, same machine, same bits: seeds torch, fixes its threads, allows deterministic algorithms only.

    Gives the device to compute on. What was set before is set again afterwards.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with a fixed workspace
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        torch.set_num_threads(min(8, os.cpu_count() or 1))  # of the machine, not of the moment: sums follow the threads
        torch.use_deterministic_algorithms(True)
        try:
            yield torch.device("cuda" if torch.cuda.is_available() else "cpu")
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)


def load_base(base: Path) -> tuple[Any, Any]:
    """The encoder (float32, frozen, in evaluation mode) and tokenizer of the folder `base`. Raises BaseUnusable."""
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        encoder = AutoModel.from_pretrained(base, dtype=torch.float32, local_files_only=True)
        tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    except (OSError, ValueError) as error:
        raise BaseUnusable(f"{base} is not a transformers model that can be loaded: {error}") from error
    return encoder.requires_grad_(False).eval(), tokenizer


def tokenize(tokenizer: Any, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
    """Token ids of each text, special tokens included, cut at `max_tokens`."""
    ids: list[list[int]] = tokenizer(list(texts), truncation=True, max_length=max_tokens)["input_ids"]
    return ids


def batches(tokens: Sequence[list[int]], size: int, pad: int, order: torch.Generator | None = None) -> list[Batch]:
    """Batches of texts of like length, so that little is padded; with `order`, drawn and arranged at random."""
    shuffled = range(len(tokens)) if order is None else torch.randperm(len(tokens), generator=order).tolist()
    by_length = sorted(shuffled, key=lambda row: len(tokens[row]))  # stable: chance decides among equals
    groups = [by_length[start : start + size] for start in range(0, len(by_length), size)]
    if order is not None:
        groups = [groups[i] for i in torch.randperm(len(groups), generator=order).tolist()]
    return [_padded(rows, [tokens[row] for row in rows], pad) for rows in groups]


def pooled(encoder: Any, batch: Batch) -> torch.Tensor:
    """Mean of the last hidden state over real tokens: float32 [rows, hidden]."""
    device = encoder.device
    mask = batch.mask.to(device)
    hidden = encoder(input_ids=batch.ids.to(device), attention_mask=mask).last_hidden_state
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    mean: torch.Tensor = (hidden * weights).sum(1) / weights.sum(1)
    return mean


def embed(encoder: Any, tokenizer: Any, texts: Sequence[str], max_tokens: int) -> torch.Tensor:
    """Pooled vectors of `texts` in their order: float32 [texts, hidden] on the CPU."""
    return embed_tokens(encoder, tokenize(tokenizer, texts, max_tokens), tokenizer.pad_token_id)


def embed_tokens(encoder: Any, tokens: Sequence[list[int]], pad: int) -> torch.Tensor:
    """`embed` of texts that are tokens already."""
    vectors = torch.empty(len(tokens), encoder.config.hidden_size)

    def one(batch: Batch) -> None:
        with torch.no_grad():
            vectors[batch.rows] = pooled(encoder, batch).cpu()

    for _ in side_by_side(one, batches(tokens, EVALUATION_BATCH, pad)):
        pass
    return vectors


def save(classifier: Classifier, labels: Sequence[str], max_tokens: int, out: Path) -> None:
    """Write the adapter's four files into `out`: the same classifier always gives the same bytes."""
    from peft import get_peft_model_state_dict

    out.mkdir(parents=True, exist_ok=True)
    config = classifier.encoder.peft_config["default"].to_dict()
    config = {key: sorted(value) if isinstance(value, set) else value for key, value in config.items()}
    config |= {"base_model_name_or_path": None, "inference_mode": True}  # a path would tell the machine, not the base
    head = {"labels": list(labels), "pooling": "mean", "max_tokens": max_tokens, "dtype": "float32"}
    delta = get_peft_model_state_dict(classifier.encoder)
    _write_tensors(delta, out / "adapter_model.safetensors")
    _write_tensors({"weight": classifier.head.weight, "bias": classifier.head.bias}, out / "head.safetensors")
    _write_json(config, out / "adapter_config.json")
    _write_json(head, out / "head.json")


def predict(base: Path, folder: Path, texts: Sequence[str]) -> np.ndarray:
    """Logits of `texts` by the adapter in `folder`, in the order of head.json's labels: float32 [texts, labels]."""
    from peft import PeftModel

    about = json.loads((folder / "head.json").read_text())
    head = load_file(folder / "head.safetensors")
    encoder, tokenizer = load_base(base)
    encoder = PeftModel.from_pretrained(encoder, str(folder)).eval()
    vectors = embed(encoder, tokenizer, texts, about["max_tokens"])
    return torch.nn.functional.linear(vectors, head["weight"], head["bias"]).numpy()


def _padded(rows: list[int], tokens: list[list[int]], pad: int) -> Batch:
    longest = max(map(len, tokens))
    ids = torch.tensor([each + [pad] * (longest - len(each)) for each in tokens])
    mask = torch.tensor([[1] * len(each) + [0] * (longest - len(each)) for each in tokens])
    return Batch(rows=rows, ids=ids, mask=mask)


def _write_tensors(tensors: dict[str, torch.Tensor], path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial)
    partial.replace(path)


def _write_json(document: dict[str, Any], path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n")
    partial.replace(path)
