"""A direct identifier in a usual written form is covered to its last character, and plain text is left alone."""

import itertools
import re
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.privacy import model_names, patterns
from governance.privacy.detector import build_detector
from governance.privacy.recognizers import RuleRecognizer
from governance.privacy.spans import Detector, Span, merge

WRITTEN = {
    "EMAIL": [
        "ana.lopez+x@mail.example.co.uk",
        "ana [at] example [dot] com",
        "ana dot lopez at example dot com",
        "ana.lopez@okhdfcbank",
        "9876543210@ybl",
    ],
    "PHONE": [
        "(212) 555-0142",
        "212.555.0142",
        "+1 212 555 0142",
        "+44 20 7946 0958",
        "020 7946 0958",
        "07700 900123",
        "+91 98765 43210",
        "98765 43210",
        "+49 30 901820",
        "030/901820-12",
        "+65 6123 4567",
        "9123 4567",
    ],
    "MRN": ["MRN-1015952", "MRN: 00451288", "medical record number 4471-882"],
    "BIRTHDATE": ["DOB 1952-05-21", "born on 21 May 1952", "date of birth: 05/21/52"],
    "CARD": ["4111 1111 1111 1111", "4111-1111-1111-1112", "4454794511390933"],
    "IBAN": ["DE89 3704 0044 0532 0130 00", "GB29NWBK60161331926819", "GB96ABCD60068266"],
    "SSN": ["123-45-6789", "SSN 123 45 6789"],
    "IP": ["203.0.113.7", "2001:db8::8a2e:370:7334", "fe80::1"],
    "AGE": ["94-year-old", "aged 101", "ninety-two years old", "97 yo"],
    "ADDRESS": ["24 Clarke Avenue, Springfield, IL 62701", "221B Baker Street", "Hauptstraße 12", "P.O. Box 1182"],
    "ORGANIZATION": ["St. Mary's Hospital", "Lakeside Medical Center"],
    "PERSON": ["Dr. Wilson", "Patient: Ana O'Neil", "my name is ruth"],
    "USERNAME": ["/home/jdoe42", r"C:\Users\kobrien", "instagram: @jess_xoxo99", "RT @maria.lopez", "@Müller-Ruiz-3"],
    "SECRET": [
        "two one two, five five five, oh one four two",
        "zero-seven-eight zero-five one-one-two-zero",
        "CVV 771",
        "PIN is 4821",
    ],
    "LOCATION": ['"lat": 51.50330', "GPS 40.7128, -74.0060", "coordinates -1.73621,124.23545"],
    "ACCOUNT": ["account number 10319995", "INS-743701954", "8085144806"],
}
CUES = re.compile(
    r"^(?:DOB|born on|date of birth:|SSN|aged|account number|MRN:|medical record number|Dr\.|Patient:|my name is)\s|"
    r"^(?:/home/|C:\\Users\\|instagram:\s|RT\s|CVV\s|PIN\sis\s|\"lat\":\s|GPS\s|coordinates\s)|"
    r"(?:-year-old|\syears old|\syo)$"
)


@pytest.mark.parametrize(("entity", "written"), [(e, w) for e, forms in WRITTEN.items() for w in forms])
def test_no_written_form_slips_through(detect: Detector, entity: str, written: str) -> None:
    for text in (f"We noted {written} today.", written, f"x\n{written}\ny"):
        identifier = CUES.sub("", written)
        start = text.index(identifier)
        covered = [s for s in detect([text])[0] if s.start <= start and s.end >= start + len(identifier)]
        assert covered, (text, detect([text])[0])
        assert entity in {s.entity for s in covered} | ({"PHONE", "ACCOUNT", "SSN"} & {entity})


def test_a_surname_alone_is_found_where_the_full_name_stands_too(detect: Detector) -> None:
    text = "Patient: Thomas Wilson was seen. Later Wilson left, and Wilson's son called."
    spans = detect([text])[0]
    assert [text[s.start : s.end] for s in spans] == ["Thomas Wilson", "Wilson", "Wilson"]
    assert {s.of or text[s.start : s.end] for s in spans} == {"Thomas Wilson"}


PLAIN = [
    "How do I change my PIN at the ATM?",
    "My card payment was declined twice, why?",
    "I want to top up with Apple Pay.",
    "Crushing chest pain into the left arm for 40 minutes, sweating.",
    "BP 130/80, HR 96, temperature 38.6, saturation 94 percent.",
    "Started Metformin 500 mg and Lisinopril 10 mg twice daily.",
    "History of Type 2 Diabetes Mellitus and Hypertension.",
    "Parkinson's disease with a Foley catheter in place.",
    "connection pool exhausted, 412 sessions in use",
    "java.lang.OutOfMemoryError: heap space, 512 MiB",
    "GET /v1/orders/91 returned 504 after 30000 ms",
    "std::vector out of range at line 88 in version 1.12.3",
    "A 45-year-old presents with ear ache for 3 days.",
    "What is the exchange rate for euros?",
    "the log of /home/ubuntu/app is full",
    "@Override public void run() fails, see @pytest.fixture and @app.get(path)",
    "One two three, and one, two, three, four.",
    "the map of [0.12345, 0.56789, 0.99999] to 0.12345 0.98765 at pin 3",
    "npm install @angular/core by @5pm, says @everyone",
]


