"""A delivery is frozen as its manifest says or not at all; a release's snapshot is taken once."""

import hashlib
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.ingestion.landing import ManifestObject, closed_deliveries
from assets.ingestion.manifest import MANIFEST, DeliveryRefused
from assets.ingestion.requests import request_release
from assets.ingestion.snapshot import freeze_delivery, freeze_release
from governance.custody.blobs import CENTRAL_BUCKET, Ref, fetch_blob
from governance.custody.records import read_record, release_key
from governance.custody.store import NotFound
from governance.tenants import Release
from tests.assets.ingestion.conftest import DATASET, Client

TASK = "triage"
BODY = b"a,b\n1,2\n"


def listed(name: str = "a.csv", body: bytes = BODY, **changed: Any) -> dict[str, Any]:
    return {"name": name, "size": len(body), "sha256": hashlib.sha256(body).hexdigest()} | changed


def raw(client: Client, body: bytes) -> ManifestObject:
    client.put("march", MANIFEST, body)
    return client.closed("march")


def with_extra(client: Client) -> ManifestObject:
    client.put("march", "deep/extra.csv", b"x")
    return client.close("march", [listed()])


REFUSALS: dict[str, tuple[Callable[[Client], ManifestObject], str]] = {
    "missing file": (lambda c: c.close("march", [listed(), listed("b.csv")]), r"names 'b\.csv', which is not there"),
    "extra file": (with_extra, r"'deep/extra\.csv' is not in its _MANIFEST"),
    "size": (lambda c: c.close("march", [listed(size=9)]), r"'a\.csv' has 8 bytes, its _MANIFEST\.json says 9"),
    "sha256": (lambda c: c.close("march", [listed(sha256="0" * 64)]), r"'a\.csv' has sha256 .*says 0000"),
    "no JSON": (lambda c: raw(c, b'{"schema": '), "is not JSON"),
    "no UTF-8": (lambda c: raw(c, b'{"schema": "\xff\xfe"}'), "is not JSON"),
    "nested beyond reason": (lambda c: raw(c, b"[" * 200_000), "is not JSON"),
    "no object": (lambda c: raw(c, b"[]"), "is wrong at document"),
    "no files": (lambda c: c.close("march", []), "is wrong at files"),
    "other schema": (lambda c: c.close("march", [listed()], schema="v2"), "is wrong at schema"),
    "unknown entry": (lambda c: c.close("march", [listed()], note="x"), "is wrong at note"),
    "outside": (lambda c: c.close("march", [listed("../a.csv")]), r"is wrong at files\.0\.name: .*has a slash"),
    "dots": (lambda c: c.close("march", [listed("..")]), "starts with a dot"),
    "twice": (lambda c: c.close("march", [listed(), listed()]), r"'a\.csv' is listed 2 times"),
    "size as text": (lambda c: c.close("march", [listed(size="8")]), r"wrong at files\.0\.size"),
    "empty file": (lambda c: c.close("march", [listed(size=0)]), r"wrong at files\.0\.size"),
    "another tenant's": (lambda c: c.close("march", [listed()], tenant="acme"), "belongs to acme/notes/march"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_a_delivery_that_is_not_what_its_manifest_says_is_refused(client: Client, case: str) -> None:
    client.put("march", "a.csv", BODY)
    build, reason = REFUSALS[case]
    manifest = build(client)
    with pytest.raises(DeliveryRefused, match=reason) as refusal:
        freeze_delivery(client.store, client.tenant, TASK, manifest, print)
    assert "'march'" in str(refusal.value) and "; " in str(refusal.value)
    assert list(client.store.list(CENTRAL_BUCKET, f"{client.tenant}/{TASK}/")) == []


def test_a_delivery_whose_prefix_cannot_be_a_name_is_refused(client: Client) -> None:
    client.put("a b", "a.csv", BODY)
    with pytest.raises(DeliveryRefused, match="cannot name a delivery"):
        freeze_delivery(client.store, client.tenant, TASK, client.close("a b", [listed()]), print)


def test_another_tools_upload_with_decomposed_accents_is_taken(client: Client) -> None:
    client.put("march", "u\u0308.csv", BODY)
    frozen = freeze_delivery(client.store, client.tenant, TASK, client.close("march", [listed("u\u0308.csv")]), print)
    assert b"\xc3\xbc.csv" in client.store.read(*frozen.bucket_and_key)


def test_a_frozen_delivery_is_not_read_again(client: Client) -> None:
    client.deliver(client.file("a.csv"), client.file("b.csv"), name="march")
    first = freeze_delivery(client.store, client.tenant, TASK, client.closed("march"), print)
    with client.counted("GetObject") as read, client.counted("PutObject") as written:
        assert freeze_delivery(client.store, client.tenant, TASK, client.closed("march"), print) == first
    assert [key for key in read if key.endswith(".csv")] == []
    assert written == []


def test_a_file_that_was_delivered_before_is_not_copied_again(client: Client) -> None:
    client.deliver(client.file("a.csv"), name="march")
    client.deliver(client.file("same.csv"), name="april")
    freeze_delivery(client.store, client.tenant, TASK, client.closed("march"), print)
    with client.counted("PutObject") as written:
        freeze_delivery(client.store, client.tenant, TASK, client.closed("april"), print)
    assert len(written) == 2  # the record and the pointer to it; not the file


def test_freezing_a_big_file_needs_little_memory(client: Client) -> None:
    client.deliver(client.file("big.csv", b"0123456789abcdef" * (3 << 19)), name="big")
    manifest = client.closed("big")
    tracemalloc.start()
    freeze_delivery(client.store, client.tenant, TASK, manifest, print)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12 << 20  # the file has 24 MiB


def release_for(client: Client, delivery: str, **cause: str) -> Release:
    return request_release(client.store, client.tenant, TASK, client.closed(delivery), **cause)


def freeze(client: Client, release: Release) -> Ref:
    return freeze_release(client.store, release, DATASET, print)


def deliveries(client: Client, snapshot: Ref) -> list[str]:
    return [each["delivery"] for each in read_record(client.store, snapshot).facts["deliveries"]]


def refused(client: Client, snapshot: Ref) -> list[str]:
    return [each["delivery"] for each in read_record(client.store, snapshot).facts["refused"]]


def deliver(client: Client, *names: str) -> None:
    for name in names:
        client.deliver(client.file(f"{name}.csv", f"{name}\n".encode()), name=name)


def test_a_snapshot_holds_every_delivery_up_to_its_own_and_gives_the_bytes_back(client: Client, tmp_path: Path) -> None:
    deliver(client, "march")
    first = release_for(client, "march")
    deliver(client, "may")
    second = release_for(client, "may")
    snapshot = freeze(client, first)
    assert (deliveries(client, snapshot), deliveries(client, freeze(client, second))) == (["march"], ["march", "may"])
    record = read_record(client.store, snapshot)
    fetch_blob(client.store, record.files["march/march.csv"], tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == b"march\n"
    assert (record.stage, record.release, record.inputs) == ("raw_dataset", str(first), {})


def test_a_snapshot_is_the_same_after_a_kill_and_cannot_change_once_taken(client: Client) -> None:
    deliver(client, "march")
    release = release_for(client, "march")
    first = freeze(client, release)
    client.store.client.delete_object(Bucket=CENTRAL_BUCKET, Key=release_key(release, "raw_dataset"))
    assert freeze(client, release) == first
    client.store.client.delete_object(Bucket=client.bucket, Key=f"{DATASET}/march/{MANIFEST}")
    assert freeze(client, release) == first


def test_an_earlier_delivery_that_is_refused_stops_nobody(client: Client) -> None:
    bad = client.close("broken", [listed("gone.csv")])
    deliver(client, "may")
    snapshot = freeze(client, release_for(client, "may"))
    assert (deliveries(client, snapshot), refused(client, snapshot)) == (["may"], ["broken"])
    with pytest.raises(DeliveryRefused, match=r"'broken'.*gone\.csv"):
        freeze(client, request_release(client.store, client.tenant, TASK, bad))


def test_a_retrain_is_not_stopped_by_the_newest_delivery(client: Client) -> None:
    deliver(client, "march")
    client.close("xbroken", [listed("gone.csv")])
    newest = closed_deliveries(client.store, client.tenant, DATASET)[-1]
    assert newest.delivery == "xbroken"
    snapshot = freeze(client, request_release(client.store, client.tenant, TASK, newest, cause="retrain 1"))
    assert (deliveries(client, snapshot), refused(client, snapshot)) == (["march"], ["xbroken"])


def test_what_is_written_over_a_frozen_delivery_is_refused_and_its_frozen_rows_stay(client: Client) -> None:
    deliver(client, "march")
    freeze(client, release_for(client, "march"))
    client.put("march", "march.csv", b"poison\n")
    client.close("march", [listed("march.csv", b"poison\n")])
    with pytest.raises(DeliveryRefused, match=r"'march'.*frozen before with other content"):
        freeze(client, release_for(client, "march"))
    deliver(client, "zz-later")
    snapshot = freeze(client, release_for(client, "zz-later"))
    assert (deliveries(client, snapshot), refused(client, snapshot)) == (["march", "zz-later"], ["march"])
    assert read_record(client.store, snapshot).files["march/march.csv"].size == len(b"march\n")


def test_a_manifest_written_again_before_the_freeze_is_not_taken_for_the_requested_one(client: Client) -> None:
    deliver(client, "march")
    release = release_for(client, "march")
    client.close("march", [listed("march.csv", b"march\n")])
    with pytest.raises(DeliveryRefused, match="written again after release 1 was requested"):
        freeze(client, release)


def test_a_release_that_nobody_requested_has_no_snapshot(client: Client) -> None:
    deliver(client, "march")
    with pytest.raises(NotFound, match="never requested"):
        freeze(client, Release(tenant=client.tenant, task=TASK, number=7))


def test_a_delivery_that_was_taken_away_is_named(client: Client) -> None:
    deliver(client, "march")
    release = release_for(client, "march")
    client.store.client.delete_object(Bucket=client.bucket, Key=f"{DATASET}/march/{MANIFEST}")
    with pytest.raises(DeliveryRefused, match=r"'march'.*is gone"):
        freeze(client, release)
