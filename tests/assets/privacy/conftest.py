"""Rows of the example hospital, and a scrub of them."""

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.privacy.scrub import Options, Scrubbed, scrub
from governance.tenants import Company, Model, Privacy, load_company

Rows = list[dict[str, Any]]
MakeNote = Callable[..., dict[str, Any]]
RunScrub = Callable[..., tuple[Rows, Scrubbed]]
KEY = b"k" * 32
COMPANY: Company = load_company(Path(__file__).parents[3] / "pedigree.yaml")


@pytest.fixture(scope="session")
def notes() -> Model:
    return COMPANY.model("stclare", "triage-notes")


@pytest.fixture(scope="session")
def make_note() -> MakeNote:
    def make(number: int, note: str, **changed: Any) -> dict[str, Any]:
        return {
            "delivery": "2026-01",
            "file": "notes.csv",
            "row": number,
            "extras": "{}",
            "mrn": f"MRN-{1015952 + number}",
            "patient_name": "Quenby Hollis",
            "date_of_birth": datetime.date(1952, 5, 21),
            "sex": "F",
            "note": note,
            "urgency": "emergency",
            **changed,
        }

    return make


@pytest.fixture
def run_scrub(tmp_path: Path, notes: Model) -> RunScrub:
    """Scrub rows in `tmp_path`: the records, and what was done."""

    def run(rows: Rows, key: bytes = KEY, operators: dict[str, str] | None = None, **options: Any) -> Any:
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
        privacy = Privacy.model_validate({"operators": operators or {}})
        keys = tmp_path / "stclare.subjects.sqlite3"
        done = scrub(
            tmp_path / "rows.parquet",
            notes,
            key,
            tmp_path,
            lambda _: None,
            Options(privacy=privacy, subject_keys=keys, **options),
        )
        return pq.read_table(tmp_path / "records.parquet").to_pylist(), done

    return run
