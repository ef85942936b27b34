"""What a word means, standing alone: the base's vector of it, asked once a word and not once a place.

Half is the mean of the base's embeddings of the word's pieces, half what its first layers make of them.
"""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch

PIECES = 64  # that the base is asked about at once, always
LAYERS = 2  # of the base that are asked; more cost more and were not needed
LENGTHS = (4, 7, 12)  # in pieces: a word is padded to the next of them, a longer one is cut
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
        pieces = self.tokenizer(speakable, truncation=True, max_length=LENGTHS[-1])["input_ids"]
        # The base is asked in one shape for each of LENGTHS: how a processor rounds depends on the shape, and a word's
        # vector must not change with its company.
        for shorter, length in pairwise((2, *LENGTHS)):  # the first and the last piece are the base's own
            rows = [row for row, its in enumerate(pieces) if shorter < len(its) <= length]
            batch = PIECES // length
            for start in range(0, len(rows), batch):
                some = rows[start : start + batch]
                filled = [pieces[row] for row in [*some, *[some[0]] * (batch - len(some))]]
                vectors[some] = self._vectors(filled, length)[: len(some)]
        return vectors

    def _vectors(self, pieces: Sequence[list[int]], length: int) -> torch.Tensor:
        """Of words of up to so many pieces: bfloat16 [words, 2 · hidden]."""
        ids = torch.tensor([[*its, *[self.tokenizer.pad_token_id] * (length - len(its))] for its in pieces])
        place, count = torch.arange(length)[None], torch.tensor([[len(its)] for its in pieces])
        unseen = torch.zeros(ids.shape, dtype=torch.bfloat16).masked_fill(place >= count, -torch.inf)[:, None, None]
        states = self.embeddings(input_ids=ids)
        for layer in self.layers:
            states = layer(states, attention_mask=unseen)
        own = ((place > 0) & (place < count - 1)).to(torch.bfloat16)[..., None]
        both = torch.cat([self.embeddings.word_embeddings(ids) * PIECE_SCALE, states], 2)
        return (both * own).sum(1) / own.sum(1)
