"""One resident base and the adapters mounted on it.

A batch may mix models. Its rows are ordered by adapter, so that each adapter's rows are one slice; after every
linear module of the base the slice gets its adapter's low-rank product added (the segments of Punica,
arXiv 2310.18547, and S-LoRA, arXiv 2311.03285). A row therefore never meets another model's matrices or its rank:
what a request for one model gets does not depend on what else is mounted, to the last bit.
"""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serving.engine.adapters import Adapter, BaseShape, load_adapter
from serving.engine.base import BaseUnusable

BATCH_TOKENS = 4096  # rows × padded length of one forward pass; larger gains nothing on a CPU

Segments = list[tuple[slice, Adapter]]


class NotMounted(LookupError):
    """A text asks for a model that is not mounted."""


@dataclass(frozen=True)
class Answer:
    """The likeliest label, and every label's probability in the head's order."""

    label: str
    scores: dict[str, float]


class Engine:
    """The base of one folder, resident, with adapters by name.

    Thread-safe: `classify` works on the adapters it found when it was called, so a mount, a replacement or an
    unmount in between changes nothing for it.
    """

    def __init__(self, base: Path) -> None:
        self._encoder, self._tokenizer = _load_base(base)
        linears = {name: m for name, m in self._encoder.named_modules() if isinstance(m, nn.Linear)}
        self._shape = BaseShape(
            {name: (module.in_features, module.out_features) for name, module in linears.items()},
            self._encoder.config.hidden_size,
            self._encoder.config.max_position_embeddings,
        )
        self._batch = threading.local()
        for name, module in linears.items():
            module.register_forward_hook(self._adding(name))
        self._adapters: dict[str, Adapter] = {}
        # A tokenizer's truncation is state inside it; one a length, never changed again, can be shared by threads.
        self._truncating = lru_cache(maxsize=64)(self._truncating_at)

    def mount(self, name: str, folder: Path, expect: Mapping[str, str] | None = None) -> None:
        """Mount the adapter of `folder` under `name`, replacing what had the name. Raises AdapterRefused.

        expect: sha256 by file name, see load_adapter.
        """
        self._adapters[name] = load_adapter(folder, self._shape, expect)

    def unmount(self, name: str) -> None:
        """Forget `name`. Raises NotMounted."""
        if self._adapters.pop(name, None) is None:
            raise NotMounted(f"{name} is not mounted")

    def mounted(self) -> list[str]:
        return sorted(self._adapters)

    def classify(self, texts: Sequence[str], names: Sequence[str]) -> list[Answer]:
        """The answer of model `names[i]` to `texts[i]`, for every i. Raises NotMounted, ValueError."""
        if len(texts) != len(names):
            raise ValueError(f"{len(texts)} texts but {len(names)} model names; one name a text")
        adapters = {name: self._adapter(name) for name in dict.fromkeys(names)}
        tokens = self._tokenize(texts, [adapters[name] for name in names])
        position = {name: at for at, name in enumerate(adapters)}
        answers: list[Answer | None] = [None] * len(texts)
        for rows in _batches([len(ids) for ids in tokens]):
            rows.sort(key=lambda row: (position[names[row]], row))
            segments = _segments([names[row] for row in rows], adapters)
            for row, answer in zip(rows, self._forward([tokens[row] for row in rows], segments), strict=True):
                answers[row] = answer
        return [answer for answer in answers if answer is not None]

    def _adapter(self, name: str) -> Adapter:
        try:
            return self._adapters[name]
        except KeyError:
            raise NotMounted(f"{name} is not mounted; mounted are {', '.join(self.mounted()) or 'none'}") from None

    def _tokenize(self, texts: Sequence[str], adapters: Sequence[Adapter]) -> list[list[int]]:
        tokens: list[list[int]] = [[]] * len(texts)
        for length in {adapter.max_tokens for adapter in adapters}:
            rows = [row for row, adapter in enumerate(adapters) if adapter.max_tokens == length]
            encodings = self._truncating(length).encode_batch([texts[row] for row in rows])
            for row, encoding in zip(rows, encodings, strict=True):
                tokens[row] = encoding.ids
        return tokens

    def _truncating_at(self, length: int) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
        return tokenizer

    @torch.inference_mode()
    def _forward(self, tokens: list[list[int]], segments: Segments) -> list[Answer]:
        lengths = torch.tensor([len(ids) for ids in tokens])
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in tokens],
            batch_first=True,
            padding_value=self._encoder.config.pad_token_id or 0,
        )
        mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
        self._batch.segments = segments
        try:
            states = self._encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        finally:
            self._batch.segments = []
        pooled = (states * mask[..., None]).sum(1) / lengths[:, None]
        return [answer for rows, adapter in segments for answer in _answers(pooled[rows], adapter)]

    def _adding(self, name: str) -> Any:
        """A hook that adds to the output of module `name` [rows, …, out] what each segment's adapter says."""

        def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            for rows, adapter in getattr(self._batch, "segments", ()):
                if matrices := adapter.layers.get(name):
                    narrow = inputs[0][rows].flatten(0, -2) @ matrices[0]
                    output[rows].view(-1, output.shape[-1]).addmm_(narrow, matrices[1])
            return output

        return add


def _load_base(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    try:
        encoder = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except (OSError, ValueError, AttributeError) as cause:
        raise BaseUnusable(f"{folder} cannot be loaded as a base: {cause}") from cause
    for parameter in encoder.parameters():  # memory of its own, see adapters._own
        parameter.requires_grad_(False)
        parameter.data = parameter.data.clone()
    return encoder.eval(), tokenizer


def _batches(lengths: list[int]) -> Iterator[list[int]]:
    """Rows in batches of similar length, so that little is padding, each within BATCH_TOKENS."""
    batch: list[int] = []
    for row in sorted(range(len(lengths)), key=lambda row: (-lengths[row], row)):
        if batch and (len(batch) + 1) * lengths[batch[0]] > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


def _segments(names: list[str], adapters: dict[str, Adapter]) -> Segments:
    """`names` is ordered by model; one slice a model."""
    starts = [at for at in range(len(names)) if at == 0 or names[at] != names[at - 1]]
    return [(slice(a, b), adapters[names[a]]) for a, b in zip(starts, [*starts[1:], len(names)], strict=True)]


def _answers(pooled: Tensor, adapter: Adapter) -> Iterator[Answer]:
    scores = torch.softmax(pooled @ adapter.weight + adapter.bias, dim=-1)
    for winner, row in zip(scores.argmax(dim=-1).tolist(), scores.tolist(), strict=True):
        yield Answer(adapter.labels[winner], dict(zip(adapter.labels, row, strict=True)))
