"""Training the tagger: labelled examples to a network, the same from the same seed, in minutes on two cores."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from governance.privacy.examples import Example
from governance.privacy.labels import class_of, entity_of
from governance.privacy.tagger.meaning import Meaning
from governance.privacy.tagger.network import GAP, Network
from governance.privacy.tagger.tokens import CLASSES, known_as, tokenize, words_of, writing

STREAM = 4096  # tokens that are learned from at once
LEARNING_RATE = 2e-3
WEIGHT_DECAY = 0.01
DROPOUT = 0.15
FORGET = 0.12  # of the words' meanings: what remains is how they are written and where they stand
LOG_STEPS = 200

Log = Callable[[str], None]


@dataclass(frozen=True)
class Lesson:
    """An example as numbers: its words' places in the vocabulary, the gaps before them, their classes, all [tokens].

    `known`: bool [classes], whether the source marks what is of this class; only then is O an answer.
    """

    words: torch.Tensor
    gaps: torch.Tensor
    classes: torch.Tensor
    known: torch.Tensor


def lessons(examples: Sequence[Example], vocabulary: dict[str, int], marks: frozenset[str] | None = None) -> list[Lesson]:
    """The examples as numbers; new words are added to `vocabulary`. `marks`: the classes that the source marks, None for all."""
    known = torch.tensor([marks is None or name == "O" or name in marks for name in CLASSES])
    made = []
    for example in examples:
        spans, gaps = tokenize(example.text)
        if not spans:
            continue
        words = [vocabulary.setdefault(known_as(w), len(vocabulary)) for w in words_of(example.text, spans)]
        classes = torch.zeros(len(spans), dtype=torch.long)
        for span in example.spans:
            if entity := entity_of(span.label):
                for i, (start, end) in enumerate(spans):
                    if start < span.end and end > span.start:
                        classes[i] = CLASSES.index(class_of(entity))
        made.append(Lesson(torch.tensor(words), torch.tensor(gaps), classes, known))
    return made


def train(taught: Sequence[Lesson], vocabulary: dict[str, int], base: Path, seed: int, epochs: int, log: Log, layers: int = 2) -> Network:
    """A network that has read every lesson `epochs` times."""
    torch.manual_seed(seed)
    meanings = Meaning(base, layers)(list(vocabulary))
    writings = torch.tensor([writing(word) for word in vocabulary])
    log(f"{len(taught):,} lessons, {sum(len(t.words) for t in taught):,} tokens, {len(vocabulary):,} words")
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY, betas=(0.9, 0.98))
    steps = epochs * sum(1 for _ in _streams(taught, torch.Generator().manual_seed(seed)))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps + epochs * 2 + 2, pct_start=0.1)
    order, step, running = torch.Generator().manual_seed(seed), 0, 0.0
    network.train()
    for _ in range(epochs):
        for words, gaps, real, classes, known in _streams(taught, order):
            loss = _loss(network, meanings, writings, words, gaps, real, classes, known)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            step, running = step + 1, running * 0.98 + 0.02 * loss.item()
            if step % LOG_STEPS == 0:
                log(f"step {step} of {steps}, loss {running:.4f}")
    return network.eval()


def _loss(network, meanings, writings, words, gaps, real, classes, known) -> torch.Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        used, places = words.unique(return_inverse=True)
        meaning, written = meanings[used], writings[used]
        vectors = network.word(meaning, written)[places]

        scores = network(vectors, gaps, real, DROPOUT)
    scores = scores.float()[real[:, 0] > 0]
    # What the source does not mark may be of any class that it does not know.
    allowed = nn.functional.one_hot(classes, len(CLASSES)).bool() | ((classes == 0).unsqueeze(1) & ~known)
    chosen = scores.masked_fill(~allowed, -1e4).logsumexp(1)
    return (scores.logsumexp(1) - chosen).mean()


def _streams(taught: Sequence[Lesson], order: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
    """Lessons in a drawn order, one after another, STREAM tokens at a time, GAP empty places between them."""
    batch: list[Lesson] = []
    tokens = 0
    for row in torch.randperm(len(taught), generator=order).tolist():
        batch.append(taught[row])
        tokens += len(taught[row].words) + GAP
        if tokens >= STREAM:
            yield _stream(batch)
            batch, tokens = [], 0
    if batch:
        yield _stream(batch)


def _stream(batch: Sequence[Lesson]) -> tuple[torch.Tensor, ...]:
    zeros = torch.zeros(GAP, dtype=torch.long)
    words = torch.cat([part for lesson in batch for part in (lesson.words, zeros)])
    gaps = torch.cat([part for lesson in batch for part in (lesson.gaps, zeros)])
    real = torch.cat([torch.ones(len(lesson.words) + GAP).index_fill_(0, torch.arange(len(lesson.words), len(lesson.words) + GAP), 0) for lesson in batch])
    classes = torch.cat([lesson.classes for lesson in batch])
    known = torch.cat([lesson.known.expand(len(lesson.classes), -1) for lesson in batch])
    return words, gaps, real.unsqueeze(1), classes, known
