"""What a word means, standing alone: the base's vector of it, asked once a word and not once a place.

Half is the mean of the base's embeddings of the word's pieces, half what its layers make of them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

BATCH = 256
LAYERS = 2  # of the base


class Meaning:
    """Vectors of words from the base in `folder`."""

    def __init__(self, folder: Path, layers: int = LAYERS) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self.encoder: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
        self.encoder.encoder.layer = self.encoder.encoder.layer[:layers]
        self.encoder = self.encoder.to(torch.bfloat16)

    @torch.inference_mode()
    def __call__(self, words: Sequence[str]) -> torch.Tensor:
        """bfloat16 [words, 768]."""
        vectors = torch.zeros(len(words), 768, dtype=torch.bfloat16)
        pieces = self.tokenizer(list(words), add_special_tokens=True, truncation=True, max_length=12)["input_ids"]
        order = sorted(range(len(words)), key=lambda i: len(pieces[i]))
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            longest = len(pieces[rows[-1]])
            ids = torch.tensor([pieces[i] + [0] * (longest - len(pieces[i])) for i in rows])
            mask = (ids != 0).long()
            inner = mask.clone()
            inner[:, 0] = 0  # not [CLS]
            inner.scatter_(1, mask.sum(1, keepdim=True) - 1, 0)  # not [SEP]
            weights = (inner / inner.sum(1, keepdim=True).clamp(min=1)).unsqueeze(-1).to(torch.bfloat16)
            lookup = self.encoder.embeddings.word_embeddings(ids)
            hidden = self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            both = torch.cat([(lookup * weights).sum(1) * 10, (hidden * weights).sum(1)], 1)
            vectors[rows] = both.to(torch.bfloat16)
        return vectors
