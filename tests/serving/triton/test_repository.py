"""The repository of a region: what is visible is whole, and every step can be killed."""

import hashlib
import json
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.tenants import Release
from serving.triton import repository
from serving.triton.repository import RepositoryError

FILES = (*repository.ADAPTER_FILES, "release.json", "model.sig", "attestations/gate.json")


class Torn(ValueError):
    pass


def release(number: int) -> Release:
    return Release(tenant="northbank", task="support-intents", number=number)


NAME = release(1).served_name


def fetch(number: int) -> Callable[[Path], None]:
    """A release in miniature: release.json lists the others' digests."""

    def write(folder: Path) -> None:
        bodies = {name: f"{name} of {number}".encode() * 5000 for name in FILES if name != "release.json"}
        (folder / "attestations").mkdir()
        for name, body in bodies.items():
            (folder / name).write_bytes(body)
        listed = {name: hashlib.sha256(body).hexdigest() for name, body in bodies.items()}
        (folder / "release.json").write_text(
            json.dumps({"number": number, "base": {"name": "minilm"}, "files": listed})
        )

    return write


def verify(folder: Path) -> None:
    try:
        manifest = json.loads((folder / "release.json").read_text())
        for name, digest in manifest["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                raise Torn(f"{folder / name} altered")
    except OSError as missing:
        raise Torn(str(missing)) from missing


def promote(root: Path, number: int) -> None:
    staged = repository.stage(root, release(number), fetch(number), verify)
    repository.install(root, release(number), staged, verify)
    repository.switch(root, release(number))
    repository.prune(root, NAME)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("models", "staging", "archive", "history"):
        (tmp_path / name).mkdir()
    return tmp_path


def versions(folder: Path) -> list[int]:
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit()) if folder.is_dir() else []


def with_bytes(root: Path) -> list[int]:
    return [n for n in versions(root / "archive" / NAME) if (root / "archive" / NAME / str(n) / FILES[1]).exists()]


def test_three_newest_used_stay_two_are_archived_of_the_rest_the_metadata(root: Path) -> None:
    for number in range(1, 8):
        promote(root, number)
    assert versions(root / "models" / NAME) == [5, 6, 7]
    assert with_bytes(root) == [3, 4]
    assert versions(root / "archive" / NAME) == [1, 2, 3, 4]
    assert (root / "archive" / NAME / "1" / "model.sig").exists()


def test_rollback_to_archived_or_older_brings_it_back_and_counts_as_use(root: Path) -> None:
    for number in range(1, 8):
        promote(root, number)
    fetched: list[int] = []
    staged = repository.stage(root, release(4), lambda folder: fetched.append(4), verify)
    repository.install(root, release(4), staged, verify)
    assert fetched == []
    repository.switch(root, release(4))
    promote(root, 1)
    assert repository.live(root, NAME) == 1
    assert versions(root / "models" / NAME) == [1, 4, 7]
    assert with_bytes(root) == [5, 6]
    for number in (1, 4, 7):
        verify(root / "models" / NAME / str(number))


def test_the_live_version_is_never_pruned(root: Path) -> None:
    promote(root, 1)
    for number in range(2, 7):
        repository.install(root, release(number), repository.stage(root, release(number), fetch(number)), verify)
    repository.prune(root, NAME, active=1, archived=0)
    assert versions(root / "models" / NAME) == [1]
    assert with_bytes(root) == []


def test_a_copy_that_does_not_verify_never_becomes_visible(root: Path) -> None:
    promote(root, 1)
    staged = repository.stage(root, release(2), fetch(2))
    (staged / "head.json").write_text("changed")
    with pytest.raises(Torn, match=r"head\.json altered"):
        repository.install(root, release(2), staged, verify)
    assert versions(root / "models" / NAME) == [1]


def test_a_damaged_live_folder_is_replaced_by_promoting_again(root: Path) -> None:
    promote(root, 1)
    damaged = root / "models" / NAME / "1" / "head.safetensors"
    damaged.write_bytes(b"flipped")
    promote(root, 1)
    verify(damaged.parent)
    assert list((root / "staging").iterdir()) == []


def test_a_damaged_archive_is_fetched_again(root: Path) -> None:
    for number in range(1, 5):
        promote(root, number)
    (root / "archive" / NAME / "1" / "head.json").write_text("flipped")
    promote(root, 1)
    verify(root / "models" / NAME / "1")


def test_a_pointer_is_never_set_to_what_is_not_there(root: Path) -> None:
    with pytest.raises(RepositoryError, match="not installed"):
        repository.switch(root, release(9))
    assert repository.live(root, NAME) is None
    promote(root, 1)
    (root / "models" / NAME / "config.pbtxt").write_text('name: "x"')
    with pytest.raises(RepositoryError, match="names no version"):
        repository.live(root, NAME)
    repository.withdraw(root, NAME)
    assert repository.live(root, NAME) is None
    for name in ("../../etc", "northbank", "a.b/c", "Ünï.x"):
        with pytest.raises(RepositoryError, match="not the name of a model"):
            repository.live(root, name)


def test_a_fetch_that_fails_leaves_nothing_visible_and_the_next_run_clears_it(root: Path) -> None:
    def broken(folder: Path) -> None:
        (folder / "head.json").write_text("half")
        raise ConnectionError("store went away")

    with pytest.raises(ConnectionError):
        repository.stage(root, release(1), broken)
    os.utime(shutil.copytree(root / "staging" / str(release(1)), root / "staging" / "forgotten"), (0, 0))
    promote(root, 1)
    assert list((root / "staging").iterdir()) == []


def test_sigkill_at_any_moment_leaves_only_whole_versions(root: Path) -> None:
    promote(root, 1)
    started = time.monotonic()
    promote(root, 2)
    duration = time.monotonic() - started
    moved = 0
    for turn in range(30):
        chance = random.Random(turn)
        before = repository.live(root, NAME)
        child = os.fork()
        if child == 0:
            while True:
                promote(root, chance.randrange(1, 9))
        time.sleep(chance.uniform(0, 8 * duration))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        now = repository.live(root, NAME)
        assert now is not None
        moved += now != before
        for number in versions(root / "models" / NAME):
            verify(root / "models" / NAME / str(number))
        assert now in versions(root / "models" / NAME)
    for number in range(1, 9):
        promote(root, number)
    assert moved > 3
    assert list((root / "staging").iterdir()) == []
    assert versions(root / "models" / NAME) == [6, 7, 8]
