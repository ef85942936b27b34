"""The line holds from the answer to the deliveries; a broken link anywhere is named, and the rest is still shown."""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from assets.lifecycle.retention import expire
from governance.audit.acts import publishing
from governance.audit.log import append
from governance.custody.blobs import CENTRAL_BUCKET, Ref, put_bytes, read_blob
from governance.custody.bundle import assemble, sign_release
from governance.custody.canonical import canonical_json
from governance.custody.keys import TrustedKeys, create_keys, release_key, trusted_keys
from governance.custody.manifest import STAGES
from governance.custody.records import Record, point, publish, read_record, write_record
from governance.custody.records import release_key as record_key
from governance.custody.store import ObjectStore
from governance.custody.tombstones import Tombstone, bury, list_removed, tombstone_key
from governance.gate.report import judged
from governance.tenants import Release
from governance.trace import TraceNode, render, trace
from governance.trust.keys import create_anchor, establish
from governance.trust.live import read_live, write_live
from governance.trust.releases import publish_release
from governance.trust.revocation import revoke_release
from governance.trust.roles import live_path, target_key
from tests.store_apart import StoreApart

NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Line:
    """A promoted release in the object store, whole until a test tampers with it."""

    store: ObjectStore
    trusted: TrustedKeys
    release: Release
    digest: str
    refs: dict[str, Ref]

    def trace(self, answer: dict[str, str] | None = None, trusted: TrustedKeys | None = None) -> TraceNode:
        tenant, task = self.release.tenant, self.release.task
        return trace(self.store, tenant, task, "mumbai", trusted or self.trusted, answer)

    def broken(self, answer: dict[str, str] | None = None) -> dict[str, str]:
        return {node.name: node.detail for node in self.trace(answer).broken()}

    def blob(self, stage: str, name: str) -> str:
        """Key of a stage's file; of its record for name ""."""
        ref = read_record(self.store, self.refs[stage]).files[name] if name else self.refs[stage]
        return ref.bucket_and_key[1]

    @contextmanager
    def harmed(self, key: str, harm: str) -> Iterator[None]:
        """The object with a flipped bit or gone, and afterwards as before."""
        body = self.store.read(CENTRAL_BUCKET, key)
        middle = len(body) // 2
        if harm == "removed":
            self.store.delete(CENTRAL_BUCKET, key, every_version=True)
        else:
            self.store.put(CENTRAL_BUCKET, key, body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1 :])
        try:
            yield
        finally:
            self.store.put(CENTRAL_BUCKET, key, body)


MakeLine = Callable[[], Line]


@pytest.fixture(scope="module")
def make_line(
    store: ObjectStore,
    keys_dir: Path,
    trusted: TrustedKeys,
    make_manifest: Callable[..., Any],
    predicates: Callable[..., Any],
    tmp_path_factory: pytest.TempPathFactory,
) -> MakeLine:
    def make() -> Line:
        release = Release(tenant="northbank", task=f"trace-{next(NUMBERS)}", number=1)
        work = tmp_path_factory.mktemp("line")
        _, adapter = make_manifest(str(release))
        refs = stages(store, release, adapter, work)
        manifest, _ = make_manifest(str(release), {stage: refs[stage] for stage in STAGES})
        report = read_record(store, refs["validation_report"]).files["report.json"]
        assemble(work / "signed", adapter, manifest)
        said = predicates(manifest, report, read_record(store, refs["raw_dataset"]).facts["deliveries"])
        digest = sign_release(work / "signed", manifest, release_key(keys_dir, "northbank"), said, trusted)
        signed = {path.relative_to(work / "signed").as_posix(): path for path in (work / "signed").rglob("*.*")}
        inputs = {stage: refs[stage] for stage in ("lora_adapter", "validation_report")}
        refs["signed_artifact"] = publish(store, release, "signed_artifact", inputs, signed, {"release_digest": digest})
        point(store, release, "signed_artifact", refs["signed_artifact"])
        publish_release(store, keys_dir, release, manifest.canonical, read_record(store, refs["signed_artifact"]).files)
        append(store, keys_dir, publishing(release, digest, "mumbai", 1, None, "tests", "first"))
        write_live(store, keys_dir, release, digest, "mumbai", "first", "tests", None)
        return Line(store, trusted, release, digest, refs)

    return make


