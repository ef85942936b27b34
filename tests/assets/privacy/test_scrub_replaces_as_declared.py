"""Operators of a tenant, from a delivery to its records: the same person everywhere, intervals kept, exact recovery."""

import datetime
import re
from pathlib import Path

from assets.privacy.residue_check import Sample, find_residues
from governance.privacy.pseudonyms import subject_id
from governance.privacy.subject_keys import destroy_key, existing_key, reidentify
from governance.tenants import Model
from tests.assets.privacy.conftest import KEY, MakeNote, RunScrub

PLAUSIBLE = {"PERSON": "surrogate", "PHONE": "surrogate", "MRN": "surrogate", "ADDRESS": "surrogate", "DATE": "shift"}
SEALED = {"PERSON": "encrypt", "PHONE": "encrypt", "DATE": "encrypt", "MRN": "encrypt", "EMAIL": "encrypt"}


def test_another_patient_is_masked_in_a_note_that_names_her(make_note: MakeNote, run_scrub: RunScrub) -> None:
    written = "ask for vandermolt; the Vandermolts; VANDERMOLT, Ida; I. Vandermolt; ida’s; mrn 77001199."
    other = make_note(2, "Feels well.", patient_name="Ida Vandermolt", mrn="MRN-77001199")
    records, done = run_scrub([make_note(1, written), other])
    assert not re.search("vandermolt|ida|7700", records[0]["text"], re.I), records[0]["text"]
    assert done.counted("recognizer")["mention"] >= 4


def test_one_stand_in_for_a_person_in_this_delivery_and_the_next_and_none_shared_by_tenants(
    make_note: MakeNote, run_scrub: RunScrub
) -> None:
    def surnames(key: bytes, *written: str) -> list[str]:
        rows = [make_note(n, text) for n, text in enumerate(written)]
        records, _ = run_scrub(rows, key=key, operators=PLAUSIBLE)
        return [re.search(r"Seen: .*?(\w+) today", record["text"])[1] for record in records]  # type: ignore[index]

    first = surnames(KEY, "Seen: Quenby Hollis today.", "Seen: Mrs. Hollis today.", "Seen: QUENBY HOLLIS today.")
    assert len({name.lower() for name in first}) == 1 and "hollis" not in first[0].lower()
    assert surnames(KEY, "Seen: Hollis today.")[0] == first[0]
    assert surnames(b"z" * 32, "Seen: Quenby Hollis today.")[0] != first[0]


def test_plausible_records_pass_the_second_opinion_and_name_nobody_known(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    rows = [
        make_note(n, f"Pt Quenby Hollis (MRN-{1015952 + n}), call 212-555-{n:04}, seen 2024-03-{n % 28 + 1:02}.")
        for n in range(60)
    ]
    records, done = run_scrub(rows, operators=PLAUSIBLE, canaries=150)
    report = find_residues(
        tmp_path / "rows.parquet", tmp_path / "records.parquet", notes, Sample(60, 7, True), done.everyday
    )
    assert (report.residues, done.planted.count, done.planted.left) == ([], 150, [])
    assert not [r for r in records if re.search(r"Quenby|Hollis|10159|10160", r["text"])]
    assert done.counted("operator") == {"shift": 60, "surrogate": 180}


def test_intervals_of_a_subject_are_kept(make_note: MakeNote, run_scrub: RunScrub) -> None:
    notes_of = [
        make_note(1, "Admitted 2024-02-20, discharged 2024-03-05.", mrn="MRN-1"),
        make_note(2, "Came back on March 19, 2024.", mrn="MRN-1"),
        make_note(3, "Admitted 2024-02-20.", mrn="MRN-2"),
    ]
    texts = [record["text"] for record in run_scrub(notes_of, operators={"DATE": "shift"})[0]]
    admitted, discharged = map(datetime.date.fromisoformat, re.findall(r"\d{4}-\d\d-\d\d", texts[0]))
    back = datetime.datetime.strptime(texts[1], "Came back on %B %d, %Y.").date()
    assert (discharged - admitted, back - admitted) == (datetime.timedelta(14), datetime.timedelta(28))
    assert admitted != datetime.date(2024, 2, 20) and f"{admitted}" not in texts[2]


def test_the_subjects_key_gives_the_exact_text_back_until_it_is_destroyed(
    tmp_path: Path, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    written = "Pt  Quenby HOLLIS\t(MRN-1015953), 212-555-0142; q.h@example.com since 2024-03-05 — Zoë’s"
    row = make_note(1, written)
    (record,), _ = run_scrub([row], operators=SEALED)
    keys, subject = tmp_path / "stclare.subjects.sqlite3", subject_id(KEY, row["mrn"])
    assert "HOLLIS" not in record["text"] and record["subject_id"] == subject
    assert reidentify(existing_key(keys, subject), record["text"]) == written
    assert run_scrub([row], operators=SEALED)[0] == [record]
    destroy_key(keys, subject)
    (after,), _ = run_scrub([row], operators=SEALED)
    assert "~" not in after["text"] and "HOLLIS" not in after["text"]


def test_another_subjects_name_is_not_readable_by_this_ones_key(make_note: MakeNote, run_scrub: RunScrub) -> None:
    rows = [make_note(1, "Quenby Hollis with Ida Vandermolt."), make_note(2, "Well.", patient_name="Ida Vandermolt")]
    (record, _), _ = run_scrub(rows, operators=SEALED)
    own, other = re.fullmatch(r"(\[.*?\]) with (\[.*?\])\.", record["text"]).groups()  # type: ignore[union-attr]
    assert own.startswith("[PERSON ~") and re.fullmatch(r"\[PERSON [0-9A-F]{6}\]", other)
