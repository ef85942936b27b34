"""Training the tagger: labelled examples to a network, the same bits from the same seed."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from assets.training.encoder import reproducible
from governance.privacy.examples import Example
from governance.privacy.labels import class_of, entity_of
from governance.privacy.tagger.meaning import Meaning
from governance.privacy.tagger.network import GAP, Network
from governance.privacy.tagger.tokens import CLASSES, known_as, tokenize, writing

STREAM = 4096  # tokens that are learned from at once
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
DROPOUT = 0.15
WARMUP = 0.1  # of the steps
LOG_STEPS = 100

Log = Callable[[str], None]


class Lesson(NamedTuple):
    """An example as numbers: its words' places in the vocabulary, the gaps before them, their classes, all [tokens].

    `known`: bool [classes], which classes the source marks. O is an answer only about these.
    """

    words: torch.Tensor
    gaps: torch.Tensor
    classes: torch.Tensor
    known: torch.Tensor


class Stream(NamedTuple):
    """Lessons one after another, GAP empty places around each: [tokens]; `real` [tokens, 1] is 0 at an empty place.

    `classes` [real tokens] and `known` [real tokens, classes] leave the empty places out.
    """

    words: torch.Tensor
    gaps: torch.Tensor
    real: torch.Tensor
    classes: torch.Tensor
    known: torch.Tensor


def lessons(
    examples: Iterable[Example], vocabulary: dict[str, int], marks: frozenset[str] | None = None
) -> list[Lesson]:
    """The examples as numbers; their new words are added to `vocabulary`.

    `marks`: the classes that the source marks wherever they occur; None for all.
    """
    known = torch.tensor([marks is None or name == "O" or name in marks for name in CLASSES])
    made = []
    for example in examples:
        spans, gaps = tokenize(example.text)
        if spans:
            words = [vocabulary.setdefault(known_as(example.text[a:b]), len(vocabulary)) for a, b in spans]
            classes = torch.tensor(_classes(example, spans))
            made.append(Lesson(torch.tensor(words), torch.tensor(gaps), classes, known))
    return made


def _classes(example: Example, tokens: Sequence[tuple[int, int]]) -> list[int]:
    classes, marked = [0] * len(tokens), iter(sorted(example.spans, key=lambda s: s.start))
    span = next(marked, None)
    for i, (start, end) in enumerate(tokens):
        while span and span.end <= start:
            span = next(marked, None)
        if span and span.start < end and (entity := entity_of(span.label)):
            classes[i] = CLASSES.index(class_of(entity))
    return classes


def train(
    taught: Sequence[Lesson], vocabulary: dict[str, int], base: Path, seed: int, epochs: int, log: Log
) -> Network:
    """A network that has read every lesson `epochs` times."""
    log(f"{len(taught):,} lessons of {sum(len(t.words) for t in taught):,} tokens, {len(vocabulary):,} words")
    with reproducible(seed):
        meanings = Meaning(base)(list(vocabulary))
        writings = torch.tensor([writing(word) for word in vocabulary])
        network = Network().train()
        optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
        order = torch.Generator().manual_seed(seed)
        streams = [stream for _ in range(epochs) for stream in _streams(taught, order)]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, len(streams), pct_start=WARMUP)
        lately = 0.0
        for step, rows in enumerate(streams, 1):
            loss = _loss(network, meanings, writings, stream_of([taught[row] for row in rows]))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            lately += loss.item()
            if step % LOG_STEPS == 0:
                log(f"step {step:,} of {len(streams):,}, loss {lately / LOG_STEPS:.4f}")
                lately = 0.0
    return network.eval()


def _loss(network: Network, meanings: torch.Tensor, writings: torch.Tensor, stream: Stream) -> torch.Tensor:
    """Mean cross-entropy; where a source marks nothing, any class that it does not know is as good as O."""
    with torch.autocast("cpu", torch.bfloat16):
        used, places = stream.words.unique(return_inverse=True)
        vectors = network.word(meanings[used], writings[used])[places]
        scores = network(vectors, stream.gaps, stream.real, DROPOUT)
    scores = scores.float()[stream.real[:, 0] > 0]
    right = nn.functional.one_hot(stream.classes, len(CLASSES)).bool()
    right |= (stream.classes == 0).unsqueeze(1) & ~stream.known
    return (scores.logsumexp(1) - scores.masked_fill(~right, -1e4).logsumexp(1)).mean()


def _streams(taught: Sequence[Lesson], order: torch.Generator) -> Iterator[list[int]]:
    """The lessons in a drawn order, STREAM tokens at a time."""
    rows: list[int] = []
    tokens = 0
    for row in torch.randperm(len(taught), generator=order).tolist():
        rows.append(row)
        tokens += len(taught[row].words) + GAP
        if tokens >= STREAM:
            yield rows
            rows, tokens = [], 0
    if rows:
        yield rows


def stream_of(batch: Sequence[Lesson]) -> Stream:
    silence, empty = torch.zeros(GAP, dtype=torch.long), torch.zeros(GAP)
    return Stream(
        torch.cat([silence, *(part for lesson in batch for part in (lesson.words, silence))]),
        torch.cat([silence, *(part for lesson in batch for part in (lesson.gaps, silence))]),
        torch.cat([empty, *(part for lesson in batch for part in (torch.ones(len(lesson.words)), empty))]).unsqueeze(1),
        torch.cat([lesson.classes for lesson in batch]),
        torch.cat([lesson.known.expand(len(lesson.words), -1) for lesson in batch]),
    )
