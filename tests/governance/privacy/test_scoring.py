"""What counts as found, as right, as a leak, and as neither."""

import pytest

from governance.privacy.examples import Example, Labelled
from governance.privacy.labels import class_of, entity_of
from governance.privacy.scoring import DIRECT, f2, score, wilson
from governance.privacy.spans import Span

TEXT = "Ana Silva took Tylenol in Lisbon on Monday"


def example(*spans: tuple[int, int, str]) -> Example:
    return Example("1", "s", TEXT, tuple(Labelled(*span) for span in spans))


def found(*spans: tuple[int, int, str]) -> list[Span]:
    return [Span(start, end, entity, 0.9, "tagger") for start, end, entity in spans]


MARKED = example((0, 9, "PERSON_NAME"), (26, 32, "GPE"), (15, 22, "MEDICATION_NAME"))


def test_half_an_identifier_is_found_and_less_is_a_leak() -> None:
    judged = score([MARKED] * 2, [found((0, 5, "PERSON")), found((0, 4, "PERSON"))])
    assert (judged.recall(frozenset({"PERSON"})).hits, judged.recall(frozenset({"PERSON"}), covered=1.0).hits) == (1, 0)
    assert (judged.leaky(DIRECT).hits, judged.leaky().hits) == (1, 2)


def test_any_name_will_do_but_typed_recall_wants_its_own() -> None:
    judged = score([MARKED], [found((0, 9, "ORGANIZATION"), (26, 32, "ADDRESS"))])
    assert judged.recall().value == 1
    assert judged.recall(typed=True).hits == 1  # a place is a place


def test_what_is_marked_and_names_nobody_is_neither_right_nor_wrong() -> None:
    judged = score([MARKED], [found((15, 22, "PERSON"), (36, 42, "PERSON"))])
    assert (judged.precision().hits, judged.precision().of) == (0, 1)


def test_a_kind_that_the_set_marks_nowhere_is_not_held_against_a_span() -> None:
    judged = score([MARKED], [found((36, 42, "DATE"), (33, 35, "PERSON"))])
    assert judged.precision().of == 1


def test_intervals_widen_where_documents_are_few() -> None:
    few, many = [score([MARKED] * n, [found((0, 9, "PERSON"))] * (n - 1) + [found()]).recall() for n in (4, 400)]
    assert few.high - few.low > many.high - many.low > 0
    assert wilson(0, 10).high == pytest.approx(0.2775, abs=1e-3)
    assert wilson(0, 0).of == 0


def test_labels_of_other_sets_are_understood_and_others_name_nobody() -> None:
    assert [entity_of(label) for label in ("corporation", "us-ssn", "Date of Birth", "creative-work")] == [
        "ORGANIZATION",
        "SSN",
        "BIRTHDATE",
        None,
    ]
    assert {class_of(entity) for entity in ("SSN", "MRN", "SECRET")} == {"ID"} and f2(0.5, 1.0) > f2(1.0, 0.5)
