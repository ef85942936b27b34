"""A new version is tried in the shadow of the one that answers, and watched for its first minutes."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from safetensors.torch import load_file, save_file

from benchmarks import releases
from benchmarks.region import Region
from governance.tenants import Release
from serving.replication.replica import Replica
from serving.replication.trial import Switch, faults, told
from serving.triton import repository
from serving.triton.client import RequestFailed, status
from tests.serving.replication.conftest import World
from tests.serving.replication.told import asking

TEXT = "my card was declined"
ALL = Switch(share=1, requests=10, seconds=20, slowdown=100)
WATCHED = Switch(share=0)


def shifted(adapter: Path) -> None:
    """A head that gives each text another label than it did."""
    file = adapter / "head.safetensors"
    save_file({name: each.roll(1, 0).contiguous() for name, each in load_file(file).items()}, file)


def careful(world: World, switch: Switch = ALL) -> World:
    world.place = replace(world.place, switch=switch)
    return world


def seed(world: World) -> int:
    return 100 * int(world.model.rpartition("-")[2])


def about_to_switch(world: World) -> Replica:
    """The replica of a careful region whose first release answers, and whose pointer names the second."""
    replica = careful(world).replica()
    world.point(1)
    world.look(replica)
    world.point(2)
    return replica


def test_a_version_that_agrees_is_switched_to_and_the_region_says_what_was_mirrored(
    world: World, region: Region
) -> None:
    careful(world)
    world.sign(1, seed=seed(world))
    world.sign(2, seed=seed(world))
    replica = world.replica()
    world.point(1)
    first = world.look(replica)
    assert first and first.shadow is None, "a first promotion has nothing to be tried beside"
    world.point(2)
    with asking(world, TEXT) as replies:
        said = world.look(replica)
    assert said and said.refused is None and said.release == world.name(2)
    assert said.shadow and "0 failed" in said.shadow
    mirrored, agreed = (int(said.shadow.split()[place]) for place in (0, 6))
    assert mirrored == agreed >= ALL.requests
    assert len({reply.labels[0] for reply in replies}) == 1
    metrics = httpx.get(f"http://127.0.0.1:{region.ports.metrics}/metrics").text
    assert f'pedigree_mirrored{{model="{world.folder.name}",outcome="agreed"}}' in metrics
    assert world.look(world.replica()) == said, "a restart forgets what the shadow showed"


def test_a_version_that_disagrees_is_refused_and_no_client_hears_of_it(world: World) -> None:
    world.sign(1, seed=seed(world))
    world.sign(2, seed=seed(world), change=shifted)
    replica = about_to_switch(world)
    with asking(world, TEXT) as replies:
        said = world.look(replica)
        world.look(replica)
    assert said and said.release == world.name(1) and said.refused
    assert "less than 50% agree" in said.refused and "0 answered with the same labels" in said.refused
    assert {reply.model_version for reply in replies} == {world.name(1)}
    assert len([line for line in world.log if line.startswith(f"{world.model}: {world.name(2)} refused")]) == 1
    deadline = time.monotonic() + 10
    while status(world.place.triton)["models"][world.folder.name]["shadow"]:
        assert time.monotonic() < deadline, "the shadow goes on"
        time.sleep(0.05)


def test_a_model_that_nobody_asks_is_promoted_at_once(world: World) -> None:
    world.sign(1), world.sign(2)
    replica = about_to_switch(world)
    began = time.monotonic()
    said = world.look(replica)
    assert time.monotonic() - began < 5
    assert said and (said.release, said.shadow) == (world.name(2), "no request came that could be mirrored")


def test_a_rollback_is_not_tried(world: World) -> None:
    careful(world)
    world.sign(1, seed=seed(world))
    world.sign(2, seed=seed(world), change=shifted)
    replica = world.replica()
    for number in (1, 2):  # nobody asks, so nothing disagrees
        world.point(number)
        world.look(replica)
    world.point(1)
    with asking(world, TEXT):
        said = world.look(replica)
    assert said and (said.release, said.refused, said.shadow) == (world.name(1), None, None)


def test_a_version_that_does_not_mount_is_refused_before_the_switch(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sign(1), world.sign(2)
    replica = about_to_switch(world)
    plain = repository.begin_shadow

    def damaged(root: Path, release: Release, share: float) -> None:
        (repository.release_folder(root, release) / "head.json").write_text("{}")
        plain(root, release, share)

    monkeypatch.setattr(repository, "begin_shadow", damaged)
    said = world.look(replica)
    assert said and said.refused and "Triton does not mount" in said.refused and "head.json was altered" in said.refused
    assert world.answers() == world.name(1)


@pytest.fixture
def small(world: World, base: Path, tmp_path: Path) -> Iterator[World]:
    """A region of its own with room for two models, and without a shadow: a mirrored request would use one of them."""
    root = tmp_path / "region"
    shutil.copytree(world.place.root / "trusted", root / "trusted")
    repository.prepare(root, releases.BASE, base, root / "trusted")
    with Region(root, releases.BASE, PEDIGREE_TRITON_MODELS="2") as region:
        world.place = replace(world.place, root=root, triton=region.address)
        yield careful(world, WATCHED)


@pytest.mark.parametrize("restarted", [False, True])
def test_a_version_that_fails_in_its_first_minutes_goes_back_by_itself(
    small: World, make_release: Callable[..., Path], restarted: bool
) -> None:
    world = small
    world.sign(1), world.sign(2)
    replica = world.replica()
    for number in (1, 2):
        pointer = world.point(number)
        said = world.look(replica)
    assert said and said.release == world.name(2)
    weights = world.folder / "2" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    for number in (1, 2):  # they take the room of both, and what comes back is verified again
        other = Release.parse(f"northbank.room-{number}@1")
        releases.install(world.place.root, other, make_release(str(other), seed=number))
        repository.switch(world.place.root, other)
        mounted(world, other)
    with pytest.raises(RequestFailed, match="was altered"):
        world.answers()
    said = world.look(world.replica() if restarted else replica)
    assert said and said.returned and (said.pointer, said.release) == (pointer.sha256, world.name(1))
    assert said.refused and f"{world.name(2)} failed in its first minutes" in said.refused
    mounted(world, Release.parse(world.name(1)))
    assert world.look(world.replica()) == said, "a restart tries again what was returned from"
    assert world.answers() == world.name(1)


def mounted(world: World, release: Release) -> None:
    deadline = time.monotonic() + 15
    while status(world.place.triton)["models"].get(release.served_name, {}).get("release") != str(release):
        assert time.monotonic() < deadline, f"{release} does not answer"
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("seen", "fault"),
    [
        ({}, ""),
        ({"failed": 1}, "more than 2% failed"),
        ({"agreed": 9}, "less than 50% agree"),
        ({"slowdown": 3.1}, "it takes more than 3 times as long"),
        ({"mirrored": 4, "agreed": 0, "slowdown": 9.0}, ""),
        ({"mirrored": 1, "agreed": 0, "failed": 1, "slowdown": None}, "more than 2% failed"),
        ({"mirrored": 0, "agreed": 0, "slowdown": None}, ""),
    ],
)
def test_what_exceeds_a_limit_is_named(seen: dict[str, object], fault: str) -> None:
    of_twenty = {"asked": 90, "mirrored": 20, "agreed": 20, "failed": 0, "slowdown": 1.0}
    assert faults(of_twenty | seen, Switch()) == fault
    assert told(of_twenty | seen).startswith(f"{(of_twenty | seen)['mirrored']} of 90 requests were mirrored")
