"""No text stops a scrub or moves its offsets: everything outside the spans is kept, nothing known is."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from assets.privacy.records import Job, Masked, Person, Scrubber
from governance.privacy.detector import build_detector
from governance.privacy.known import known_identifier, known_spans
from governance.privacy.mentions import gather, mentions
from governance.privacy.spans import merge
from governance.privacy.writing import compact
from governance.tenants import Model, Privacy
from tests.assets.privacy.conftest import KEY, MakeNote, RunScrub

HIDDEN = [
    "Quenby Hollis",
    "Q\u200du\u200cenby H\u00adollis",
    "QUENBY\u00a0HOLLIS",
    "Нollis",  # its first letter is Cyrillic
    "\u202eQuenby\u202c Hollis",
    "Quénby Hölliš",
    "Ｑｕｅｎｂｙ Hollis",
    "<b>Quenby</b>&nbsp;<i>Hollis</i>",
    '{"name": "Quenby\\nHollis"}',
    "🙂Hollis🙂",
    "hollis's, HOLLIS’S, the Hollises",
    "Quenby\x00Hollis\x1b[0m",
    "quenby.hollis@example.com",
    "Vandermolt",
    "V\u200bandermolts",
    "mrn 77-001\u200b199",
]
NOISE = st.text(max_size=40) | st.sampled_from(
    ["\u202e", "\x00", "\u200d", "🏳️‍🌈", "<td>", "</td>", '{"a": ["', '"]}', "العربية", "עברית", "İß", "e\u0301", "\n"]
)  # fmt: skip


@pytest.fixture(scope="module")
def scrubber(tmp_path_factory: pytest.TempPathFactory, notes: Model) -> Scrubber:
    folder = tmp_path_factory.mktemp("known")
    everybody = gather([("name", "Quenby Hollis"), ("name", "Ida Vandermolt"), ("mrn", "MRN-77001199")], KEY)
    everybody.save(folder)
    return Scrubber(Job(notes, build_detector, Privacy(), KEY, folder, frozenset(), None))


def scrubbed(scrubber: Scrubber, text: str) -> str:
    known = [k for k in [known_identifier("patient_name", "Quenby Hollis")] if k]
    (spans,), (named,) = scrubber._detected([text]), mentions([text], scrubber.everybody)
    covered = merge(text, [*spans, *named, *known_spans(text, known)])
    ends = [0, *(span.end for span in covered)]
    assert all(end <= span.start < span.end <= len(text) for end, span in zip(ends, covered, strict=False))
    masked: Counter[Masked] = Counter()
    made = scrubber._masked(text, spans, named, Person("s", None, known), masked)
    starts = [*(span.start for span in covered), len(text)]
    kept = [text[end:start] for end, start in zip(ends, starts, strict=True)]
    at = 0
    for piece in kept:
        at = made.index(piece, at) + len(piece)  # what no span covers is kept as it was, in order
    assert made.endswith(kept[-1])
    assert masked.total() == len(covered)
    return made


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=st.lists(st.sampled_from(HIDDEN) | NOISE, max_size=8), joint=st.sampled_from([" ", "\n", ", "]))
def test_offsets_hold_and_nothing_known_is_left_in_any_text(scrubber: Scrubber, parts: list[str], joint: str) -> None:
    made = compact(re.sub(r"\[[A-Z]+( [0-9A-F]{6})?\]", " ", scrubbed(scrubber, joint.join(parts))))
    if set(parts) <= set(HIDDEN):
        assert not [name for name in ("quenby", "hollis", "vandermolt", "77001199") if name in made], made


@pytest.mark.parametrize("text", HIDDEN)
def test_a_name_is_found_however_it_is_disguised(scrubber: Scrubber, text: str) -> None:
    made = compact(scrubbed(scrubber, f"so {text} said"))
    assert not [name for name in ("quenby", "hollis", "vandermolt", "77001199") if name in made], made


UNITS = ["1 ", "@", "Blk 1 ", "AB12 ", "Patient: Ann Bo. ", "Hollis ", "王", "a" * 99 + "\n", "<td>"]


@pytest.mark.parametrize("unit", UNITS)
def test_time_grows_with_the_text_and_not_with_its_square(
    scrubber: Scrubber, unit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work is counted, not timed: the detector is given pieces of bounded size, whatever the text."""
    asked: list[int] = []
    whole = scrubber.detect
    monkeypatch.setattr(scrubber, "detect", lambda texts: asked.extend(map(len, texts)) or whole(texts))
    text = unit * (60_000 // len(unit)) + " Quenby Hollis"
    assert "Hollis" not in scrubbed(scrubber, text)
    assert max(asked) < 9000 and sum(asked) < 1.1 * len(text)


def test_a_text_of_ten_megabytes_goes_through(tmp_path: Path, make_note: MakeNote, run_scrub: RunScrub) -> None:
    text = "no name stands here, only words.\n" * 320_000 + "Call Quenby Hollis on 212-555-0142."
    (record,), _ = run_scrub([make_note(1, text)])
    assert record["text"].startswith(text[:9_000_000]) and not re.search("Hollis|0142", record["text"])
