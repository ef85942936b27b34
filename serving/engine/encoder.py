"""The resident base: token ids to pooled vectors, with each row's adapter applied from its slot."""

import sys
import threading
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from serving.engine.adapters import BaseShape
from serving.engine.base import BaseUnusable
from serving.engine.packed import pack
from serving.engine.slots import Slot, Slots

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class Encoder:
    """A transformers encoder from `folder`, its weights shared by all adapters. Raises BaseUnusable.

    pages, most_bytes: of the adapters, see Slots.
    """

    def __init__(self, folder: Path, dtype: str, pages: int, most_bytes: int = sys.maxsize) -> None:
        self._model, self._tokenizer = _load(folder, DTYPES[dtype])
        linears = {name: module for name, module in self._model.named_modules() if isinstance(module, nn.Linear)}
        self.shape = BaseShape(
            {name: (module.in_features, module.out_features) for name, module in linears.items()},
            self._model.config.hidden_size,
            self._model.config.max_position_embeddings,
        )
        self._model.pooler = None  # the mean of the states is asked for, never the pooler
        self.slots = Slots(
            {name: linear for name, linear in linears.items() if not name.startswith("pooler.")}, pages, most_bytes
        )
        self.bytes = sum(weights.nbytes for weights in self._model.parameters())  # of the base alone
        for linear in linears.values():
            pack(linear)
        self._truncating = lru_cache(maxsize=64)(self._truncating_at)
        self._here = threading.local()
        for part in _parts(self._model):
            part.register_forward_pre_hook(self._before_part)

    @property
    def device(self) -> str:
        """cpu or cuda."""
        return str(self._model.device.type)

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        """Token ids of each text, special tokens included, cut at `max_tokens`."""
        return [encoding.ids for encoding in self._truncating(max_tokens).encode_batch(list(texts))]

    @torch.inference_mode()
    def pooled(
        self,
        tokens: Sequence[list[int]],
        slots: Sequence[Slot | None],
        before_part: Callable[[], object] | None = None,
    ) -> Tensor:
        """Mean of the last states over each row's own tokens: float32 [rows, hidden].

        before_part: called before each part of the base's layers, attention, feed-forward; it may ask for other rows
        meanwhile.
        """
        device = self._model.device
        lengths = torch.tensor([len(ids) for ids in tokens], device=device)
        ids = nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in tokens], batch_first=True, padding_value=self._model.config.pad_token_id or 0
        ).to(device)
        mask = torch.arange(ids.shape[1], device=device) < lengths[:, None]
        with self.slots.applied(slots):
            self._here.before_part = before_part
            states = self._model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return (states.float() * mask[..., None]).sum(1) / lengths[:, None]

    def _before_part(self, _part: nn.Module, _inputs: Any) -> None:
        if before_part := self._here.before_part:
            before_part()
            self._here.before_part = before_part  # other rows have theirs

    def _truncating_at(self, length: int) -> Any:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_str(self._tokenizer.to_str())
        tokenizer.no_padding()
        tokenizer.enable_truncation(length)
        return tokenizer


def _parts(model: Any) -> list[nn.Module]:
    """Those that a pass goes through one after the other, layer by layer; none where the base has no list of layers."""
    lists = [each for each in model.modules() if isinstance(each, nn.ModuleList)]
    layers = next((each for each in lists if len(each) == model.config.num_hidden_layers), ())
    return [part for layer in layers for part in layer.children()]


def _load(folder: Path, dtype: torch.dtype) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging

    logging.disable_progress_bar()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        model = AutoModel.from_pretrained(folder, local_files_only=True, dtype=dtype).to(device)
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True).backend_tokenizer
    except (OSError, ValueError, AttributeError) as cause:
        raise BaseUnusable(f"{folder} cannot be loaded as a base: {cause}") from cause
    for parameter in model.parameters():  # memory of its own, see adapters._own
        parameter.requires_grad_(False)
        parameter.data = parameter.data.clone()
    return model.eval(), tokenizer
