"""The faults that a region may meet. Each row: what is wrong, what it then says, and what answers: the last good."""

import errno
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from assets.deployment.promote import PromotionFailed, RegionHome, follow
from governance.audit.acts import refusal_recorded
from governance.audit.keys import create_audit_keys
from governance.audit.log import append, read_stored
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import trusted_keys
from governance.custody.store import NotFound
from governance.tenants import Release
from governance.trust.keys import rotate
from governance.trust.live import LivePointer, withdraw_live
from governance.trust.revocation import revoke_release
from serving.replication import fetch as fetching
from serving.replication import replica as module
from serving.replication.probe import ProbeFailed
from serving.replication.statement import read_statement
from serving.triton import repository
from serving.triton.client import ModelUnknown, RequestFailed
from tests.serving.replication.conftest import World, flip

WEIGHTS = "adapter_model.safetensors"


def in_store(harm: Callable[[bytes], bytes] | None, name: str = WEIGHTS) -> Callable[[World, pytest.MonkeyPatch], None]:
    def fault(world: World, _: pytest.MonkeyPatch) -> None:
        bucket, key = world.files[world.name(2)][name].bucket_and_key
        body = world.store.read(bucket, key)
        if harm:
            world.store.put(bucket, key, harm(body))
        else:
            world.store.delete(bucket, key)

    return fault


