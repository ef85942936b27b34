"""A reader's span that by its writing or surroundings is nobody's is dropped; what could be somebody's is kept."""

import os
import subprocess
import sys

import pytest

from governance.privacy.detector import build_detector
from governance.privacy.nobody import identifying, somebody
from governance.privacy.spans import Detector, Span


def marked(text: str, written: str, entity: str, score: float = 0.8) -> list[Span]:
    start = text.index(written)
    return [Span(start, start + len(written), entity, score, "tagger")]


@pytest.mark.parametrize(
    ("text", "written", "entity"),
    [
        ("Office - Fax", "-", "ADDRESS"),
        ("It is Reed Elsevier's", "'s", "PERSON"),
        ("The corner of both", "The", "ADDRESS"),
        ("change AUD to GBP", "AUD", "LOCATION"),
        ("I sold a Russian Ruble", "Russian Ruble", "LOCATION"),
        ("my American Express card", "American Express", "ORGANIZATION"),
        ("my American Express card", "American", "NRP"),
        ("a Direct Debit payment", "Direct", "ORGANIZATION"),
        ("Bot: what is it?", "Bot", "PERSON"),
        ("a community orchestra plays", "orchestra", "ORGANIZATION"),
        ("a community orchestra plays", "community orchestra", "ORGANIZATION"),
        ("her maiden name", "maiden", "ORGANIZATION"),
        ("do not go to town", "town", "LOCATION"),
        ("3... 2... 1... liftoff", "1", "PHONE"),
        ("is a 501(c)3", "501", "AGE"),
        ("8+ years of experience", "8", "AGE"),
        ("the top 20 songs", "20", "AGE"),
        ("12 years ago", "12", "AGE"),
    ],
)
def test_it_is_nobody(text: str, written: str, entity: str) -> None:
    assert somebody(text, marked(text, written, entity)) == []


@pytest.mark.parametrize(
    ("text", "written", "entity"),
    [
        ("Ask Ezra Pound", "Ezra Pound", "PERSON"),
        ("My American friend pays by American Express", "American", "NRP"),
        ("at Apple Valley", "Apple Valley", "LOCATION"),
        ("she is 20 now", "20", "AGE"),
        ("a woman of 20 years", "20", "AGE"),
        ("Call ana today", "ana", "PERSON"),
        ("yo Ana u still at milan", "milan", "LOCATION"),
        ("in Cape Town", "Cape Town", "LOCATION"),
        ("dial 112", "112", "PHONE"),
        ("The Lakeside Orchestra", "The Lakeside Orchestra", "ORGANIZATION"),
        ("王小明 came", "王小明", "PERSON"),
    ],
)
def test_it_may_be_somebody(text: str, written: str, entity: str) -> None:
    spans = marked(text, written, entity)
    assert somebody(text, spans) == spans


@pytest.mark.parametrize(("entity", "doubted"), [("ORGANIZATION", 0.7), ("LOCATION", 0.4), ("PERSON", 0.3)])
def test_a_name_without_its_capital_is_doubted_where_capitals_are_written(entity: str, doubted: float) -> None:
    for text, kept in (("Limits on top ups", False), ("limits on top ups", True)):
        assert bool(somebody(text, marked(text, "ups", entity, doubted))) is kept
        assert somebody(text, marked(text, "ups", entity, 0.8))


@pytest.mark.parametrize("written", ["China", "the United Kingdom", "U.S."])
def test_a_country_alone_stays_and_beside_an_identifier_goes(written: str) -> None:
    text = f"Send it from {written}, said Ana."
    country = marked(text, written, "LOCATION")
    assert identifying(text, country) == []
    assert identifying(text, country + marked(text, "Ana", "PERSON")) != []


@pytest.mark.parametrize("said", ["I am originally from", "I will be travelling to", "unwell since returning from"])
def test_a_country_that_somebody_is_of_or_goes_to_goes(said: str) -> None:
    text = f"{said} Norway."
    assert identifying(text, marked(text, "Norway", "LOCATION")) != []


def test_a_year_alone_stays_and_a_day_goes() -> None:
    text = "Not since 2018, or 3 May 2018."
    assert identifying(text, marked(text, "2018", "DATE")) == []
    assert identifying(text, marked(text, "3 May 2018", "DATE")) != []


def test_the_detector_asks_both(detect: Detector) -> None:
    texts = ["How long does a transfer from China take?", "Maria Lopez asked how long a transfer from China takes."]
    none, both = detect(texts)
    assert none == [] and {texts[1][s.start : s.end] for s in both} >= {"Maria Lopez", "China"}


def test_a_common_word_is_no_echo_of_a_name() -> None:
    text = "Bot Ana Silva? Bot: no, Silva."
    named = build_detector([], lambda texts, _: [[Span(0, 13, "PERSON", 0.8, "reader")] for _ in texts])([text])[0]
    assert [text[s.start : s.end] for s in named] == ["Bot Ana Silva", "Silva"]


def test_what_decides_is_the_same_in_every_process() -> None:
    code = "from governance.privacy.nobody import DECIDING; print(DECIDING)"
    said = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
