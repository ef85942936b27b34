"""A region that the network cuts off in mid-rollout answers as before; the others go on; it follows when it is back."""

import copy
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from assets.deployment import promote
from assets.deployment.promote import PromotionFailed, follow
from benchmarks import releases
from benchmarks.region import Region
from governance.custody.keys import TrustedKeys, private_key
from serving.replication.metrics import Metrics
from serving.replication.replica import Place
from serving.triton import repository
from tests.serving.replication.conftest import World
from tests.serving.replication.told import failed_check, reached, refused_promotion


@pytest.fixture
def cut_off(world: World) -> World:
    """The region with a way to the store of its own."""
    return replace(world, store=copy.copy(world.store))


@pytest.fixture
def elsewhere(world: World, keys_dir: Path, trusted: TrustedKeys, base: Path, tmp_path: Path) -> Iterator[World]:
    """The same model in a second region, with a Triton of its own."""
    root = tmp_path / "elsewhere"
    repository.prepare(root, releases.BASE, base, trusted.folder)
    (root / "trusted").mkdir(exist_ok=True)
    shutil.copy(trusted.folder / "root.json", root / "trusted")
    with Region(root, releases.BASE) as region:
        key = private_key(keys_dir, "frankfurt.region")
        place = Place(f"{world.place.name}-elsewhere", root, region.address, world.place.base_sha256, key)
        yield replace(world, place=place, log=[], metrics=Metrics())


def test_it_answers_as_before_and_follows_when_it_is_back(
    cut_off: World, elsewhere: World, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sign(1), world.sign(2)
    here, there = cut_off.replica(), elsewhere.replica()
    for region, replica in ((world, here), (elsewhere, there)):
        region.point(1)
        said = region.look(replica)
        assert said is not None and said.refused is None, (said, replica.fault)
        assert region.answers() == world.name(1)

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route to the store")

    with monkeypatch.context() as partition:
        partition.setattr(promote, "PATIENCE", 1.0)
        for way in ("stat", "list", "_get", "_put"):
            partition.setattr(cut_off.store, way, away)
        pointer = world.point(2)
        elsewhere.point(2)
        said = elsewhere.look(there)
        here.tick()
        here.wait()
        assert said is not None and said.refused is None and elsewhere.answers() == world.name(2)
        assert here.fault is not None and "is the store up?" in here.fault
        assert any("is the store up?" in line for line in cut_off.log)
        assert world.refusals() >= 1
        assert world.answers() == world.name(1)
        assert "is the store up?" in (failed_check(world, here) or "it passed")
        with reached(world, here) as region, refused_promotion(world, pointer.release, PromotionFailed) as entry:
            follow(world.store, world.keys_dir, region, pointer)
        assert "did not say" in entry["why"] and "is the store up?" in entry["why"]

    said = world.look(here)
    assert said is not None and said.refused is None and here.fault is None
    assert world.answers() == world.name(2)
