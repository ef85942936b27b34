"""Presidio recognizers of this repository: today the one that applies the rules."""

from collections.abc import Iterator

from presidio_analyzer import LocalRecognizer, RecognizerResult

from governance.privacy.patterns import RULES
from governance.privacy.rule import Rule

# Rules of these entities can match a text without any digit; the others are not tried there.
WITHOUT_DIGITS = frozenset({"EMAIL", "PERSON", "ORGANIZATION", "AGE", "SECRET", "DEVICE", "URL", "USERNAME"})


class RuleRecognizer(LocalRecognizer):
    """Applies rules to the text. Unlike Presidio's PatternRecognizer it never skips a rule on a timeout."""

    def __init__(self, rules: tuple[Rule, ...] = RULES) -> None:
        self.always = tuple(rule for rule in rules if rule.entity in WITHOUT_DIGITS)
        self.rules = rules
        super().__init__(supported_entities=sorted({rule.entity for rule in rules}), name="rules")
        self.made_by = {
            RecognizerResult.RECOGNIZER_NAME_KEY: "rules",
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: object = None) -> list[RecognizerResult]:
        rules = self.rules if any(c.isdecimal() for c in text) else self.always
        low = text.lower()
        tried = (rule for rule in rules if not rule.cues or any(cue in low for cue in rule.cues))
        return [result for rule in tried for result in self._apply(rule, text)]

    def _apply(self, rule: Rule, text: str) -> Iterator[RecognizerResult]:
        group = "v" if "v" in rule.regex.groupindex else 0
        for match in rule.regex.finditer(text):
            score = rule.check(match[group]) if rule.check else rule.score
            if score is not None:
                yield RecognizerResult(rule.entity, *match.span(group), score, recognition_metadata=dict(self.made_by))
