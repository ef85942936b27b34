"""From a signed release's evaluation rows to its fingerprint in the central bucket."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from assets.routing.fit import Made, fit, places_of
from governance.custody.blobs import Ref, fetch_blob
from governance.custody.records import Record, publish, read_record
from governance.custody.store import ObjectStore
from governance.gate.verdict import require_gate
from governance.tenants import Release
from serving.router import FingerprintRefused, prompt_head
from serving.router.fingerprint import Facts, to_files
from serving.router.published import STAGE

MOST_ROWS = 1000
PART = 64
NEEDED = ("golden.parquet", "predictions.parquet")


def publish_fingerprint(
    store: ObjectStore, release: Release, signed: Ref, base: Path, dtype: str, work: Path
) -> tuple[Ref, Facts]:
    """Make and store the fingerprint of what `signed` refers to; the same release always has the same one.

    base, dtype: as the regions serve it. Raises FingerprintRefused, GateRefused, NotFound, DigestMismatch.
    """
    from serving.engine import base_digest

    bundle = read_record(store, signed)
    gate = require_gate(store, bundle.inputs["validation_report"], release, bundle.inputs["lora_adapter"])
    rows = _judged_rows(store, read_record(store, bundle.inputs["validation_report"]), release, work)
    vectors = _embedded(rows["text"].to_pylist(), base, dtype)
    right = pc.equal(rows["predicted"], rows["label"]).to_numpy()
    made = Made(str(release), str(bundle.facts["release_digest"]), base_digest(base), gate.latency.candidate_p95)
    fingerprint = fit(vectors, right.astype(np.float64), rows["subject_id"].to_pylist(), places_of(vectors), made)
    files = {name: work / name for name in to_files(fingerprint)}
    for name, body in to_files(fingerprint).items():
        files[name].write_bytes(body)
    facts = {"release_digest": fingerprint.facts.release_digest, "rows": fingerprint.facts.rows}
    ref = publish(store, release, STAGE, {"signed_artifact": signed}, files, facts)
    return ref, fingerprint.facts


def _embedded(texts: list[str], base: Path, dtype: str) -> np.ndarray[Any, Any]:
    """As the router embeds them: float64 [texts, hidden]."""
    from serving.engine import Engine
    from serving.engine.parallel import side_by_side

    engine, heads = Engine(base, dtype), [prompt_head(text) for text in texts]
    parts = [heads[start : start + PART] for start in range(0, len(heads), PART)]
    return np.concatenate([part.numpy() for part in side_by_side(engine.embed, parts)]).astype(np.float64)


def _judged_rows(store: ObjectStore, judged: Record, release: Release, work: Path) -> pa.Table:
    """record_id, subject_id, text, label, predicted: at most MOST_ROWS, those of the smallest sha256(record_id)."""
    if missing := [name for name in NEEDED if name not in judged.files]:
        raise FingerprintRefused(f"the evaluation of {release} kept no {', '.join(missing)}; build a new release")
    for name in NEEDED:
        fetch_blob(store, judged.files[name], work / name)
    golden, predicted = (pq.read_table(work / name) for name in NEEDED)
    golden = golden.select(["record_id", "subject_id", "text", "label"]).replace_schema_metadata(None)
    rows = golden.join(predicted, "record_id", join_type="inner")
    ids = rows["record_id"].to_pylist()
    kept = sorted(range(len(ids)), key=lambda row: hashlib.sha256(ids[row].encode()).digest())[:MOST_ROWS]
    return rows.take(kept)
