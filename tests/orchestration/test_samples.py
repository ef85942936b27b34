"""The example deliveries are what a demonstration needs: repeatable, of invented people, broken as announced."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governance.custody.canonical import sha256_file
from governance.tenants import load_company
from orchestration.samples import Sample, SamplesRefused, generate
from orchestration.settings import CHECKOUT

ROWS = 800


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    written = generate(tmp_path_factory.mktemp("samples") / "new", rows=ROWS)
    return {f"{sample.tenant}/{sample.delivery}": sample for sample in written}


def lines(sample: Sample) -> list[str]:
    return [line for path in sorted(sample.folder.iterdir()) for line in path.read_text().splitlines()]


def records(sample: Sample) -> list[dict[str, Any]]:
    return list(_readable(lines(sample)))


def _readable(texts: list[str]) -> Iterator[dict[str, Any]]:
    for text in texts:
        try:
            yield json.loads(text)
        except json.JSONDecodeError:
            continue


def notes(samples: dict[str, Sample]) -> list[dict[str, str]]:
    with (samples["stclare/first"].folder / "notes.csv").open(newline="") as file:
        return list(csv.DictReader(file, strict=True))


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not(tmp_path: Path) -> None:
    digests = []
    for folder, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate(tmp_path / folder, rows=40, seed=seed)
        digests.append([sha256_file(path) for path in sorted((tmp_path / folder).rglob("*")) if path.is_file()])
    assert digests[0] == digests[1]
    assert not set(digests[0]) & set(digests[2])


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(SamplesRefused, match="not an empty folder"):
        generate(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_every_sample_belongs_to_a_declared_dataset_and_its_columns_are_in_the_contract(
    samples: dict[str, Sample],
) -> None:
    company = load_company(CHECKOUT / "pedigree.yaml")
    for sample in samples.values():
        company.task_of_dataset(sample.tenant, sample.dataset)
    assert set(records(samples["northbank/first"])[0]) == set(
        company.model("northbank", "support-intents").contract.fields
    )
    assert set(notes(samples)[0]) == set(company.model("stclare", "triage-notes").contract.fields)


@pytest.mark.parametrize(
    ("key", "column", "classes"), [("northbank/first", "intent", 14), ("loomworks/first", "cause", 10)]
)
def test_classes_are_balanced_enough_to_be_learnt(
    samples: dict[str, Sample], key: str, column: str, classes: int
) -> None:
    counts = Counter((record.get("annotation") or record)[column] for record in records(samples[key]))
    assert len(counts) == classes
    assert min(counts.values()) > ROWS / classes / 2


def test_groups_are_balanced_in_every_class(samples: dict[str, Sample]) -> None:
    urgencies = Counter((row["urgency"], row["sex"]) for row in notes(samples))
    assert len(urgencies) == 8
    assert min(urgencies.values()) > ROWS / 8 / 2
    genders = Counter(record["gender"] for record in records(samples["northbank/first"]))
    assert abs(genders["female"] - genders["male"]) < ROWS / 5


def test_a_person_has_several_records_and_deliveries_share_nobody(samples: dict[str, Sample]) -> None:
    people = {
        key: {(record["actor"].get("user", {}).get("id") or record["actor"].get("id")) for record in records(sample)}
        for key, sample in samples.items()
        if key.startswith("loomworks")
    }
    first, second, third = people.values()
    assert not (first & second or second & third or first & third)
    assert ROWS / 4 < len(first) < ROWS / 2


def test_texts_are_short_and_seldom_repeated(samples: dict[str, Sample]) -> None:
    for texts in ([r["text"] for r in records(samples["northbank/first"])], [row["note"] for row in notes(samples)]):
        assert len(set(texts)) > 0.85 * len(texts)
        assert max(len(text.split()) for text in texts) < 75


def test_notes_hold_what_scrubbing_must_find(samples: dict[str, Sample]) -> None:
    rows = notes(samples)
    together = "\n".join(row["note"] for row in rows)
    assert sum(row["patient_name"].split()[-1] in row["note"] for row in rows) > len(rows) / 2
    for pattern in (r"MRN \d{8}", r"DOB \d\d/\d\d/\d{4}", r"\(\d{3}\) \d{3}-\d{4}", r"\S+@\S+\.\w+", r"[A-Z]{2} \d{5}"):
        assert re.search(pattern, together), pattern
    assert any(int(age) > 89 for age in re.findall(r"\b(\d+)-year-old", together))
    assert any("\n" in row["note"] for row in rows)


def test_the_second_delivery_drifts_and_one_row_in_a_hundred_is_broken(samples: dict[str, Sample]) -> None:
    texts, read = lines(samples["loomworks/second"]), records(samples["loomworks/second"])
    unlabelled = [r for r in read if "cause" not in r["annotation"]]
    mistyped = [r for r in read if not r["ts"].startswith("20")]
    silent = [r for r in read if r["message"] is None]
    broken = [len(texts) - len(read), len(unlabelled), len(mistyped), len(silent)]
    assert (len(texts), broken) == (ROWS, [2, 2, 2, 2])
    for record in read:
        assert "id" not in record["actor"]["user"] and record["actor"]["id"].startswith("usr-")
        assert record["request"]["latency_ms"].isdigit()
        assert record["request"]["geo"]["country"] and record["k8s"]["pod"]["name"]


def test_the_third_delivery_has_nothing_wrong_but_its_labels(samples: dict[str, Sample]) -> None:
    first, third = records(samples["loomworks/first"]), records(samples["loomworks/third"])
    assert len(third) == len(lines(samples["loomworks/third"])) == ROWS
    assert {r["annotation"]["cause"] for r in third} == {r["annotation"]["cause"] for r in first}

    def told(read: list[dict[str, Any]]) -> float:
        return sum(r["annotation"]["cause"] == "deadlock" for r in read if "deadlock victim" in r["message"]) / sum(
            "deadlock victim" in r["message"] for r in read
        )

    assert told(first) > 0.7
    assert told(third) < 0.4
