"""The second opinion reads every record, finds whom any row declared, and fails what was left."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.privacy.records import SCHEMA
from assets.privacy.residue_check import Sample, find_residues
from assets.privacy.rows import ScrubError
from governance.tenants import Model
from tests.assets.privacy.conftest import MakeNote, RunScrub

SOME, ALL = Sample(5, 7), Sample(100, 7)


def found(folder: Path, model: Model, sample: Sample) -> list[tuple[str, str]]:
    report = find_residues(folder / "rows.parquet", folder / "records.parquet", model, sample)
    assert "Quenby" not in str(report) and "Novak" not in str(report)
    return [(residue.record_id, residue.entity) for residue in report.residues]


def leave(folder: Path, records: list[dict[str, Any]], number: int, text: str) -> str:
    records[number]["text"] += text
    pq.write_table(pa.Table.from_pylist(records, schema=SCHEMA), folder / "records.parquet")
    return str(records[number]["record_id"])


def test_a_scrub_passes_and_what_is_left_fails(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    rows = [make_note(n, "Chest pain for 40 minutes, says Quenby Hollis.") for n in range(20)]
    rows.append(make_note(99, "Feels well.", patient_name="Peter Novak"))
    records, _ = run_scrub(rows)
    assert found(tmp_path, notes, ALL) == []
    record = leave(tmp_path, records, 11, " Quenby called.")
    assert found(tmp_path, notes, ALL) == found(tmp_path, notes, SOME) == [(record, "NAME")]


@pytest.mark.parametrize(
    "text", [" The Novaks.", " NOVAK", " peter's", " MRN-1016051", " mrn 1016051", " quenby.Novak@example.com"]
)
def test_another_rows_identifier_is_found_outside_the_sample(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub, text: str
) -> None:
    rows = [make_note(n, "Feels well.", patient_name=f"{'Peter Novak' if n == 99 else 'Ida Sky'}") for n in range(100)]
    records, _ = run_scrub(rows)
    record = leave(tmp_path, records, 3, text)
    assert {r for r, _ in found(tmp_path, notes, Sample(0, 7))} == {record}


def test_written_forms_are_found_in_the_sample_alone(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    records, _ = run_scrub([make_note(n, "Feels well.") for n in range(5)])
    record = leave(tmp_path, records, 3, " Call 212-555-0142.")
    assert found(tmp_path, notes, ALL) == [(record, "PHONE")]
    assert found(tmp_path, notes, Sample(0, 7)) == []


def test_a_stand_in_is_no_residue_and_what_stood_there_is(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    rows = [make_note(n, f"Call 212-555-{n:04} or q{n}@example.org.") for n in range(5)]
    records, _ = run_scrub(rows, operators={"PHONE": "surrogate", "EMAIL": "surrogate"})
    plausible = Sample(100, 7, plausible=True)
    assert "@example" in records[0]["text"] and found(tmp_path, notes, plausible) == []
    record = leave(tmp_path, records, 3, " 212-555-0003")
    assert found(tmp_path, notes, plausible) == [(record, "PHONE")]


def test_records_of_other_rows_are_not_checked_in_their_place(
    tmp_path: Path, notes: Model, make_note: MakeNote, run_scrub: RunScrub
) -> None:
    run_scrub([make_note(1, "a"), make_note(2, "b")])
    pq.write_table(pa.Table.from_pylist([make_note(1, "a")]), tmp_path / "rows.parquet")
    with pytest.raises(ScrubError, match="2 records for 1 rows"):
        found(tmp_path, notes, ALL)
