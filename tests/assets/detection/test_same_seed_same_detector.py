"""Building from nothing: twice the same bits, labelled examples are taken in, a broken one is named."""

import json
from pathlib import Path

import pytest

from assets.detection.build import Plan, Point, build, choose
from governance.privacy.examples import ExamplesInvalid
from governance.privacy.released import SETTINGS, tagger_digest

PLAN = Plan(documents=60, judged=5)


def silent(_: str) -> None:
    pass


def test_twice_the_same_digest_and_another_with_labelled_examples(tmp_path: Path, base: Path) -> None:
    labelled = tmp_path / "ours.jsonl"
    row = {"id": "1", "text": "Ask Quenby at Northbank.", "spans": [{"start": 4, "end": 10, "label": "person"}]}
    labelled.write_text(json.dumps(row) + "\n")
    digests = []
    for name, added in (("one", []), ("two", []), ("three", [labelled])):
        (tmp_path / name).mkdir()
        build(tmp_path / name, base, PLAN, added, silent)
        digests.append(tagger_digest(tmp_path / name))
    assert digests[0] == digests[1] != digests[2]
    said = json.loads((tmp_path / "three" / SETTINGS).read_bytes())
    assert [file["name"] for file in said["added"]] == ["ours.jsonl"]


@pytest.mark.parametrize(
    "line", ["{", '{"id": 1, "text": "a"}', '{"id":1,"text":"ab","spans":[{"start":1,"end":9,"label":"X"}]}']
)
def test_a_broken_line_of_examples_is_named(tmp_path: Path, base: Path, line: str) -> None:
    broken = tmp_path / "ours.jsonl"
    broken.write_text(line + "\n")
    with pytest.raises(ExamplesInvalid, match=r"ours\.jsonl line 1"):
        build(tmp_path, base, PLAN, [broken], silent)


def test_the_operating_point_is_the_most_recall_that_is_precise_enough() -> None:
    points = [Point(0.2, 0.99, 0.984), Point(0.5, 0.97, 0.985), Point(0.8, 0.90, 0.99)]
    assert choose(points).threshold == 0.5
    assert choose(points[:1]).threshold == 0.2
