"""Rows go in with people, records come out without; twice the same bytes, and nothing visible before the end."""

import datetime
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.privacy.records import SCHEMA
from assets.privacy.rows import ScrubError
from assets.privacy.scrub import scrub
from governance.tenants import Company, Model, load_company

KEY = b"k" * 32
COMPANY: Company = load_company(Path(__file__).parents[3] / "pedigree.yaml")
NOTES = COMPANY.model("stclare", "triage-notes")
EVENTS = COMPANY.model("loomworks", "log-triage")
PLANTED = ["1015952", "Hollis", "Quenby", "1952", "05/21", "21 May", "555-0142", "quenby.h@", "24 Clarke"]


def note(number: int, **changed: Any) -> dict[str, Any]:
    return {
        "delivery": "2026-01",
        "file": "notes.csv",
        "row": number,
        "extras": "{}",
        "mrn": "MRN-1015952",
        "patient_name": "Quenby Hollis",
        "date_of_birth": datetime.date(1952, 5, 21),
        "sex": "F",
        "note": "hollis, quenby (mrn 1015952, born 21 May 1952, 05/21/1952) lives at 24 Clarke Avenue, "
        "phone (212) 555-0142, quenby.h@example.com. Chest pain for 40 minutes.",
        "urgency": "emergency",
        **changed,
    }


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def scrubbed(folder: Path, rows: list[dict[str, Any]], model: Model = NOTES, key: bytes = KEY) -> list[dict[str, Any]]:
    scrub(write(folder / "rows.parquet", rows), model, key, folder, lambda _: None)
    return list(pq.read_table(folder / "records.parquet").to_pylist())


def test_planted_identifiers_are_gone_and_the_finding_stays(tmp_path: Path) -> None:
    (record,) = scrubbed(tmp_path, [note(1)])
    assert not [p for p in PLANTED if p.lower() in str(record).lower()], record["text"]
    assert "Chest pain for 40 minutes." in record["text"]
    assert (record["label"], record["group"], record["delivery"]) == ("emergency", "F", "2026-01")
    assert list(record) == SCHEMA.names


def test_the_same_person_is_the_same_subject_and_surrogate_only_within_the_tenant(tmp_path: Path) -> None:
    other = note(2, note="Quenby Hollis came back, says Mrs. Hollis.", mrn="mrn-1015952 ")
    first, second = scrubbed(tmp_path, [note(1), other])
    assert first["subject_id"] == second["subject_id"] and first["record_id"] != second["record_id"]
    token = second["text"].split("]")[0] + "]"
    assert token in first["text"] and second["text"].count(token) == 2
    elsewhere = scrubbed(tmp_path, [note(1)], key=b"z" * 32)[0]
    assert elsewhere["subject_id"] != first["subject_id"] and token not in elsewhere["text"]


def test_text_columns_are_joined_and_absent_ones_skipped(tmp_path: Path) -> None:
    place = {"delivery": "d", "file": "e.jsonl", "row": 1}
    person = {"user_id": "usr-77123", "user_email": None, "client_ip": "203.0.113.7"}
    event = {"service": "billing", "message": "429 for usr-77123 from 203.0.113.7", "cause": "rate-limit"}
    row = {**place, **person, **event}
    (record,) = scrubbed(tmp_path, [row], EVENTS)
    service, message = record["text"].split(" | ")
    assert service == "billing" and message.startswith("429 for [") and "203" not in message
    assert record["group"] is None


def test_scrubbing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    rows = [note(n, mrn=f"MRN-{n:07}", note=f"Seen by Dr. Adair and Peter Novak {n}.") for n in range(1, 700)]
    scrubbed(tmp_path, rows)
    first = (tmp_path / "records.parquet").read_bytes()
    scrubbed(tmp_path, rows)
    assert (tmp_path / "records.parquet").read_bytes() == first
    assert pq.read_table(tmp_path / "records.parquet").num_rows == 699


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"mrn": None}, "notes.csv row 3 of delivery 2026-01 has no mrn"), ({"urgency": None}, "row 3 .* has no urgency")],
)
def test_a_row_without_subject_or_label_stops_the_scrub_by_name(
    tmp_path: Path, changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(ScrubError, match=message):
        scrubbed(tmp_path, [note(1), note(2), note(3, **changed)])
    assert [p.name for p in tmp_path.iterdir()] == ["rows.parquet"]


def test_unusable_rows_are_refused_with_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "rows.parquet").write_bytes(b"PAR1 torn")
    with pytest.raises(ScrubError, match=r"cannot be read as Parquet.*normalize"):
        scrub(tmp_path / "rows.parquet", NOTES, KEY, tmp_path, lambda _: None)
    row = note(1)
    del row["note"]
    with pytest.raises(ScrubError, match=r"lacks the columns \['note'\]"):
        scrubbed(tmp_path, [row])


def test_an_identifier_column_cannot_be_text_label_or_group(tmp_path: Path) -> None:
    leaking = NOTES.model_copy(update={"text": ("note", "patient_name")})
    with pytest.raises(ScrubError, match=r"patient_name.*declare other columns"):
        scrubbed(tmp_path, [note(1)], leaking)


def test_no_rows_give_no_records(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([note(1)]).slice(0, 0), tmp_path / "rows.parquet")
    assert scrub(tmp_path / "rows.parquet", NOTES, KEY, tmp_path, lambda _: None).records == 0
    assert pq.read_table(tmp_path / "records.parquet").schema.names == SCHEMA.names


def test_odd_text_goes_through(tmp_path: Path) -> None:
    odd = ["", " ", "\x00\x1b[0m\u202e", "王小明 さん 🙂", "İ" * 50, "e\u0301" * 50, "\U000e0041"]
    assert len(scrubbed(tmp_path, [note(n, note=text) for n, text in enumerate(odd, 1)])) == len(odd)


KILLED = """
import sys
from pathlib import Path
from assets.privacy.scrub import scrub
from governance.tenants import load_company
model = load_company(Path(sys.argv[1])).model("stclare", "triage-notes")
scrub(Path(sys.argv[2], "rows.parquet"), model, b"k" * 32, Path(sys.argv[2]), lambda line: None)
"""


def test_killed_midway_leaves_no_output(tmp_path: Path) -> None:
    rows = [note(n, note=f"Peter Novak {n} and Maria Lopez {n} met {n} people in Rome.") for n in range(1, 60_000)]
    write(tmp_path / "rows.parquet", rows)
    root = Path(__file__).parents[3]
    process = subprocess.Popen([sys.executable, "-c", KILLED, root / "pedigree.yaml", tmp_path], cwd=root)
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob(".records.parquet.*")) and time.monotonic() < deadline:
            assert process.poll() is None, "the scrub ended before it could be killed"
            time.sleep(0.05)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert list(tmp_path.glob(".records.parquet.*"))
    assert not (tmp_path / "records.parquet").exists()
