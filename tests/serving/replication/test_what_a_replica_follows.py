"""What a replica follows and what it does not: pointers, revocations, downloads, its own folder."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.store import NotFound
from governance.tenants import Release
from governance.trust.keys import rotate
from governance.trust.live import withdraw_live
from governance.trust.revocation import revoke_release
from serving.replication import fetch as fetching
from serving.replication.statement import read_statement
from serving.triton import repository
from serving.triton.client import ModelUnknown
from tests.serving.replication.conftest import WEIGHTS, World, flip


def test_what_was_mended_is_taken_up(world: World) -> None:
    world.sign(1)
    weights = world.files[world.name(1)][WEIGHTS]
    good = world.store.read(*weights.bucket_and_key)
    world.store.put(*weights.bucket_and_key, flip(good))
    world.point(1)
    said = world.look(world.replica())
    assert said is not None and said.refused and said.release is None
    with pytest.raises(ModelUnknown):
        world.answers()
    world.store.put(*weights.bucket_and_key, good)
    said = world.look(world.replica())
    assert said is not None and said.refused is None
    assert world.answers() == world.name(1)


def test_a_revoked_release_goes_out_of_service_and_the_last_good_comes_back(world: World) -> None:
    world.sign(1), world.sign(2)
    replica = world.replica()
    for number in (1, 2):
        world.point(number)
        world.look(replica)
    assert world.answers() == world.name(2)
    revoke_release(world.store, world.keys_dir, Release.parse(world.name(2)), "a leak", "tests")
    world.look(replica)
    assert world.answers() == world.name(1)
    revoke_release(world.store, world.keys_dir, Release.parse(world.name(1)), "a leak", "tests")
    said = world.look(replica)
    assert said is not None and said.release is None and "was revoked" in str(said.refused)
    assert repository.live(world.place.root, world.model.replace("/", ".")) is None


def test_a_pointer_taken_back_takes_the_model_out_of_service(world: World) -> None:
    world.sign(1)
    replica = world.replica()
    pointer = world.point(1)
    world.look(replica)
    withdraw_live(world.store, world.keys_dir, pointer)
    said = world.look(replica)
    assert said is not None and said.release is None and "no live pointer" in str(said.refused)


def test_an_old_pointer_is_not_switched_to_after_a_long_fetch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in (1, 2, 3):
        world.sign(number)
    replica = world.replica()
    world.point(1)
    world.look(replica)
    world.point(2)
    install = repository.install

    def slowly(*arguments: Any) -> Any:
        monkeypatch.setattr(repository, "install", install)
        world.point(3)
        return install(*arguments)

    monkeypatch.setattr(repository, "install", slowly)
    replica.tick()
    replica.wait()
    assert world.answers() == world.name(1)
    world.look(replica)
    assert world.answers() == world.name(3)


def test_a_damaged_live_folder_is_found_and_mended(world: World) -> None:
    world.sign(1)
    world.point(1)
    world.look(world.replica())
    weights = world.folder / "1" / WEIGHTS
    good = weights.read_bytes()
    weights.write_bytes(flip(good))
    said = world.look(world.replica())
    assert said is not None and said.refused is None
    assert weights.read_bytes() == good
    assert world.answers() == world.name(1)


def test_a_restart_keeps_since_and_writes_nothing_new(world: World) -> None:
    world.sign(1)
    world.point(1)
    first = world.look(world.replica())
    again = world.look(world.replica())
    assert first == again


def test_releases_of_a_rotated_key_still_answer(world: World) -> None:
    world.sign(1)
    rotate(world.store, world.keys_dir, "northbank.release")
    world.point(1)
    said = world.look(world.replica())
    assert said is not None and said.refused is None and world.answers() == world.name(1)


def test_a_download_is_taken_up_where_it_stopped(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetching, "RANGE", 1 << 20)
    monkeypatch.setattr(fetching, "SIDE_BY_SIDE", 1)
    body = bytes(range(256)) * (5 << 12)
    source = tmp_path / "weights"
    source.write_bytes(body)
    from governance.custody.blobs import put_file

    ref = put_file(world.store, "northbank", source)
    stopped = 0

    def stop(size: int) -> None:
        nonlocal stopped
        stopped += size
        if stopped > 3 << 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetching.fetch(world.store, ref, tmp_path / "downloads", stop)
    torn = tmp_path / "downloads" / f"{ref.sha256}.partial"
    held = len((tmp_path / "downloads" / f"{ref.sha256}.ranges").read_text().splitlines())
    assert held >= 3
    with torn.open("r+b") as file:  # one of the ranges never reached the disk
        file.seek((2 << 20) + 5)
        file.write(b"torn")
    came: list[int] = []
    assert fetching.fetch(world.store, ref, tmp_path / "downloads", came.append).read_bytes() == body
    assert sum(came) == len(body) - (held - 1 << 20)
    assert [file.name for file in (tmp_path / "downloads").iterdir()] == [ref.sha256]


def test_all_downloads_together_keep_to_the_bandwidth(monkeypatch: pytest.MonkeyPatch) -> None:
    now, waited = 100.0, list[float]()
    monkeypatch.setattr(fetching.time, "monotonic", lambda: now)
    monkeypatch.setattr(fetching.time, "sleep", waited.append)
    pace = fetching.pacer(1000.0)
    for size in (500, 1000):  # at once, of two downloads
        pace(size)
    now = 110.0  # what was not used meanwhile is not made up for
    pace(2000)
    assert waited == [0.5, 1.5, 2.0]
    fetching.pacer(None)(1 << 40)
    assert len(waited) == 3


def test_two_models_with_equal_files_are_fetched_side_by_side(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = replace(world, model=world.model.replace("replica", "twin"), digests={}, files={})
    plain = world.store.read_range

    def slowly(*arguments: Any) -> tuple[bytes, int]:
        time.sleep(0.05)
        return plain(*arguments)

    monkeypatch.setattr(world.store, "read_range", slowly)
    for each in (world, twin):
        each.sign(1, seed=100 * int(world.model.rpartition("-")[2]))
        each.point(1)
    assert world.files[world.name(1)][WEIGHTS].sha256 == twin.files[twin.name(1)][WEIGHTS].sha256
    replica = world.replica()
    for each in (world, twin):
        said = each.look(replica)
        assert said is not None and said.refused is None


def test_an_object_that_is_gone_is_named(world: World, tmp_path: Path) -> None:
    from governance.custody.blobs import blob_ref

    with pytest.raises(NotFound, match="does not exist"):
        fetching.fetch(world.store, blob_ref("northbank", "9" * 64, 5), tmp_path, lambda size: None)


def test_another_regions_word_is_not_taken_for_this_ones(world: World) -> None:
    from governance.custody.statements import StatementRefused
    from serving.replication.statement import statement_key

    world.sign(1)
    world.point(1)
    said = world.look(world.replica())
    assert said is not None and said.since and said.since <= datetime.now(UTC)
    key = statement_key(world.place.name, world.model)
    world.store.put(CENTRAL_BUCKET, statement_key("elsewhere", world.model), world.store.read(CENTRAL_BUCKET, key))
    with pytest.raises(StatementRefused, match=f"is of {world.model} in {world.place.name}"):
        read_statement(world.store, "elsewhere", world.model, world.place.key.public_key())