@pytest.fixture
def line(make_line: MakeLine) -> Line:
    """One to tamper with for good."""
    return make_line()


@pytest.fixture(scope="module")
def whole_line(make_line: MakeLine) -> Line:
    """One that every test leaves as it was."""
    return make_line()


def stages(store: ObjectStore, release: Release, adapter: Path, tmp_path: Path) -> dict[str, Ref]:
    """The records of every stage before signing."""
    tenant, refs = release.tenant, {}
    delivered = put_bytes(store, tenant, f"rows of {release}".encode())
    file = {"name": "tickets.jsonl", "size": delivered.size, "sha256": delivered.sha256, "version_id": "v7"}
    delivery = {
        "delivery": "2026-03-01",
        "manifest_key": "tickets/2026-03-01/_MANIFEST.json",
        "manifest_sha256": "e" * 64,
        "version_id": "v8",
        "files": [file],
    }
    raw = Record(stage="raw_dataset", release=str(release), files={"2026-03-01/tickets.jsonl": delivered})
    refs["raw_dataset"] = write_record(store, raw.model_copy(update={"facts": {"deliveries": [delivery]}}))
    for stage, upstream, name, facts in (
        ("normalized_dataset", "raw_dataset", "rows.parquet", {"rows": 4321, "quarantined": 31}),
        ("scrubbed_dataset", "normalized_dataset", "records.parquet", {"records": 4321, "spans": {"PERSON": 9}}),
    ):
        path = tmp_path / name
        path.write_text(f"{name} of {release}")
        facts = facts | {"rows_by_delivery": {"2026-03-01": 4352}}
        refs[stage] = publish(store, release, stage, {upstream: refs[upstream]}, {name: path}, facts)
    files = {path.name: path for path in adapter.iterdir()}
    inputs = {"scrubbed_dataset": refs["scrubbed_dataset"]}
    refs["lora_adapter"] = publish(store, release, "lora_adapter", inputs, files, {"epochs": 4})
    (tmp_path / "report.json").write_bytes(passing_report(release, refs["lora_adapter"]))
    inputs = {"lora_adapter": refs["lora_adapter"]}
    refs["validation_report"] = publish(
        store, release, "validation_report", inputs, {"report.json": tmp_path / "report.json"}, {}
    )
    return refs


def passing_report(release: Release, adapter: Ref) -> bytes:
    metric = {"candidate": 0.9, "champion": 0.5, "difference": 0.4, "lower": 0.3, "upper": 0.5, "margin": 0.0}
    comparison = {
        "against": "frozen base with linear head",
        "champion": "baseline",
        "champion_sha256": "f" * 64,
        "evaluation_set": "new",
        "metrics": [{"metric": name, "verdict": "improvement", **metric} for name in ("macro F1", "accuracy")],
        "power": {"rows": 900, "subjects": 900, "rows_needed": 10, "subjects_needed": 10, "discordance": 0.4},
    }
    latency = {"against": None, "pairs": 0, "candidate_p50": 5.0, "candidate_p95": 9.0, "limit": 1.25}
    bias = {
        "method": "not measurable", "column": None, "rows": 0, "difference": 0.0, "upper": 0.0, "limit": 0.1,
        "exceeded": False, "blocking": False, "groups": [],
    }  # fmt: skip
    report = judged(
        subject={"release": str(release), "adapter": adapter.sha256, "base": "b" * 64},
        sets=[{"name": "new", "sha256": "f" * 64, "rows": 900, "subjects": 900, "labels": 9}],
        comparisons=[comparison],
        label_scores=[],
        latency=latency,
        bias=bias,
        label_drift=None,
        environment={},
    )
    assert report.passed, report.reasons
    return report.canonical()


def test_the_whole_line_holds_and_reads_from_answer_to_delivery(whole_line: Line) -> None:
    node = whole_line.trace({"model_version": str(whole_line.release), "release_digest": whole_line.digest})
    assert node.whole, list(node.broken())
    said = json.dumps(node.to_json())
    for word in (
        whole_line.digest, "approved by tests", "OpenSSF", "f1, accuracy, latency, bias", "run-1", "mlflow-1", "a" * 40,
        "not in an image", "quarantined 31, rows 4,321", "tickets/2026-03-01/tickets.jsonl", "version v7", "4,352 rows",
        f"minilm {'b' * 64}", "packages in the SBOM", "its place in the log is proved",
    ):  # fmt: skip
        assert word in said, word
    names = [name for name, _ in walk(render(node))]
    assert all(name.startswith("✔") for name in names)
    order = ["lora_adapter", "scrubbed_dataset", "normalized_dataset", "raw_dataset", "delivery", "file"]
    positions = [next(i for i, name in enumerate(names) if name.startswith(f"✔ {stage}:")) for stage in order]
    assert positions == sorted(positions)


