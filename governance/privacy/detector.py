"""The detector: rules over every text for what has a written form, then a reader for what has none.

Where a detector was released its tagger reads; else spaCy's small model does, and only the sentences in which a
capital is left unexplained. Presidio's analyzer runs the rules; the readers take many texts at once, which Presidio's
one-by-one plumbing does not.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from governance.privacy.names import ORDINARY, fold, name_parts
from governance.privacy.spans import Detector, Span, merge

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

_NAME_WORD = re.compile(r"[^\W_]+(?:['’.](?!s\b)[^\W_]+)*")

NameReader = Callable[[Sequence[str], Sequence[Sequence[Span]]], list[list[Span]]]
"""Names in each text, given what the rules found there."""


def load_detector(folder: Path, base: Path) -> Detector:
    """The cascade of a released detector in `folder`, whose words get their meaning from the base in `base`.

    The rules of people are left out: they guess where the tagger knows.
    """
    from governance.privacy.patterns import WRITTEN
    from governance.privacy.recognizers import RuleRecognizer
    from governance.privacy.tagger.tagger import Tagger

    tagger = Tagger(folder, base)
    return build_detector([RuleRecognizer(WRITTEN)], lambda texts, _: tagger(texts))


def build_detector(
    recognizers: "Sequence[EntityRecognizer] | None" = None, read_names: NameReader | None = None
) -> Detector:
    """A detector of these Presidio recognizers and this reader of names, else of ours. Downloads nothing."""
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
    from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer
    from presidio_analyzer.nlp_engine import NoOpNlpEngine

    from governance.privacy.model_names import ModelNames
    from governance.privacy.recognizers import RuleRecognizer

    class NoContext(ContextAwareEnhancer):
        """Presidio's own copies every result and wants lemmas; our rules carry their cues themselves."""

        def enhance_using_context(self, text, raw_results, *_, **__):  # type: ignore[no-untyped-def]
            return raw_results

    registry = RecognizerRegistry(list(recognizers or [RuleRecognizer()]), supported_languages=["en"])
    engine = NoOpNlpEngine([{"lang_code": "en", "model_name": "none"}])
    analyzer = AnalyzerEngine(registry, engine, context_aware_enhancer=NoContext(0, 0, 0, 0))
    entities = analyzer.get_supported_entities("en")
    read = read_names or ModelNames()

    def by_rules(text: str) -> list[Span]:
        found = analyzer.analyze(text, "en", entities)
        makers = [result.recognition_metadata["recognizer_name"] for result in found]
        spans = (Span(r.start, r.end, r.entity_type, r.score, by) for r, by in zip(found, makers, strict=True))
        return merge(text, spans)

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        ruled = {text: by_rules(text) for text in dict.fromkeys(texts)}  # a repeated text is answered once
        named = read(list(ruled), list(ruled.values()))
        together = (
            (text, merge(text, [*spans, *names])) for (text, spans), names in zip(ruled.items(), named, strict=True)
        )
        answers = {text: _with_echoes(text, spans) for text, spans in together}
        return [answers[text] for text in texts]

    return detect


def _with_echoes(text: str, spans: list[Span]) -> list[Span]:
    """Also the places where a part of a name found in this text stands alone: `Thomas Wilson … Mrs. Wilson`."""
    whole: dict[str, str] = {}
    for name in sorted(
        {s.of or text[s.start : s.end] for s in spans if s.entity == "PERSON"}, key=lambda n: (len(n), n)
    ):
        whole.update({part: name for part in name_parts(name) if len(part) > 2 and part[0].isupper()})
    parts = {part for part in whole if fold(part) not in ORDINARY}
    if not parts:
        return spans
    echoes = [
        Span(*match.span(), "PERSON", 0.65, "echo", whole[match[0]])
        for match in _NAME_WORD.finditer(text)
        if match[0] in parts
    ]
    return merge(text, [_in_full(text, span, whole) for span in spans] + echoes)


def _in_full(text: str, span: Span, whole: dict[str, str]) -> Span:
    """The span of a lone surname or given name, standing for the longest name in this text that has it."""
    own = text[span.start : span.end]
    parts = name_parts(own)
    if span.entity != "PERSON" or span.of or len(parts) != 1:
        return span
    return Span(span.start, span.end, span.entity, span.score, span.recognizer, whole.get(parts[0], own))
