"""What Presidio's evaluator is told of a text, and so what it says, is what stands there."""

from benchmarks.pii_evaluator import evaluated
from governance.privacy.examples import Example, Labelled
from governance.privacy.scoring import score
from governance.privacy.spans import Span

TEXT = "Ana Silva called Kofi Mensah yesterday, flying through Porto tomorrow."  # it joins neighbours over `or`
NAMES = [(0, 9), (17, 28)]
EXAMPLE = Example("1", "x", TEXT, (*(Labelled(*name, "PERSON") for name in NAMES), Labelled(55, 60, "LOCATION")))


def said(*places: tuple[int, int]) -> tuple[float, float]:
    spans = [[Span(start, end, "PERSON", 1.0, "x") for start, end in places]]
    return evaluated([EXAMPLE], score([EXAMPLE], spans))


def test_what_is_found_whole_counts_and_what_is_missed_does_not() -> None:
    assert said(*NAMES, (55, 60)) == (1.0, 1.0)
    assert said(NAMES[0]) == (1 / 3, 1.0)
    assert said(NAMES[0], (61, 69)) == (1 / 3, 0.5)


def test_half_a_name_is_no_name() -> None:
    assert said((0, 3)) == (0.0, 0.0)
