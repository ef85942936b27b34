"""No delivery is forgotten or built twice, and no number is given twice, however many ask at once."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from assets.ingestion.decide import new_deliveries
from assets.ingestion.landing import ManifestObject
from assets.ingestion.requests import Request, request_release, requests
from tests.assets.ingestion.conftest import Client


def manifest(delivery: str, etag: str = "e1", second: int = 0) -> ManifestObject:
    at = datetime(2026, 1, 1, 0, 0, second, tzinfo=UTC)
    return ManifestObject(f"notes/{delivery}/_MANIFEST.json", etag, "v", at)


def request(number: int, delivery: str, etag: str = "e1", cause: str = "new delivery") -> Request:
    key = f"notes/{delivery}/_MANIFEST.json"
    return Request(number=number, delivery=delivery, manifest_key=key, etag=etag, cause=cause)


A, B, C = manifest("a", second=1), manifest("b", second=1), manifest("c", second=2)
CASES: dict[str, tuple[list[ManifestObject], list[Request], list[ManifestObject]]] = {
    "nothing delivered": ([], [], []),
    "first": ([A], [], [A]),
    "known": ([A], [request(1, "a")], []),
    "same second, the later one by key is known": ([A, B], [request(1, "b")], [A]),
    "same second, both new": ([B, A], [], [A, B]),
    "older than one that is known": ([A, C], [request(1, "c")], [A]),
    "out of order": ([C, B, A], [], [A, B, C]),
    "listed twice": ([A, A], [], [A]),
    "written again with other content": ([manifest("a", "e2")], [request(1, "a")], [manifest("a", "e2")]),
    "written again, seen": ([manifest("a", "e2")], [request(1, "a"), request(2, "a", "e2")], []),
    "same content under another name": ([A, B], [request(1, "a")], [B]),
    "only retrained from": ([A], [request(1, "a", cause="retrain 1")], [A]),
    "gone from the bucket": ([], [request(1, "a")], []),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_new(case: str) -> None:
    manifests, known, expected = CASES[case]
    assert new_deliveries(manifests, known) == expected


def test_writers_racing_for_numbers_get_one_each(client: Client) -> None:
    wanted = [manifest(f"d{i}") for i in range(8)]
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda m: request_release(client.store, client.tenant, "k", m).number, wanted))
    assert sorted(numbers) == list(range(1, 9))
    known = {each.delivery: each.number for each in requests(client.store, client.tenant, "k")}
    assert known == {m.delivery: number for m, number in zip(wanted, numbers, strict=True)}


def test_writers_racing_for_one_manifest_get_one_release(client: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        asked = pool.map(lambda _: request_release(client.store, client.tenant, "k", A), range(8))
        releases = {str(release) for release in asked}
    assert releases == {f"{client.tenant}.k@1"}
    assert len(requests(client.store, client.tenant, "k")) == 1


def test_a_retrain_is_a_release_of_its_own_once_per_cause(client: Client) -> None:
    ask = [
        request_release(client.store, client.tenant, "k", A, cause=c).number for c in ("new delivery", "x", "x", "y")
    ]
    assert ask == [1, 2, 2, 3]


def test_more_than_nine_releases_stay_in_order(client: Client) -> None:
    for number in range(1, 12):
        assert request_release(client.store, client.tenant, "k", manifest(f"d{number}")).number == number
    assert [each.number for each in requests(client.store, client.tenant, "k")] == list(range(1, 12))


def test_a_request_is_read_once_by_a_process(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    request_release(client.store, client.tenant, "k", A)
    first = requests(client.store, client.tenant, "k")
    reads: list[str] = []
    read = client.store.read
    monkeypatch.setattr(client.store, "read", lambda bucket, key: reads.append(key) or read(bucket, key))
    second = request_release(client.store, client.tenant, "k", B)
    assert requests(client.store, client.tenant, "k")[0] == first[0]
    assert reads == [f"{client.tenant}/k/releases/{second.number}/request.json"]
