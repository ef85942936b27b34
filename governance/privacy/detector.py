"""The detector: rules over every text for what has a written form, then a reader for what has none.

Where a detector was released its tagger reads; else spaCy's small model does, and only the sentences in which a
capital is left unexplained. Presidio's analyzer runs the rules; the readers take many texts at once, which Presidio's
one-by-one plumbing does not.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from governance.privacy.names import ORDINARY, fold, is_common, name_parts
from governance.privacy.nobody import identifying, somebody
from governance.privacy.sight import seen
from governance.privacy.spans import Detector, Span, merge

if TYPE_CHECKING:
    from presidio_analyzer import EntityRecognizer

REMEMBERED = 20_000  # answers that are kept
LONGEST_REMEMBERED = 500  # characters; longer texts seldom come twice

# The time at the beginning of a line of a log.
_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?)\s+")
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

    def answer(texts: Sequence[str]) -> list[list[Span]]:
        views = [seen(text) for text in texts]
        found = answer_seen([view.text for view in views])
        return [view.on_original(spans) for view, spans in zip(views, found, strict=True)]

    def answer_seen(texts: Sequence[str]) -> list[list[Span]]:
        ruled = [by_rules(text) for text in texts]
        named = read(texts, ruled)
        both = zip(texts, ruled, named, strict=True)
        merged = ((text, merge(text, [*spans, *somebody(text, names)])) for text, spans, names in both)
        return [identifying(text, _with_echoes(text, spans)) for text, spans in merged]

    return _answered_once(answer)


def _answered_once(answer: Detector) -> Detector:
    """`answer`, asked once for what is repeated: texts, and lines that differ in the time they were written only.

    Such a time stands apart: what follows it is read as a text of its own. What is remembered is bounded.
    """
    remembered: dict[str, list[Span]] = {}
    behind: dict[tuple[int, int, str], list[Span]] = {}

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        times = [(match.end(1), match.end()) if (match := _STAMP.match(text)) else (0, 0) for text in texts]
        bodies = [text[start:] for text, (_, start) in zip(texts, times, strict=True)]
        known = {body: remembered[body] for body in set(bodies) if body in remembered}
        new = [body for body in dict.fromkeys(bodies) if body not in known]
        known.update(zip(new, answer(new), strict=True))
        if max(len(remembered), len(behind)) + len(texts) > REMEMBERED:
            remembered.clear()
            behind.clear()
        remembered.update((body, known[body]) for body in new[:REMEMBERED] if len(body) <= LONGEST_REMEMBERED)
        return [placed(*time, body, known[body]) for time, body in zip(times, bodies, strict=True)]

    def placed(end: int, start: int, body: str, spans: list[Span]) -> list[Span]:
        """The spans of a body that stands at `start`, behind a time that ends at `end`; 0: behind none."""
        if not start:
            return list(spans)
        if (found := behind.get((end, start, body))) is None:
            found = [Span(0, end, "DATE", 0.8, "rules"), *(_moved(span, start) for span in spans)]
            if body in remembered:
                behind[end, start, body] = found
        return list(found)

    return detect


def _moved(span: Span, by: int) -> Span:
    return replace(span, start=span.start + by, end=span.end + by)


def _with_echoes(text: str, spans: list[Span]) -> list[Span]:
    """Also the places where a part of a name found in this text stands alone: `Thomas Wilson … Mrs. Wilson`."""
    whole: dict[str, str] = {}
    for name in sorted(
        {s.of or text[s.start : s.end] for s in spans if s.entity == "PERSON"}, key=lambda n: (len(n), n)
    ):
        whole.update({part: name for part in name_parts(name) if len(part) > 2 and part[0].isupper()})
    parts = {part for part in whole if fold(part) not in ORDINARY and not is_common(part)}
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
