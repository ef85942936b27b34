"""What a row declares about itself is found in its text however it is written there."""

import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.privacy.known import known_identifier, known_spans


def hidden(text: str, column: str, value: object) -> str:
    known = known_identifier(column, value)
    chars = list(text)
    for span in known_spans(text, [known] if known else []):
        chars[span.start : span.end] = ["_"] * (span.end - span.start)
    return "".join(chars)


@pytest.mark.parametrize(
    ("column", "value", "text"),
    [
        ("name", "Ana O'Neil-Ruiz", "ANA ONEIL RUIZ, ana o'neil ruiz, Ruiz, Ana"),
        ("name", "José Núñez", "Nunez, jose; Jose\u0301"),
        ("name", "王小明", "王小明"),
        ("mrn", "MRN-0012345", "0012345 mrn0012345 MRN 0012345 MRN#001-2345"),
        ("email", "ana.ruiz@example.com", "Ana.Ruiz@Example.com ana.ruiz"),
        ("ip", "10.20.30.40", "10.20.30.40"),
        (
            "dob",
            datetime.date(1952, 5, 21),
            "1952-05-21 05/21/1952 21.05.1952 5/21/52 21 May 1952 May 21st, 1952 19520521",
        ),
        ("dob", "1952-05-01", "1 May 1952 01/05/1952 May 1, 1952 1st of May 1952"),
        ("phone", "+1 (212) 555-0142", "12125550142 +1.212.555.0142"),
    ],
)
def test_every_usual_writing_is_hidden(column: str, value: object, text: str) -> None:
    left = hidden(text, column, value)
    assert not any(c.isalnum() for c in left.replace("MRN", "").replace("mrn", "")), left


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("Will May", "it may hurt and will stay"),
        ("Ana Ruiz", "banana and ruizian"),
        ("C-17", "17 mg"),
        ("", "nothing"),
    ],
)
def test_ordinary_words_and_parts_of_words_are_left(value: str, text: str) -> None:
    assert hidden(text, "name", value) == text


def test_a_name_that_is_a_word_is_hidden_where_it_has_its_capital() -> None:
    assert hidden("Mrs. May will stay", "name", "Will May") == "Mrs. ___ will stay"


@given(text=st.text(max_size=200), value=st.text(max_size=30))
def test_offsets_hold_on_any_text(text: str, value: str) -> None:
    known = known_identifier("id", value)
    for span in known_spans(text + value, [known] if known else []):
        assert 0 <= span.start < span.end <= len(text + value)
