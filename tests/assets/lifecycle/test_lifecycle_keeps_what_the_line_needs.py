"""Garbage collection and retention remove what nothing leads to or what is too old, and nothing else."""

import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from assets.lifecycle.collect import clear_work, collect
from assets.lifecycle.retention import expire
from governance.audit.acts import Act
from governance.custody.blobs import DigestMismatch, Ref, put_bytes, read_blob
from governance.custody.records import Record, point, publish, read_record
from governance.custody.store import ObjectStore
from governance.custody.tombstones import tombstone_of
from governance.tenants import Release

NOW = timedelta(seconds=-1)


@pytest.fixture
def acts() -> list[Act]:
    """What was to be written into the audit log."""
    return []


def _stage(store: ObjectStore, release: Release, stage: str, folder: Path, inputs: dict[str, Ref]) -> Ref:
    folder.mkdir(exist_ok=True)
    file = folder / f"{stage}.bin"
    file.write_bytes(f"{release} {stage}".encode())
    ref = publish(store, release, stage, inputs, {file.name: file}, {})
    point(store, release, stage, ref)
    return ref


@pytest.fixture
def line(store: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest) -> dict[str, Ref]:
    release = Release(tenant=f"gc{zlib.crc32(request.node.name.encode())}", task="notes", number=1)
    store.ensure_bucket(f"landing-{release.tenant}")
    raw = _stage(store, release, "raw_dataset", tmp_path / "work", {})
    normalized = _stage(store, release, "normalized_dataset", tmp_path / "work", {"raw_dataset": raw})
    scrubbed = _stage(store, release, "scrubbed_dataset", tmp_path / "work", {"normalized_dataset": normalized})
    return {"raw": raw, "normalized": normalized, "scrubbed": scrubbed}


def _tenant(line: dict[str, Ref]) -> str:
    return line["raw"].bucket_and_key[1].split("/")[0]


def test_only_unreachable_blobs_are_collected(store: ObjectStore, line: dict[str, Ref], acts: list[Act]) -> None:
    tenant = _tenant(line)
    stray = put_bytes(store, tenant, b"left by a killed run")
    done = collect(store, tenant, acts.append, grace=NOW)
    assert (done.removed, done.bytes) == (1, stray.size)
    assert store.stat(*stray.bucket_and_key) is None
    assert [(act.what, act.tenant) for act in acts] == [("garbage collection", tenant)]
    for ref in line.values():
        for file in read_record(store, ref).files.values():
            read_blob(store, file)


def test_nothing_is_removed_that_the_audit_log_does_not_announce(store: ObjectStore, line: dict[str, Ref]) -> None:
    def refuse(act: Act) -> None:
        raise RuntimeError(act.what)

    tenant = _tenant(line)
    stray = put_bytes(store, tenant, b"left by a killed run")
    with pytest.raises(RuntimeError, match="garbage collection"):
        collect(store, tenant, refuse, grace=NOW)
    with pytest.raises(RuntimeError, match="retention"):
        expire(store, tenant, ["notes"], 30, datetime.now(UTC) + timedelta(days=31), refuse)
    assert store.stat(*stray.bucket_and_key)
    for stage in line.values():
        for file in read_record(store, stage).files.values():
            assert read_blob(store, file)


def test_what_a_running_build_just_wrote_is_not_collected(
    store: ObjectStore, line: dict[str, Ref], acts: list[Act]
) -> None:
    fresh = put_bytes(store, _tenant(line), b"written a moment ago")
    assert collect(store, _tenant(line), acts.append).removed == 0
    assert read_blob(store, fresh)


def test_an_altered_record_stops_the_sweep_before_anything_is_removed(
    store: ObjectStore, line: dict[str, Ref], acts: list[Act]
) -> None:
    stray = put_bytes(store, _tenant(line), b"left by a killed run")
    bucket, key = line["scrubbed"].bucket_and_key
    store.put(bucket, key, store.read(bucket, key).replace(b"scrubbed", b"scrubbeD"))
    with pytest.raises(DigestMismatch):
        collect(store, _tenant(line), acts.append, grace=NOW)
    assert store.stat(*stray.bucket_and_key) and not acts


def test_retention_removes_unscrubbed_bytes_and_says_so(
    store: ObjectStore, line: dict[str, Ref], acts: list[Act]
) -> None:
    tenant = _tenant(line)
    store.put(f"landing-{tenant}", "notes/one/rows.csv", b"a,b")
    expired = expire(store, tenant, ["notes"], days=30, now=datetime.now(UTC) + timedelta(days=31), record=acts.append)
    (act,) = acts
    assert (act.what, act.tenant) == ("retention", tenant) and "rows.csv" not in act.model_dump_json()
    assert sorted(item.what.split()[-1] for item in expired) == [
        "normalized_dataset.bin",
        "notes/one/rows.csv",
        "raw_dataset.bin",
    ]
    for stage in ("raw", "normalized"):
        (file,) = read_record(store, line[stage]).files.values()
        assert store.stat(*file.bucket_and_key) is None
        tombstone = tombstone_of(store, tenant, file.sha256)
        assert tombstone and tombstone.reason == "retention of 30 days"
        assert act.digests == {"removed": tombstone.removed.sha256}
    (kept,) = read_record(store, line["scrubbed"]).files.values()
    assert read_blob(store, kept)
    assert not list(store.list(f"landing-{tenant}", ""))


def test_retention_keeps_what_is_young(store: ObjectStore, line: dict[str, Ref], acts: list[Act]) -> None:
    assert (
        expire(store, _tenant(line), ["notes"], days=30, now=datetime.now(UTC) + timedelta(days=29), record=acts.append)
        == []
    )
    assert acts == []


def test_stale_work_folders_go_and_fresh_ones_stay(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    assert clear_work(tmp_path) == 0
    assert clear_work(tmp_path, grace=NOW) == 1
    assert not list(tmp_path.iterdir())


def test_a_record_is_what_its_reference_says(store: ObjectStore, line: dict[str, Ref]) -> None:
    record = read_record(store, line["normalized"])
    assert isinstance(record, Record) and record.inputs["raw_dataset"] == line["raw"]
