"""A thousand planted identifiers of 15 kinds in 10 formats are gone after a scrub, and never in what is written."""

from pathlib import Path

import pytest

from governance.privacy.canaries import FORMATS, KINDS, canaries, left
from governance.privacy.detector import build_detector
from governance.privacy.spans import Detector
from tests.assets.privacy.conftest import MakeNote, RunScrub


def test_a_thousand_canaries_go_through_and_none_is_left(
    tmp_path: Path, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    rows = [make_note(n, f"Chest pain for {n} minutes, says Quenby Hollis.") for n in range(40)]
    records, done = run_scrub(rows, canaries=1000)
    assert (len(KINDS), len(FORMATS)) == (15, 10)
    assert (done.planted.count, done.planted.left) == (1000, [])
    assert len(records) == done.records == 40 and sum(done.spans.values()) == 40
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["records.parquet", "rows.parquet"]


def test_they_change_nothing_in_the_records(make_note: MakeNote, run_scrub: RunScrub) -> None:
    rows = [make_note(n, "Quenby Hollis came with Dr. Adair.") for n in range(3)]
    assert run_scrub(rows, canaries=300)[0] == run_scrub(rows)[0]


def test_a_scrub_that_misses_a_kind_says_which(make_note: MakeNote, run_scrub: RunScrub) -> None:
    def blind() -> Detector:
        detect = build_detector()
        return lambda texts: [[span for span in spans if span.entity != "EMAIL"] for spans in detect(texts)]

    _, done = run_scrub([make_note(1, "Feels well.")], canaries=150, detector=blind)
    assert {kind for kind, _ in done.planted.left} == {"email"} and len(done.planted.left) == 10


@pytest.mark.parametrize("kind", KINDS)
def test_a_canary_left_in_part_is_left(kind: str) -> None:
    for canary in canaries(150, "seed"):
        if canary.kind == kind:
            assert left(canary, "row", canary.text)
            assert left(canary, "row", f"… {canary.secrets[-1]}")
            assert not left(canary, "row", f"row [{kind.upper()}] [PERSON 4F7A2C] [DATE 1952]")


def test_other_keys_plant_others() -> None:
    one, other = ({canary.text for canary in canaries(1000, seed)} for seed in ("a", "b"))
    assert len(one) == 1000 and len(one & other) < 5
    assert [c.text for c in canaries(150, "a")] == [c.text for c in canaries(150, "a")]