def walk(tree: tuple[str, list[Any]]) -> list[tuple[str, list[Any]]]:
    return [tree, *(found for child in tree[1] for found in walk(child))]


@pytest.mark.parametrize(
    ("stage", "name", "link"),
    [
        ("raw_dataset", "2026-03-01/tickets.jsonl", "raw_dataset"),
        ("raw_dataset", "", "raw_dataset"),
        ("normalized_dataset", "rows.parquet", "normalized_dataset"),
        ("normalized_dataset", "", "normalized_dataset"),
        ("scrubbed_dataset", "records.parquet", "scrubbed_dataset"),
        ("scrubbed_dataset", "", "scrubbed_dataset"),
        ("lora_adapter", "", "lora_adapter"),
        ("lora_adapter", "adapter_model.safetensors", "lora_adapter"),
        ("validation_report", "report.json", "gate"),
        ("signed_artifact", "release.json", "release"),
        ("signed_artifact", "model.sig", "signature"),
        ("signed_artifact", "head.safetensors", "signature"),
        ("signed_artifact", "attestations/gate.json", "gate"),
        ("signed_artifact", "attestations/provenance.json", "provenance"),
        ("signed_artifact", "attestations/sbom.json", "environment lock"),
        ("signed_artifact", "", "signed_artifact"),
    ],
)
@pytest.mark.parametrize("harm", ["flipped bit", "removed"])
def test_a_harmed_object_is_named_and_no_link_before_it_is_blamed(
    whole_line: Line, stage: str, name: str, link: str, harm: str
) -> None:
    key = whole_line.blob(stage, name)
    with whole_line.harmed(key, harm):
        broken = whole_line.broken()
    assert link in broken
    assert key in broken[link]
    # An adapter's files are the release's too, so both links show it; any other object belongs to one link.
    assert set(broken) <= {link, "signature", "lora_adapter"} if "safetensors" in name else set(broken) == {link}


def test_another_answer_than_the_promoted_one_is_a_broken_link(whole_line: Line) -> None:
    broken = whole_line.broken({"model_version": f"{whole_line.release.served_name}@9", "release_digest": "9" * 64})
    assert broken == {"answer": f"the region should answer with {whole_line.release} {whole_line.digest}"}


def test_a_model_that_was_never_promoted_has_no_line(whole_line: Line) -> None:
    node = trace(whole_line.store, "northbank", "nothing-here", "mumbai", whole_line.trusted)
    assert not node.whole
    assert [child.detail for child in node.broken()] == ["no release was promoted here; materialize promoted_model"]


def test_a_harmed_live_pointer_still_shows_the_line_of_what_answers(whole_line: Line) -> None:
    answer = {"model_version": str(whole_line.release), "release_digest": whole_line.digest}
    folder, _, name = target_key(live_path("mumbai", whole_line.release.model), "").rpartition("/")
    (pointer,) = [i.key for i in whole_line.store.list(CENTRAL_BUCKET, folder) if i.key.endswith(name)]
    with whole_line.harmed(pointer, "flipped bit"):
        node = whole_line.trace(answer)
    assert {link.name for link in node.broken()} == {"live pointer", "answer"}
    assert any(child.name == "release" and child.whole for child in node.children)


def test_a_pointer_that_no_entry_of_the_audit_log_announces_is_a_broken_link(line: Line, keys_dir: Path) -> None:
    """Whoever holds the promotion key alone can write a pointer, but not unseen."""
    standing = read_live(line.store, line.release.tenant, line.release.task, "mumbai", line.trusted)
    write_live(line.store, keys_dir, line.release, line.digest, "mumbai", "quietly", "nobody", standing)
    assert "announces live pointer 2 of northbank/" in line.broken()["audit entry"]


def test_a_nonsense_answer_without_a_pointer_is_no_crash(whole_line: Line) -> None:
    answer = {"model_version": "?", "release_digest": "zz"}
    assert not trace(whole_line.store, "northbank", "nothing-here", "mumbai", whole_line.trusted, answer).whole


