"""Reading texts with a trained network: texts in, spans out. Same text, same spans, whatever stands beside it."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors.torch import load_file

from governance.privacy.released import NETWORK, SETTINGS
from governance.privacy.spans import Span
from governance.privacy.tagger.meaning import Meaning
from governance.privacy.tagger.network import GAP, REACH, WIDTH, Network
from governance.privacy.tagger.tokens import CLASSES, known_as, tokenize, writing

STREAM = 4096  # tokens that are read at once
PIECE = 1024  # tokens; a longer text is cut, each piece with what it needs to hear
WORD = 64  # tokens that a piece may have more, so that it ends with a word
REMEMBERED = 1 << 16  # words whose vectors are kept
WRITTEN_WHOLE = ("PERSON", "LOCATION", "ADDRESS", "ID")  # of such a word no part is left
NO_NAME = ("based", "born", "era", "free", "led", "like", "made", "owned", "run", "style")  # behind a name and a hyphen
SURE = 0.88  # what the network's certainty is worth beside a rule's


class Tagger:
    """Reads texts; its memory of words is bounded and changes no answer."""

    def __init__(self, folder: Path, base: Path) -> None:
        self.threshold = float(json.loads((folder / SETTINGS).read_text())["threshold"])
        self.network = Network()
        self.network.load_state_dict(load_file(folder / NETWORK))
        self.network.eval().to(torch.bfloat16)
        self.meaning = Meaning(base)
        self.vectors = torch.zeros(REMEMBERED, WIDTH, dtype=torch.bfloat16)
        self.places: dict[str, int] = {}

    def __call__(self, texts: Sequence[str]) -> list[list[Span]]:
        """The spans of each text, in order, not overlapping. Computes on one thread: other cores have other texts."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return self._spans(texts)
        finally:
            torch.set_num_threads(threads)

    def _spans(self, texts: Sequence[str]) -> list[list[Span]]:
        answers: list[list[Span]] = [[] for _ in texts]
        for pieces in _streams(texts):
            classes, sure = self._read(pieces)
            at = GAP
            for piece in pieces:
                _decode(piece, classes, sure, at, answers[piece.text])
                at += len(piece.spans) + GAP
        return answers

    @torch.inference_mode()
    def _read(self, pieces: Sequence["Piece"]) -> tuple[list[int], list[float]]:
        """Class and certainty of each token of the stream, 0 where it is nobody's."""
        silence = [0] * GAP
        words = self._vectors([*[""] * GAP, *(word for piece in pieces for word in (*piece.words, *[""] * GAP))])
        gaps = torch.tensor([*silence, *(gap for piece in pieces for gap in (*piece.gaps, *silence))])
        real = [*silence, *(r for piece in pieces for r in (*[1] * len(piece.spans), *silence))]
        shares = self.network(words, gaps, torch.tensor(real, dtype=torch.bfloat16).unsqueeze(1)).float().softmax(1)
        classes = shares[:, 1:].argmax(1)
        anyone = 1 - shares[:, 0]
        return torch.where(anyone >= self.threshold, classes + 1, 0).tolist(), anyone.tolist()

    def _vectors(self, words: Sequence[str]) -> torch.Tensor:
        """The vector of each word; those not seen lately are made first."""
        places = [self.places.get(word, -1) for word in words]
        unknown = {i: known_as(words[i]) for i, place in enumerate(places) if place < 0}
        new = [form for form in dict.fromkeys(unknown.values()) if form not in self.places]
        if len(self.places) + len(new) > REMEMBERED:
            self.places.clear()
            return self._vectors(words)
        if new:
            self._remember(new)
        for i, form in unknown.items():
            places[i] = self.places[form]
        return self.vectors[torch.tensor(places)]

    def _remember(self, words: Sequence[str]) -> None:
        start = len(self.places)
        made = self.network.word(self.meaning(words), torch.tensor([writing(word) for word in words]))
        self.vectors[start : start + len(words)] = made
        self.places.update(zip(words, range(start, start + len(words)), strict=True))


class Piece(NamedTuple):
    """Tokens of text number `text`; those from `first` to `last` are answered, the others only heard."""

    text: int
    spans: Sequence[tuple[int, int]]
    words: Sequence[str]
    gaps: Sequence[int]
    first: int
    last: int


def _streams(texts: Sequence[str]) -> Iterator[list[Piece]]:
    stream: list[Piece] = []
    tokens = 0
    for piece in (piece for number, text in enumerate(texts) for piece in _pieces(number, text)):
        if stream and tokens + len(piece.spans) > STREAM:
            yield stream
            stream, tokens = [], 0
        stream.append(piece)
        tokens += len(piece.spans) + GAP
    if stream:
        yield stream


def _pieces(number: int, text: str) -> Iterator[Piece]:
    spans, gaps = tokenize(text)
    start = 0
    while start < len(spans):
        stop = min(start + PIECE, len(spans))
        while stop < min(start + PIECE + WORD, len(spans)) and not gaps[stop]:
            stop += 1
        a, b = max(0, start - REACH), min(len(spans), stop + REACH)
        heard = spans[a:b]
        yield Piece(number, heard, [text[i:j] for i, j in heard], gaps[a:b], start - a, stop - a)
        start = stop


def _decode(piece: Piece, classes: Sequence[int], sure: Sequence[float], at: int, into: list[Span]) -> None:
    """Neighbouring tokens of one class become one span, and what is written in one with them is theirs."""
    begun = -1
    for i in range(piece.first, piece.last + 1):
        kind = classes[at + i] if i < piece.last else 0
        if begun >= 0 and kind != classes[at + begun]:
            score = SURE * sum(sure[at + begun : at + i]) / (i - begun)
            entity = CLASSES[classes[at + begun]]
            first, after = _whole(piece, classes, at, begun, i) if entity in WRITTEN_WHOLE else (begun, i)
            start, end = piece.spans[first][0], piece.spans[after - 1][1]
            into.append(Span(start, end, entity, round(score, 3), "tagger"))
            begun = -1
        if kind and begun < 0:
            begun = i


def _whole(piece: Piece, classes: Sequence[int], at: int, begun: int, end: int) -> tuple[int, int]:
    """The span with the rest of its first and its last word: `jdoe` + `42`, `X4A` + `2`, `Min` + `-jun`."""

    def one_word(i: int) -> bool:
        """Whether tokens i - 1 and i are letters and figures of one word."""
        return not piece.gaps[i] and piece.words[i - 1].isalnum() and piece.words[i].isalnum()

    while begun > piece.first and not classes[at + begun - 1] and one_word(begun):
        begun -= 1
    while end < piece.last and not classes[at + end] and one_word(end):
        end += 1
    behind = slice(end, end + 2)
    sign, word = (*piece.words[behind], "", "")[:2]
    hyphened = sign == "-" and word.isalpha() and word not in NO_NAME and not any(piece.gaps[behind])
    if hyphened and end + 1 < piece.last and not any(classes[at + end : at + end + 2]):
        end += 2
    return begun, end