@pytest.mark.parametrize("text", PLAIN)
def test_text_without_a_person_is_left_alone(detect: Detector, text: str) -> None:
    assert [(s.entity, text[s.start : s.end]) for s in detect([text])[0]] == []


def test_repeated_texts_get_the_same_answer_in_any_company(detect: Detector) -> None:
    text = "Call Maria Lopez on 212-555-0142."
    alone = detect([text])[0]
    assert detect(["Something else about Peter Novak.", text, text])[1:] == [alone, alone]


HARD = st.one_of(
    st.text(max_size=300),
    st.text(alphabet="Aa1 .-@:/+()\n\u200b\u0301ßİ王é9", max_size=300),
    st.lists(st.sampled_from([w for forms in WRITTEN.values() for w in forms] + [" ", "\n", "ﬁ", "İ", "\x00"])).map(
        "".join
    ),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(HARD, max_size=3))
def test_spans_always_lie_in_order_on_the_original_text(detect: Detector, texts: list[str]) -> None:
    for text, spans in zip(texts, detect(texts), strict=True):
        ends = [0, *(s.end for s in spans)]
        assert all(end <= s.start < s.end <= len(text) for end, s in zip(ends, spans, strict=False))


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "1",
        "1 ",
        "1-",
        "a.",
        "a@",
        "A",
        "Ab ",
        "1:",
        "Smith, ",
        "0",
        "(",
        "+1",
        "12 Ab ",
        "王",
        "DOB ",
        "x" * 50 + "\n",
    ],
)
def test_a_megabyte_of_one_pattern_does_not_hang_the_build(detect: Detector, unit: str) -> None:
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    detect([text[:100_000]])
    tenth = time.process_time() - started
    assert tenth < 6, f"{tenth:.1f} s for 100 kB"


def test_one_text_of_a_megabyte_is_read_to_its_end(detect: Detector) -> None:
    text = "no name stands here, only words. " * 30_000 + "Call Maria Lopez on 212-555-0142."
    assert {text[s.start : s.end] for s in detect([text])[0]} >= {"Maria Lopez", "212-555-0142"}


class Counted(list[Span]):
    """Spans that count how often one of them is looked at."""

    looks = 0

    def __iter__(self) -> Iterator[Span]:
        for span in super().__iter__():
            self.looks += 1
            yield span

    def __getitem__(self, i):  # type: ignore[no-untyped-def,override]
        self.looks += 1
        return super().__getitem__(i)


def test_the_reader_looks_at_what_the_rules_found_as_often_as_the_text_is_long() -> None:
    read = model_names.ModelNames()
    unit = "Dr. Wilson came. Rome "
    looks = []
    for units in (500, 4000):
        spans = Counted(Span(i * len(unit) + 4, i * len(unit) + 10, "PERSON", 0.9, "rules") for i in range(units))
        read([unit * units], [spans])
        looks.append(spans.looks)
    assert looks[1] <= 8.1 * looks[0], looks


def test_what_was_read_is_not_remembered_without_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_names, "REMEMBERED", 20)
    read = model_names.ModelNames()
    words = ["".join(c) for c in itertools.product("abcde", repeat=3)]
    for word in words:
        read([f"Peter Novak met {word} in Rome."], [[]])
    assert len(read.remembered) == 20
    assert len(read.nlp.vocab.strings) < len(model_names.ModelNames().nlp.vocab.strings) + 50


def test_a_merge_uncovers_nothing() -> None:
    text = "0123456789"
    spans = [Span(0, 4, "A", 0.5, "x"), Span(2, 6, "B", 0.9, "x"), Span(6, 8, "C", 0.1, "x")]
    assert merge(text, spans) == [Span(0, 6, "B", 0.9, "x", "2345"), Span(6, 8, "C", 0.1, "x")]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("She, residing at 48 Orchard Close, Reading RG1 5TS, alleges a breach.", "48 Orchard Close, Reading RG1 5TS"),
        ("Heir of 12 Mill Lane, Wells BA5 1AB, who never lived in Bath", "12 Mill Lane, Wells BA5 1AB"),
        ("Paid by H.No. 12, MG Road, Pune - 411001, in full", "H.No. 12, MG Road, Pune - 411001"),
    ],
)
def test_an_address_takes_nothing_of_the_sentence(text: str, address: str) -> None:
    rules = build_detector([RuleRecognizer(patterns.WRITTEN)], lambda texts, _: [[] for _ in texts])
    assert address in [text[s.start : s.end] for s in rules([text])[0] if s.entity == "ADDRESS"]
