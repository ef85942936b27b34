"""A region whose server or backend is killed under load answers again by itself; stopped, it leaves nothing."""

import re
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from benchmarks import releases
from benchmarks.region import Region
from benchmarks.soak import Truth, killed
from governance.tenants import Release
from serving.triton import install, repository
from serving.triton.keep import BACKEND

MODELS = [f"{releases.TENANT}.{letter}" for letter in "ab"]


@pytest.fixture
def truth() -> Truth:
    return Truth()


@pytest.fixture
def kept(tmp_path: Path, truth: Truth) -> Iterator[Region]:
    install.install(install.location())
    root, keys_dir = tmp_path / "region", tmp_path / "keys"
    repository.prepare(root, releases.BASE, releases.base(), releases.keys(keys_dir).folder)
    truth.lay(root, keys_dir, [f"{model}@1" for model in MODELS])
    for model in MODELS:
        repository.switch(root, Release.parse(f"{model}@1"))
    with Region(root, releases.BASE, kept=True) as region:
        yield region


def test_a_killed_server_or_backend_is_back_and_a_stop_leaves_nothing(kept: Region, truth: Truth) -> None:
    for victim in (BACKEND, "tritonserver"):
        seen = killed(kept, truth, MODELS, victim, clients=4)
        assert seen["wrong"] == 0
        assert seen["backends"] == 1
        told = set(re.findall(r"\d+ (\w+): ", seen["errors"]))
        assert told and told <= {"RegionDown", "RequestFailed", "RequestRefused", "ModelUnknown"}
    everyone = kept.family()[1:]
    assert kept.end() == 0
    assert not [each for each in everyone if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
    assert kept.shared_memory() == []