def test_a_line_under_another_root_of_trust_is_broken(whole_line: Line, tmp_path: Path) -> None:
    create_keys(tmp_path, ["stclare"])
    create_anchor(tmp_path)
    establish(StoreApart(whole_line.store, f"{tmp_path.name}/"), tmp_path, ["stclare"])
    node = whole_line.trace(
        {"model_version": str(whole_line.release), "release_digest": "9" * 64}, trusted_keys(tmp_path)
    )
    broken = {link.name: link.detail for link in node.broken()}
    assert "trust repository is refused" in broken["live pointer"]
    assert broken.keys() == {"live pointer", "answer", "release"}


def test_a_revoked_release_is_broken(line: Line, keys_dir: Path) -> None:
    revoke_release(line.store, keys_dir, line.release, "a leak", "tests")
    assert "was revoked" in line.broken()["vouched for"]


def test_an_exchanged_bundle_is_not_the_release_that_was_promoted(line: Line) -> None:
    """The pointer to a bundle is not signed: one that leads to other files must not pass."""
    bundle = read_record(line.store, line.refs["signed_artifact"])
    other = put_bytes(line.store, "northbank", b"another head")
    swapped = bundle.model_copy(update={"files": bundle.files | {"head.safetensors": other}})
    point(line.store, line.release, "signed_artifact", write_record(line.store, swapped))
    assert line.broken() == {"signature": "head.safetensors was altered after it was signed"}
    extra = bundle.model_copy(update={"files": bundle.files | {"notes.txt": other}})
    point(line.store, line.release, "signed_artifact", write_record(line.store, extra))
    assert "notes.txt" in line.broken()["signature"]


def test_a_blob_is_not_taken_for_expired_because_a_tombstone_says_so(line: Line, keys_dir: Path) -> None:
    key = line.blob("raw_dataset", "2026-03-01/tickets.jsonl")
    sha256, bucket = Path(key).name, "northbank"
    line.store.delete(CENTRAL_BUCKET, key, every_version=True)
    assert "does not exist" in line.broken()["raw_dataset"]
    line.store.put(CENTRAL_BUCKET, tombstone_key(bucket, sha256), canonical_json({"reason": "retention"}))
    assert "raw_dataset" in line.broken()
    other = Tombstone(
        reason="retention", at=datetime.now(UTC), removed=list_removed(line.store, bucket, {"9" * 64: "x"})
    )
    bury(line.store, bucket, sha256, other)
    assert "a list that does not name it" in line.broken()["raw_dataset"]
    forged = other.model_copy(update={"removed": list_removed(line.store, bucket, {sha256: "tickets"})})
    bury(line.store, bucket, sha256, forged)
    assert "did not expire, somebody removed it" in line.broken()["raw_dataset"]


def test_retention_takes_nothing_by_which_a_live_version_answers_or_is_proved(line: Line, keys_dir: Path) -> None:
    raw = line.blob("raw_dataset", "2026-03-01/tickets.jsonl")
    for stage in STAGES[:2]:
        point(line.store, line.release, stage, line.refs[stage])
    line.store.ensure_bucket("landing-northbank")
    years_later = datetime.now(UTC) + timedelta(days=4000)
    record = partial(append, line.store, keys_dir)
    gone = expire(line.store, "northbank", [line.release.task], 30, years_later, record)
    assert Path(raw).name in {each.sha256 for each in gone}
    node = line.trace({"model_version": str(line.release), "release_digest": line.digest})
    assert node.whole, [*node.broken()]
    assert "expired by retention: 2026-03-01/tickets.jsonl" in json.dumps(node.to_json())
    for stage in ("lora_adapter", "validation_report", "signed_artifact"):
        for ref in read_record(line.store, line.refs[stage]).files.values():
            assert read_blob(line.store, ref)


def test_the_line_needs_nothing_but_the_store(whole_line: Line) -> None:
    """No pointer but those of the release and the region is read, so the catalogue and the database may be gone."""
    for stage in ("raw_dataset", "normalized_dataset", "scrubbed_dataset", "lora_adapter", "validation_report"):
        assert whole_line.store.stat(CENTRAL_BUCKET, record_key(whole_line.release, stage)) is None
    assert whole_line.trace().whole