def in_flight(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody on the way changes a bit of the weights, each time."""
    sha256, plain = world.files[world.name(2)][WEIGHTS].sha256, world.store.read_range

    def altered(bucket: str, key: str, start: int, size: int) -> tuple[bytes, int]:
        body, whole = plain(bucket, key, start, size)
        return (flip(body) if sha256 in key else body), whole

    monkeypatch.setattr(world.store, "read_range", altered)


def full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def pwrite(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetching.os, "pwrite", pwrite)


def nearly_full_disk(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")._replace(free=100 << 20)
    monkeypatch.setattr(module.shutil, "disk_usage", lambda _: usage)


def at_rest(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bit flips between the first verification and the second."""
    plain = Path.rename

    def rename(self: Path, target: Path) -> Path:
        if self.parent.name == "staging" and self.name == world.name(2):
            (self / WEIGHTS).write_bytes(flip((self / WEIGHTS).read_bytes()))
        return plain(self, target)

    monkeypatch.setattr(Path, "rename", rename)


def store_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    sha256, plain = world.files[world.name(2)][WEIGHTS].sha256, world.store.read_range

    def away(bucket: str, key: str, start: int, size: int) -> tuple[bytes, int]:
        if sha256 in key:
            raise ConnectionError("the network is gone")
        return plain(bucket, key, start, size)

    monkeypatch.setattr(world.store, "read_range", away)


def no_answer(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(address: str, release: Release, digest: str) -> None:
        if release.number == 2:
            raise ProbeFailed("it did not answer")

    monkeypatch.setattr(module.Replica.__init__, "__defaults__", (refuse,))


FAULTS: dict[str, tuple[Callable[[World, pytest.MonkeyPatch], None], str]] = {
    "a bit of the weights flipped in the store": (in_store(flip), "was altered"),
    "half of the weights in the store": (in_store(lambda body: body[: len(body) // 2]), "was altered"),
    "more than was signed in the store": (in_store(lambda body: body + b"x"), "was altered"),
    "zeros of the right length in the store": (in_store(lambda body: bytes(len(body))), "was altered"),
    "the weights deleted in the store": (in_store(None), "does not exist"),
    "the gate's attestation of another": (in_store(lambda _: b"{}", "attestations/gate.json"), "was altered"),
    "the signature removed": (in_store(None, "model.sig"), "does not exist"),
    "a bit flipped on the way": (in_flight, "was altered"),
    "a bit flipped after verification": (at_rest, "altered after it was signed"),
    "a full disk": (full_disk, "No space left"),
    "a disk that would be full": (nearly_full_disk, "kept free; make room"),
    "the network gone in the middle": (store_away, "the network is gone"),
    "no answer to the probe": (no_answer, "did not answer"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_last_good_answers_and_the_refusal_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fault, message = FAULTS[name]
    world.sign(1), world.sign(2)
    replica = world.replica()
    world.point(1)
    first = world.look(replica)
    assert first is not None and first.refused is None and world.answers() == world.name(1)
    with monkeypatch.context() as patched, asked_meanwhile(world) as answered:
        fault(world, patched)
        replica = world.replica()  # as after a restart
        pointer = world.point(2)
        said = world.look(replica)
    assert len(answered) > 1 and set(answered) == {world.name(1)}
    assert said is not None and said.refused is not None
    assert message in said.refused
    assert (said.pointer, said.asked, said.release, said.since) == (
        *(pointer.sha256, world.name(2)),
        *(world.name(1), first.since),
    )
    assert world.answers() == world.name(1)
    assert world.refusals() >= 1
    assert any(message in line for line in world.log)
    assert message in refused_promotion(world, pointer)["why"]


@contextmanager
def asked_meanwhile(world: World) -> Iterator[list[str]]:
    """What answers a client that asks all the time, a fault's name where there was no answer."""
    answered, done = list[str](), threading.Event()

    def ask() -> None:
        while not done.is_set():
            try:
                answered.append(world.answers())
            except RequestFailed as fault:
                answered.append(repr(fault))

    client = threading.Thread(target=ask)
    client.start()
    try:
        yield answered
    finally:
        done.set()
        client.join()


def refused_promotion(world: World, pointer: LivePointer) -> dict[str, Any]:
    """The audit log's entry of a promotion that waited for the region's word, as promoted_model does."""
    trusted, home = trusted_keys(world.keys_dir), RegionHome(pointer.region, world.place.root, world.place.triton, "")
    shutil.copy(trusted.folder / "mumbai.region.pub", trusted.folder / f"{pointer.region}.region.pub")
    create_audit_keys(world.keys_dir, {})
    written = list[int]()
    with (
        pytest.raises(PromotionFailed),
        refusal_recorded(
            lambda act: written.append(append(world.store, world.keys_dir, act)),
            Release.parse(pointer.release),
            pointer.region,
            "tests",
        ),
    ):
        follow(world.store, world.keys_dir, home, pointer)
    return read_stored(world.store, written[0]).said


@pytest.mark.parametrize("for_good", [False, True], ids=["behind a delete marker", "every version of it"])
def test_what_is_deleted_in_the_store_under_a_live_version_takes_nothing_from_it(world: World, for_good: bool) -> None:
    world.sign(1)
    world.point(1)
    first = world.look(world.replica())
    assert first is not None and first.refused is None
    bucket, key = world.files[world.name(1)][WEIGHTS].bucket_and_key
    with asked_meanwhile(world) as answered:
        world.store.delete(bucket, world.store._inside(key), every_version=for_good)  # type: ignore[attr-defined]
        said = world.look(world.replica())
    assert said is not None and (said.refused, said.release) == (None, world.name(1))
    assert len(answered) > 1 and set(answered) == {world.name(1)}
    shutil.rmtree(world.folder / "1")  # now its own copy is gone as well: nothing takes its place
    said = world.look(world.replica())
    assert said is not None and said.refused is not None and "does not exist" in said.refused


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


def test_an_untrusted_repository_changes_nothing(world: World) -> None:
    world.sign(1), world.sign(2)
    replica = world.replica()
    world.point(1)
    world.look(replica)
    key = "_trust/metadata/timestamp.json"
    old = world.store.read(CENTRAL_BUCKET, key)
    world.point(2)
    new = world.store.read(CENTRAL_BUCKET, key)
    world.store.put(CENTRAL_BUCKET, key, flip(new))
    try:
        world.look(replica)
        assert replica.fault and "refused" in replica.fault
        assert world.answers() == world.name(1)
        world.store.put(CENTRAL_BUCKET, key, old)
        world.look(replica)
        assert world.answers() == world.name(1)
    finally:
        world.store.put(CENTRAL_BUCKET, key, new)
    world.look(replica)
    assert replica.fault is None
    assert world.answers() == world.name(2)


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
