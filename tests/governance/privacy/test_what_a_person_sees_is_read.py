"""Readers get the text that a person sees, and what they find is found in the original."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.privacy.sight import seen
from governance.privacy.spans import Detector, Span

WRITTEN = [  # and what is seen of it
    ("J\u200bo\u00adhn", "John"),
    ("\uff2a\uff4f\uff48\uff4e", "John"),
    ("\U0001d40e\U0001d41e", "Oe"),
    ("\u24bf\u24de\u24d7\u24dd", "John"),
    ("Jose\u0301", "Jos\u00e9"),
    ("Ј\u043ehn", "John"),  # two Cyrillic letters
    ("\u039dina", "Nina"),  # a Greek one
    ("john&#64;example.com", "john@example.com"),
    ("J&ouml;rg", "J\u00f6rg"),
    ("john%40example.com", "john@example.com"),
    ("J%C3%B6rg", "J\u00f6rg"),
    (r"J\u00f6rg", "J\u00f6rg"),
    (r"Jo\u200dhn", "John"),
    (r"Jose\u0301", "Jos\u00e9"),
    ("J&#xff4f;hn", "John"),
    (r"\nJohn", "\nJohn"),
    ("John", "John"),
    ("J\u00f6rg", "J\u00f6rg"),
]
AS_IT_IS = [
    "Он приехал в Минск",  # his own script
    "a&b; AT&T; 100%",
    "5%ad and 7%de",  # no UTF-8
    "https://example.com/?q=Jane%20Roe",  # a blank would end it
    r"C:\Users\nina\temp",
    r"\ud800 alone",
]


@pytest.mark.parametrize(("written", "shown"), WRITTEN)
def test_what_is_written_otherwise_is_seen(written: str, shown: str) -> None:
    assert seen(written).text == shown


@pytest.mark.parametrize("text", AS_IT_IS)
def test_what_stands_for_itself_is_seen_as_it_is(text: str) -> None:
    assert seen(text).text == text


@given(st.lists(st.sampled_from(WRITTEN), min_size=1, max_size=8), st.sampled_from([" ", ", ", "\u200b ", " – "]))
def test_what_is_found_covers_what_was_written(parts: list[tuple[str, str]], between: str) -> None:
    original, at = between.join(written for written, _ in parts), 0
    view = seen(original)
    for written, shown in parts:
        at = view.text.index(shown, at)
        (found,) = view.on_original([Span(at, at + len(shown), "PERSON", 1.0, "test")])
        assert original[found.start : found.end] == written
        at += len(shown)


PARTS = ["a", "\u0301", "\u200b", "о", "&#64;", "&", "%C3%B6%40", r"\u0040", "⑩", " "]
STRANGE = st.lists(st.sampled_from(PARTS)).map("".join)


@given(st.text(max_size=60) | STRANGE, st.data())
def test_spans_stay_in_order_on_any_text(text: str, data: st.DataObject) -> None:
    view = seen(text)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(view.text)), max_size=6)))
    spans = [Span(a, b, "ID", 1.0, "test") for a, b in itertools.pairwise(cuts)]
    found = view.on_original(spans)
    ends = [0, *(span.end for span in found)]
    assert all(end <= span.start < span.end <= len(text) for end, span in zip(ends, found, strict=False))


@pytest.mark.parametrize(
    ("text", "identifier"),
    [
        ("GET /signup?email=ana.ruiz%40example.com&step=2", "ana.ruiz%40example.com"),
        ('{"to": "ana.ruiz\\u0040example.com"}', "ana.ruiz\\u0040example.com"),
        ("<a>ana.ruiz&#64;example.com</a>", "ana.ruiz&#64;example.com"),
        ("\uff0b\uff14\uff19 30 1234567", "\uff0b\uff14\uff19 30 1234567"),
        ("seen at 192[.]168[.]4[.]17", "192[.]168[.]4[.]17"),
        ("dob: 12 / 03 / 1984", "12 / 03 / 1984"),
        ("+1·415·555·0134", "+1·415·555·0134"),
        ("user=aruiz failed", "aruiz"),
        ("no user 'aruiz' in LDAP", "aruiz"),
        (r"\\files\home\aruiz\notes", "aruiz"),
        ("see linkedin.com/in/ana-ruiz.", "linkedin.com/in/ana-ruiz"),
        ('{"username": "aruiz"}', "aruiz"),
        ("Username: aruiz", "aruiz"),
    ],
)
def test_an_identifier_is_found_however_it_is_written(detect: Detector, text: str, identifier: str) -> None:
    assert identifier in {text[span.start : span.end] for span in detect([text])[0]}


@pytest.mark.parametrize("text", ["user=admin", '{"user": "Hello there"}', "username is wrong", "user=getUser()"])
def test_a_user_that_is_nobody_stays(detect: Detector, text: str) -> None:
    assert detect([text])[0] == []
