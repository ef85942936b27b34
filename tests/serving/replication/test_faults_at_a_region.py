"""The faults that a region may meet. Each row: what is wrong, what it then says, and what answers: the last good.

For each: no client's request fails meanwhile, and statement, metric, log, audit log and live_model's check tell why.
"""

import errno
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from assets.deployment.promote import PromotionFailed, follow
from governance.custody.canonical import sha256_file
from governance.custody.keys import release_key
from governance.custody.manifest import MANIFEST
from governance.custody.signature import sign_folder
from governance.custody.statements import sign_statement, statement
from governance.tenants import Release
from serving.replication import fetch as fetching
from serving.replication import replica as module
from serving.replication.probe import ProbeFailed
from tests.serving.replication.conftest import WEIGHTS, World, flip
from tests.serving.replication.told import asked_meanwhile, failed_check, home, refused_promotion


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


# What somebody who may vouch for a release was made to vouch for: a folder in which one part is of another.


def of_another_release(name: str) -> Callable[[World, Path], None]:
    def spoil(world: World, folder: Path) -> None:
        shutil.copy(world.make_release(world.name(1)) / name, folder / name)

    return spoil


def of_another_tenant(world: World, folder: Path) -> None:
    shutil.copytree(world.make_release("stclare.notes@2", seed=world.own_seed), folder, dirs_exist_ok=True)


def signed_by_another_tenant(world: World, folder: Path) -> None:
    (folder / "model.sig").unlink()
    attestations = shutil.move(folder / "attestations", folder.with_name("aside"))
    sign_folder(folder, release_key(world.keys_dir, "stclare"))
    shutil.move(attestations, folder / "attestations")


def of_another_image(_: World, folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_bytes())
    manifest["environment"]["image_digest"] = f"sha256:{'1' * 64}"
    (folder / MANIFEST).write_text(json.dumps(manifest, separators=(",", ":"), sort_keys=True))


def attested(name: str, kind: str, said: dict[str, Any]) -> Callable[[World, Path], None]:
    """Its own tenant even signs that."""

    def spoil(world: World, folder: Path) -> None:
        forged = statement(world.name(2), sha256_file(folder / MANIFEST), kind, said)
        (folder / "attestations" / name).write_bytes(sign_statement(forged, release_key(world.keys_dir, "northbank")))

    return spoil


ONE_MORE = {"bomFormat": "CycloneDX", "components": [{"name": "left-pad", "version": "1"}]}
FAILED = {"result": "FAILED", "failedTests": ["f1"]}
SPOILED: dict[str, tuple[Callable[[World, Path], None], str]] = {
    "weights of another release": (of_another_release(WEIGHTS), WEIGHTS),
    "the gate's attestation of another release": (of_another_release("attestations/gate.json"), "is about northbank"),
    "the provenance of another release": (of_another_release("attestations/provenance.json"), "is about northbank"),
    "the signature of another release": (
        of_another_release("model.sig"),
        "release.json was altered after",
    ),
    "another tenant's release": (of_another_tenant, "a release of stclare/notes, not of"),
    "the signature of another tenant": (signed_by_another_tenant, "made with another key"),
    "another image than was signed": (of_another_image, MANIFEST),
    "packages of another environment": (attested("sbom.json", "https://cyclonedx.org/bom", ONE_MORE), "other packages"),
    "a gate that did not pass": (
        attested("gate.json", "https://in-toto.io/attestation/test-result/v0.1", FAILED),
        "not PASSED",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_the_last_good_answers_and_the_refusal_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    fault, message = FAULTS[name]
    world.sign(2)
    last_good_answers(world, monkeypatch, fault, message)


@pytest.mark.parametrize("name", SPOILED)
def test_a_release_of_which_one_part_is_of_another_is_refused_likewise(
    world: World, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    spoil, message = SPOILED[name]

    def fault(world: World, _: pytest.MonkeyPatch) -> None:
        release = Release.parse(world.name(2))
        folder = shutil.copytree(world.make_release(str(release), seed=world.own_seed + 2), tmp_path / "spoiled")
        spoil(world, folder)
        world.vouch(release, folder)

    last_good_answers(world, monkeypatch, fault, message)


def last_good_answers(
    world: World, monkeypatch: pytest.MonkeyPatch, fault: Callable[[World, pytest.MonkeyPatch], None], message: str
) -> None:
    """Release 1 answers; at the pointer to 2 there is the fault."""
    world.sign(1)
    world.point(1)
    first = world.look(world.replica())
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
    with refused_promotion(world, pointer.release, PromotionFailed) as entry:
        follow(world.store, world.keys_dir, home(world), pointer)
    assert message in entry["why"]
    assert message in (failed_check(world, replica) or "it passed")


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
