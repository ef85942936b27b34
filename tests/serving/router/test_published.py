"""A live release's fingerprint is read from the real store, and only if it is that release's and unaltered."""

from pathlib import Path

import pytest

from governance.custody.blobs import DigestMismatch
from governance.custody.records import point, publish, read_record
from governance.custody.store import ObjectStore
from governance.tenants import Release
from orchestration.settings import CHECKOUT
from serving.router import FingerprintRefused
from serving.router.fingerprint import TENSORS, to_files
from serving.router.policy_file import read_routing
from serving.router.published import STAGE, read_fingerprint
from tests.serving.router.routing import digest, fingerprint


def test_only_the_releases_own_unaltered_fingerprint_is_read(store: ObjectStore, tmp_path: Path) -> None:
    release = Release(tenant="routed", task="intents", number=1)
    sha256 = digest(str(release))
    assert read_fingerprint(store, release, sha256) is None, "before it is made"
    files = to_files(fingerprint(0.7, str(release)))
    for name, body in files.items():
        (tmp_path / name).write_bytes(body)
    ref = publish(store, release, STAGE, {}, {name: tmp_path / name for name in files}, {})
    point(store, release, STAGE, ref)
    found = read_fingerprint(store, release, sha256)
    assert found is not None and to_files(found) == files
    with pytest.raises(FingerprintRefused, match="live is eeee"):
        read_fingerprint(store, release, "e" * 64)

    blob = read_record(store, ref).files[TENSORS]
    store.put(*blob.bucket_and_key, files[TENSORS][:-1] + b"\1")
    with pytest.raises(DigestMismatch, match="was altered"):
        read_fingerprint(store, release, sha256)


def test_a_record_without_its_files_is_refused(store: ObjectStore) -> None:
    release = Release(tenant="routed", task="empty", number=1)
    point(store, release, STAGE, publish(store, release, STAGE, {}, {}, {}))
    with pytest.raises(FingerprintRefused, match="materialize it again"):
        read_fingerprint(store, release, digest(str(release)))


def test_the_policy_file_that_ships_is_good() -> None:
    assert {"default", "frugal"} <= read_routing(CHECKOUT / "deploy" / "routing.yaml").routing.policies.keys()
