"""What recognizes an identifier: Presidio recognizers, one for the rules of patterns.py, one that reads the model.

A better recognizer (a trained tagger) is one more entry in `default_recognizers`, or a list given to `build_detector`.
"""

import re
from collections.abc import Iterator

from presidio_analyzer import EntityRecognizer, LocalRecognizer, RecognizerResult

from governance.privacy.names import names_within
from governance.privacy.patterns import RULES, Rule

# Rules of these entities can match a text without any digit; the others are not tried there.
WITHOUT_DIGITS = frozenset({"EMAIL", "PERSON", "ORGANIZATION", "AGE", "SECRET", "DEVICE"})

# The small model's labels for proper names, with what each is worth. It often calls a person a place or an
# organisation; that it is a name is surer than whose. Nationalities, products and titles of works name nobody.
MODEL_ENTITIES = {
    "PERSON": ("PERSON", 0.7),
    "GPE": ("LOCATION", 0.6),
    "LOC": ("LOCATION", 0.6),
    "FAC": ("LOCATION", 0.6),
    "ORG": ("ORGANIZATION", 0.5),
}

_EPONYM = re.compile(
    r"(?:['’]s)?\s(?:disease|syndrome|sign|test|scale|score|catheter|palsy|procedure|criteria|classification|index|"
    r"maneuver|manoeuvre|lymphoma|tumou?r|contracture|dystrophy|block|reflex|phenomenon|fracture|drain|tube|protocol)\b",
    re.IGNORECASE,
)


class RuleRecognizer(LocalRecognizer):
    """Applies rules to the text. Unlike Presidio's PatternRecognizer it never skips a rule on a timeout."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self.always = tuple(rule for rule in rules if rule.entity in WITHOUT_DIGITS)
        self.rules = rules
        super().__init__(supported_entities=sorted({rule.entity for rule in rules}), name="rules")

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        rules = self.rules if any(c.isdecimal() for c in text) else self.always
        return [result for rule in rules for result in self._apply(rule, text)]

    def _apply(self, rule: Rule, text: str) -> Iterator[RecognizerResult]:
        group = "v" if "v" in rule.regex.groupindex else 0
        for match in rule.regex.finditer(text):
            score = rule.check(match[group]) if rule.check else rule.score
            if score is not None:
                yield _result(self, rule.entity, score, *match.span(group))


class NameRecognizer(LocalRecognizer):
    """Takes the proper names of the language model and drops what cannot be one."""

    def __init__(self) -> None:
        super().__init__(supported_entities=sorted({entity for entity, _ in MODEL_ENTITIES.values()}), name="names")

    def load(self) -> None:
        """The model runs before the recognizers do."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        return [
            _result(self, *MODEL_ENTITIES[label], start + a, start + b)
            for start, end, label in getattr(nlp_artifacts, "entities", ())
            if label in MODEL_ENTITIES and not _EPONYM.match(text, end)
            for a, b in names_within(text[start:end])
        ]


def _result(recognizer: EntityRecognizer, entity: str, score: float, start: int, end: int) -> RecognizerResult:
    made_by = {
        RecognizerResult.RECOGNIZER_NAME_KEY: recognizer.name,
        RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: recognizer.id,
    }
    return RecognizerResult(entity, start, end, score, recognition_metadata=made_by)


def default_recognizers() -> list[EntityRecognizer]:
    """The recognizers of this build."""
    return [RuleRecognizer(), NameRecognizer()]
