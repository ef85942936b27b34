"""The second pass fails on what the first one left, and is silent on clean text and on surrogates."""

import datetime

import pytest

from governance.privacy.residue import Residue, find_residue


@pytest.mark.parametrize(
    "left",
    [
        "ana.lopez@example.com",
        "(212) 555-0142",
        "+44 20 7946 0958",
        "212.555.0142",
        "123-45-6789",
        "4111 1111 1111 1111",
        "GB29 NWBK 6016 1331 9268 19",
        "203.0.113.7",
        "2001:db8::8a2e:370:7334",
        "MRN-1015952",
        "MRN 1015952",
        "DOB: 05/21/1952",
        "24 Clarke Avenue",
        "8085144806",
    ],
)
def test_a_direct_identifier_left_behind_is_found_in_its_place(left: str) -> None:
    text = f"[PERSON 4F7A2C] noted {left}."
    (found, *_) = find_residue([text], [[]])
    assert (found.index, text[found.start : found.end] in left or left in text[found.start : found.end]) == (0, True)


@pytest.mark.parametrize(
    ("known", "text"),
    [
        ("Ana O'Neil", "seen by Ana today"),
        ("Ana O'Neil", "ANA O'NEIL"),
        ("Zoë Ruiz", "zoe came"),
        ("C-10293", "customer c 10293"),
        ("usr-771", "usr-771 failed"),
        ("ana@example.org", "ana@example.org"),
        (datetime.date(1952, 5, 21), "on 21.05.1952"),
        ("1952-05-21", "5/21/52"),
    ],
)
def test_an_identifier_that_the_record_declared_is_found(known: object, text: str) -> None:
    assert find_residue(["clean", text], [[], [known]])[0].index == 1


CLEAN = [
    "[PERSON 4F7A2C] (MRN: [MRN 123456]) born [BIRTHDATE 1950s], DOB [BIRTHDATE <1940], seen [DATE 2024], aged 90+",
    "BP 130/80, HR 96, temp 38.6, saturation 94 percent, 500 mg twice",
    "GET /v1/orders/91 returned 504 after 30000 ms at 12:30:45, version 1.12.3",
    "volume at 100 percent, 4096 MiB needed; std::vector; a::b",
    "doses 10 20 30 and 2.5, 1,200,000 rows",
]


@pytest.mark.parametrize("text", CLEAN)
def test_clean_text_raises_no_alarm(text: str) -> None:
    assert find_residue([text], [["Will May", "C-10293", datetime.date(1952, 5, 21)]]) == []


def test_a_residue_never_carries_the_text() -> None:
    (found,) = find_residue(["write to ana@example.com"], [[]])
    assert found == Residue(0, "EMAIL", 9, 24)
