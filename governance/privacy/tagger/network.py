"""The network: a word's vector from its meaning and its writing, then convolutions that let neighbours speak.

Texts run one after another in a single stream with gaps between them, so nothing is padded to a common length. A
token hears REACH tokens to each side and no more: a text may be cut there and the answer stays what it was.
"""

import torch
from torch import nn

from governance.privacy.tagger.tokens import BUCKETS, CLASSES, GAPS, SHAPES

WIDTH = 256
DILATIONS = (1, 2, 4, 2, 1)
REACH = sum(DILATIONS)
GAP = max(DILATIONS)  # empty places between two texts, as far as one layer hears
MEANING = 768  # numbers that say what a word means: see meaning.py


class Network(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.meaning = nn.Linear(MEANING, WIDTH)
        self.parts = nn.ModuleList(nn.Embedding(BUCKETS, WIDTH) for _ in range(3))
        self.shape = nn.Embedding(SHAPES, WIDTH)
        self.gap = nn.Embedding(GAPS, WIDTH)
        self.first = nn.LayerNorm(WIDTH)
        self.layers = nn.ModuleList(nn.Linear(WIDTH, 3 * WIDTH) for _ in DILATIONS)
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in DILATIONS)
        self.head = nn.Linear(WIDTH, len(CLASSES))
        for embedding in [*self.parts, self.shape, self.gap]:
            nn.init.normal_(embedding.weight, std=0.1)

    def word(self, meaning: torch.Tensor, writing: torch.Tensor) -> torch.Tensor:
        """A word's own vector: [words, WIDTH] of its meaning [words, MEANING] and writing, int64 [words, 4]."""
        parts = sum(part(writing[:, i]) for i, part in enumerate(self.parts))
        return self.meaning(meaning) + parts + self.shape(writing[:, 3])

    def forward(self, words: torch.Tensor, gaps: torch.Tensor, real: torch.Tensor, drop: float = 0.0) -> torch.Tensor:
        """Scores [tokens, classes] of a stream of word vectors; `real` [tokens, 1] is 0 at the gaps between texts."""
        x = self.first(words + self.gap(gaps)) * real
        x = nn.functional.dropout(x, drop, self.training)
        for dilation, layer, norm in zip(DILATIONS, self.layers, self.norms, strict=True):
            before, heard, after = layer(x).split(WIDTH, 1)
            heard = heard.clone()
            heard[dilation:] += before[:-dilation]
            heard[:-dilation] += after[dilation:]
            heard = nn.functional.dropout(torch.relu(heard), drop, self.training)
            x = norm(x + heard) * real
        return self.head(x)
