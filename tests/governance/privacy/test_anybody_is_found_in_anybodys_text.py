"""Whom one row declares is found in every other row's text, and ordinary words are not taken for people."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from governance.privacy import forms
from governance.privacy.forms import Forms
from governance.privacy.mentions import Everybody, everyday_words, gather, mentions
from governance.privacy.residue import declared_words, find_declared

KEY = b"k" * 32
DECLARED = [
    ("name", "Anna Schmidt"),
    ("name", "Zoë O'Neil-Ruiz"),
    ("name", "Will May"),
    ("name", "Kurt Müller"),
    ("name", "王小明"),
    ("name", "Maria Parkinson"),
    ("mrn", "MRN-0012345"),
    ("id", "NB-100793"),
    ("email", "anna.s77@example.com"),
    ("ip", "10.20.30.40"),
    ("phone", "+1 (212) 555-0142"),
]
EVERYBODY = gather(DECLARED, KEY)


def hidden(text: str, everybody: Everybody = EVERYBODY) -> str:
    chars = list(text)
    for span in mentions([text], everybody)[0]:
        chars[span.start : span.end] = ["_"] * (span.end - span.start)
    return re.sub("_+", "_", "".join(chars))


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("the Schmidts came", "the _ came"),
        ("schmidt's dog, SCHMIDT", "_'s dog, _"),
        ("A. Schmidt and A Schmidt", "_ and _"),
        ("Anna S. called Anna S", "_ called _"),
        ("Schmidt, Anna", "_, _"),
        ("oneil; O’Neil; Ruiz; zoe", "_; O’_; _; _"),
        ("Mueller, muller, MÜLLER", "_, _, _"),
        ("S\u200dchm\u200bidt, Sсhmidt, Schmidt", "_, _, _"),
        ("病人王小明今天", "病人_今天"),
        ("mrn 001-2345, MRN\n0012345, 0012345", "_, _, _"),
        ("100793 nb100793 NB 100793", "_ _ _"),
        ("Anna.S77@Example.com anna.s77", "_ _"),
        ("10.20.30.40 212.555.0142", "_ _"),
        ("aschmidt, annaschmidt, schmidtanna, schmidta", "_, _, _, _"),
        ("Mr. May saw Will May", "Mr. _ saw _"),
        ("Mrs Parkinson", "Mrs _"),
    ],
)
def test_every_form_of_a_declared_identifier_is_found(text: str, left: str) -> None:
    assert hidden(text) == left


@pytest.mark.parametrize(
    "text",
    [
        "it may hurt, Will it? May cause rash",
        "banana and annals, blacksmidt",
        "Parkinson's disease, Müller test",
        "12345 and 10.20.30.4, 30.40",
        "as A. and S. say",
    ],
)
def test_words_and_parts_of_words_are_left(text: str) -> None:
    assert hidden(text) == text


def test_a_name_that_the_delivery_writes_in_lower_case_is_a_word_there() -> None:
    names = gather([("name", "Ida Sharp"), ("name", "Ben Weeks"), ("name", "Anna Schmidt")], KEY)
    rows = [("a sharp pain for two weeks", set()) for _ in range(5)]
    rows += [("called schmidt", {"anna", "schmidt"}) for _ in range(5)]  # their own rows do not make it a word
    everyday = everyday_words(names.names, rows)
    assert everyday == {"sharp", "weeks"}
    known = Everybody(names.names, names.numbers, everyday)
    assert hidden("Sharp pain. Weeks ago. Mr. Sharp, Ida Sharp, ben Weeks, schmidt", known) == (
        "Sharp pain. Weeks ago. Mr. _, _, _ Weeks, _"
    )


def test_the_file_names_nobody_and_gives_the_same_answers(tmp_path: Path) -> None:
    EVERYBODY.save(tmp_path)
    raw = b"".join(file.read_bytes() for file in tmp_path.iterdir()).lower()
    assert b"schmidt" not in raw and b"0012345" not in raw
    opened = Everybody.opened(tmp_path, KEY, frozenset())
    assert mentions(["Schmidt, 0012345"], opened) == mentions(["Schmidt, 0012345"], EVERYBODY)


def test_a_large_set_keeps_eight_bytes_of_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "PENDING", 1000)
    known = Forms(KEY)
    for i in range(0, 50_000, 100):
        known.add(str(n) for n in range(i, i + 100))
    assert known.members(str(n) for n in range(60_000)) == {str(n) for n in range(50_000)}
    assert len(known.pending) < 1000 and known.hashes.nbytes == 8 * 50_000


@given(text=st.text(max_size=300) | st.text("SschmidtAn .'\u200d0123456-@王小明\n", max_size=300))
def test_offsets_hold_on_any_text(text: str) -> None:
    for span in mentions([text], EVERYBODY)[0]:
        assert 0 <= span.start < span.end <= len(text)


@example(parts=["王小明", "10.20.30.40"], joint="")
@given(
    parts=st.lists(
        st.sampled_from([value for _, value in DECLARED])
        | st.sampled_from(["Schmidts", "anna's", "001-2345", "212 555 0142", "10.20.30", "may", "Will", "12"]),
        max_size=8,
    ),
    joint=st.sampled_from([" ", ", ", "-", "\n", "", " | "]),
)  # fmt: skip
def test_the_second_pass_finds_nothing_that_the_first_leaves(parts: list[str], joint: str) -> None:
    declared = Forms(b"")
    for _, value in DECLARED:
        declared.add(declared_words(value))
    left = hidden(joint.join(parts)).replace("_", " [PERSON 4F7A2C] ")
    assert find_declared([left], declared, frozenset()) == []


@pytest.mark.parametrize(
    "left", ["Schmidt", "the Schmidts", "anna", "MÜLLER", "001-2345", "212 555 0142x", "mrn0012345"]
)
def test_the_second_pass_finds_what_is_left(left: str) -> None:
    declared = Forms(b"")
    for _, value in DECLARED:
        declared.add(declared_words(value))
    found = find_declared(["clean", f"seen {left}."], declared, frozenset())
    assert ([r.index for r in found] or [None])[0] == (None if left.endswith("x") else 1)
