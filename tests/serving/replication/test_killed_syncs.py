"""A sync that is killed at a random moment leaves the old version or the new one, and the next one finishes."""

import shutil
from pathlib import Path

import pytest

from benchmarks import releases
from benchmarks.kills import kill_syncs
from governance.custody.keys import trusted_keys
from governance.tenants import Release
from orchestration.settings import Settings
from serving.engine import base_digest

KILLS = 3


def test_nothing_torn_and_everything_recovered(
    start_stack: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings: Settings = start_stack("seaweedfs")  # type: ignore[operator]
    monkeypatch.setenv("PEDIGREE_S3_ENDPOINT", str(settings.s3_endpoint))
    monkeypatch.setenv("PEDIGREE_S3_ACCESS_KEY", settings.s3_access_key)
    monkeypatch.setenv("PEDIGREE_S3_SECRET_KEY", settings.s3_secret_key.get_secret_value())
    store, keys_dir, root = settings.store(), settings.keys_dir, tmp_path / "region"
    (root / "trusted").mkdir(parents=True)
    shutil.copy(trusted_keys(keys_dir).folder / "root.json", root / "trusted")
    pair = [
        (release, releases.publish(store, keys_dir, release, tmp_path / str(release), seed, 4 << 20))
        for seed, release in ((1, Release.parse("northbank.killed@1")), (2, Release.parse("northbank.killed@2")))
    ]
    killed = kill_syncs(store, keys_dir, "mumbai", root, pair, base_digest(releases.base()), KILLS)
    assert killed.cut, "no kill came in time"
    assert (killed.torn, killed.recovered) == (0, KILLS)
