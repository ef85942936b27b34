"""What a word means, standing alone: the base's vector of it, asked once a word and not once a place.

Half is the mean of the base's embeddings of the word's pieces, half what its first layers make of them.
"""

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch

BATCH = 16  # words that the base is asked about at once, always
LAYERS = 2  # of the base that are asked; more cost more and were not needed
MOST_PIECES = 12
PIECE_SCALE = 10  # brings the pieces' embeddings to the size of what the layers make of them


class Meaning:
    """Vectors of words from the base in `folder`."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        encoder: Any = AutoModel.from_pretrained(folder, dtype=torch.float32, local_files_only=True).eval()
        self.embeddings = encoder.embeddings.to(torch.bfloat16)
        self.layers = encoder.encoder.layer[:LAYERS].to(torch.bfloat16)

    @torch.inference_mode()
    def __call__(self, words: Sequence[str]) -> torch.Tensor:
        """bfloat16 [words, 2 · hidden]; zeros for what the tokenizer sees nothing in."""
        vectors = torch.zeros(len(words), 2 * self.embeddings.word_embeddings.embedding_dim, dtype=torch.bfloat16)
        speakable = [word.encode("utf-8", "replace").decode() for word in words]
        pieces = self.tokenizer(speakable, truncation=True, max_length=MOST_PIECES)["input_ids"]
        # The base is asked in one shape for each number of pieces, and nothing is padded: how a processor
        # rounds depends on the shape, and a word's vector must not change with its company.
        order = sorted(range(len(words)), key=lambda row: len(pieces[row]))
        for length, alike in groupby(order, key=lambda row: len(pieces[row])):
            rows = list(alike) if length > 2 else []  # the first and the last piece are the base's own
            for start in range(0, len(rows), BATCH):
                some = rows[start : start + BATCH]
                ids = torch.tensor([pieces[row] for row in [*some, *[some[0]] * (BATCH - len(some))]])
                vectors[some] = self._vectors(ids)[: len(some)]
        return vectors

    def _vectors(self, ids: torch.Tensor) -> torch.Tensor:
        states = self.embeddings(input_ids=ids)
        for layer in self.layers:  # one by one: with a mask that hides nothing the base takes a third longer
            states = layer(states)
        embedded = self.embeddings.word_embeddings(ids)[:, 1:-1].mean(1)
        return torch.cat([embedded * PIECE_SCALE, states[:, 1:-1].mean(1)], 1)
