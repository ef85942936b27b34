"""Each operator does what its name says, on presidio-anonymizer's interface, and dates keep their intervals."""

import contextlib
import datetime
import itertools
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from presidio_anonymizer import AnonymizerEngine, InvalidParamError, OperatorConfig, RecognizerResult

from governance.privacy.dates import moved_date
from governance.privacy.labels import ENTITIES as LABELLED
from governance.privacy.labels import Entity
from governance.privacy.model_names import ENTITIES
from governance.privacy.operators import OPERATORS
from governance.privacy.patterns import RULES
from governance.privacy.policy import OperatorName, choices
from governance.privacy.pseudonyms import days_of
from governance.privacy.residue import find_residue
from governance.privacy.tagger.tokens import CLASSES
from governance.tenants import Privacy

KEY = b"k" * 32


def done(operator: OperatorName, entity: str, text: str, **params: Any) -> str:
    return OPERATORS[operator]().operate(text, {"entity_type": entity, "key": KEY, "subject": "s", **params})


def test_every_entity_that_is_found_can_be_given_an_operator() -> None:
    found = {rule.entity for rule in RULES} | set(CLASSES[1:]) | {entity for entity, _ in ENTITIES.values()}
    assert found | set(LABELLED) <= set(get_args(Entity))
    Privacy(operators=dict.fromkeys(get_args(Entity), "mask"))


@pytest.mark.parametrize(
    ("entity", "text", "general"),
    [
        ("DATE", "2024-03-05T10:11:12Z", "[DATE 2024]"),
        ("DATE", "5 March", "[DATE]"),
        ("BIRTHDATE", "1952-05-21", "[BIRTHDATE 1950s]"),
        ("BIRTHDATE", "21/05/1931", "[BIRTHDATE <1940]"),
        ("BIRTHDATE", "21/05/52", "[BIRTHDATE]"),
        ("AGE", "94", "90+"),
        ("AGE", "90", "90+"),
        ("AGE", "89", "80-89"),
        ("AGE", "7", "0-9"),
        ("AGE", "ninety-two", "90+"),
        ("AGE", "a hundred and three", "90+"),
        ("AGE", "forty", "[AGE]"),
        ("ADDRESS", "24 Clarke Avenue, Springfield, IL 62701", "[ADDRESS 627]"),
        ("ADDRESS", "1 Main St, Grafton, VT 05146-1234", "[ADDRESS 051]"),
        ("ADDRESS", "1 Main St, Cody, WY 82110", "[ADDRESS 000]"),
        ("ADDRESS", "221B Baker Street", "[ADDRESS]"),
    ],
)
def test_what_is_generalized_keeps_only_what_finds_no_one(entity: str, text: str, general: str) -> None:
    assert done("generalize", entity, text) == general
    assert find_residue([f"DOB {general}, at {general} 12"], [[]]) == []


def test_a_mask_shows_length_alone() -> None:
    assert done("mask", "PERSON", "Ana Ruiz") == "********"


FORMS = (
    *("%Y-%m-%d", "%m/%d/%Y", "%d.%m.%Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y", "%Y/%m/%d", "%m-%d-%Y"),
    "%Y-%m-%dT10:11:12Z",
)
DAYS = st.dates(datetime.date(1941, 1, 1), datetime.date(2035, 12, 31))


def read(text: str, form: str) -> datetime.date:
    for month in ("%b", "%B"):  # a date in May does not say whether it is written short
        with contextlib.suppress(ValueError):
            return datetime.datetime.strptime(text, form.replace("%b", month)).date()
    raise AssertionError(text)


@given(first=DAYS, second=DAYS, form=st.sampled_from(FORMS), other=st.sampled_from(FORMS), subject=st.uuids().map(str))
def test_shifted_dates_keep_their_form_and_intervals(
    first: datetime.date, second: datetime.date, form: str, other: str, subject: str
) -> None:
    if "%d.%m" in form + other:  # 03.04. is in April where the tenant says so, or where it cannot be otherwise
        first, second = (d.replace(day=13 + d.day % 15) for d in (first, second))
    one, two = (done("shift", "DATE", d.strftime(f), subject=subject) for d, f in ((first, form), (second, other)))
    moved, also = read(one, form), read(two, other)
    assert moved - first == also - second == datetime.timedelta(days_of(KEY, subject))


def test_day_first_is_the_tenants_choice() -> None:
    days = datetime.timedelta(days_of(KEY, "s"))
    for day_first, form in ((True, "%d/%m/%Y"), (False, "%m/%d/%Y")):
        assert read(done("shift", "DATE", "03/04/2024", day_first=day_first), form) == read("03/04/2024", form) + days


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("May 21st, 1952", "June 7th, 1952"),
        ("SEPT 3, 2024", "SEP 20, 2024"),
        ("5/13/24", "5/30/24"),
        ("31/12/1999 at 10:00", "17/01/2000 at 10:00"),
        ("03/05/2024, Ana Ruiz", None),
        ("5 March", None),
        ("2024-02-30", None),
        ("9999-12-31", None),
    ],
)
def test_only_one_whole_date_is_moved(text: str, moved: str | None) -> None:
    assert moved_date(text, 17, day_first=False) == moved


def test_what_cannot_be_shifted_is_generalized() -> None:
    assert done("shift", "DATE", "5 March") == "[DATE]"
    assert done("shift", "BIRTHDATE", "21/05/1931") == "[BIRTHDATE <1940]"
    assert done("shift", "DATE", "2024-03-05", names=lambda _: True) == "[DATE 2024]"


def test_every_subject_is_moved_and_nobody_by_much() -> None:
    days = [days_of(KEY, f"subject {i}") for i in range(20_000)]
    assert 0 not in days and (min(days), max(days)) == (-365, 365)


@pytest.mark.parametrize("operator", OPERATORS)
def test_presidios_engine_runs_them(operator: OperatorName) -> None:
    engine = AnonymizerEngine()
    engine.add_anonymizer(OPERATORS[operator])
    params = {"key": KEY, "subject": "s", "subject_key": b"s" * 32}
    entity = next(e for e in ("PERSON", "DATE") if operator in choices(e))
    found = [RecognizerResult(entity, 5, 15, 1.0)]
    text = engine.anonymize("Seen 2024-03-05 today.", found, {entity: OperatorConfig(operator, params)}).text
    assert text.startswith("Seen ") and text.endswith(" today.") and "2024-03-05" not in text


@pytest.mark.parametrize("operator", ["token", "surrogate", "shift", "encrypt"])
def test_a_missing_key_is_refused(operator: OperatorName) -> None:
    with pytest.raises(InvalidParamError, match=f"{operator} needs .*key"):
        OPERATORS[operator]().validate({"entity_type": "PERSON", "subject": "s"})


def test_every_choice_has_an_operator_and_every_operator_a_use() -> None:
    entities = ("PERSON", "ADDRESS", "DATE", "AGE")
    assert set(itertools.chain.from_iterable(map(choices, entities))) == set(OPERATORS)


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ({"PERSON": "shift"}, "PERSON: shift cannot stand for it; choose from token, surrogate"),
        ({"DATE": "surrogate"}, "DATE: surrogate cannot .* generalize, shift"),
        ({"NAME": "token"}, "NAME"),
        ({"PERSON": "hash"}, "hash|Input should be 'token'"),
    ],
)
def test_a_choice_that_does_not_fit_is_refused_by_name(operators: dict[str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Privacy.model_validate({"operators": operators})
