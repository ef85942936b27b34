"""A sync that ends at any of its steps on the disk: what the pointer names is whole, and a rerun finishes."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from governance.custody.verify import verify_release
from serving.triton import repository
from tests.serving.replication.conftest import World

OLDER, NEWEST = (1, 2, 3, 4), 5


class Ended(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


@contextmanager
def ending_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The process ends before its nth rename, sync or removal; the names of the steps that it came to."""
    steps: list[str] = []

    def counted(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
        def count(*arguments: Any, **options: Any) -> Any:
            steps.append(name)
            if len(steps) > step:
                raise Ended
            return plain(*arguments, **options)

        return count

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", counted("sync", os.fsync))
        patched.setattr(Path, "rename", counted("rename", Path.rename))
        patched.setattr(shutil, "rmtree", counted("remove", shutil.rmtree))
        yield steps


def test_every_step_may_be_the_last(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world.place = replace(world.place, root=tmp_path / "region")
    (world.place.root / "trusted").mkdir(parents=True)
    shutil.copy(world.keys_dir / "trusted" / "root.json", world.place.root / "trusted")
    silent = partial(world.replica, ask=lambda *_: None)
    for number in OLDER:
        world.sign(number)
        world.point(number)
        world.look(silent())
    world.sign(NEWEST)
    world.point(NEWEST)
    before = shutil.copytree(world.place.root, tmp_path / "before", symlinks=True)
    done, step = False, 0
    while not done:
        shutil.rmtree(world.place.root)
        shutil.copytree(before, world.place.root, symlinks=True)
        with ending_at(step, monkeypatch) as steps:
            replica = silent()
            replica.tick()
            try:
                replica.wait()
                done = True
            except Ended:
                pass
        _whole(world)
        said = world.look(silent())
        assert said is not None and said.release == world.name(NEWEST) and said.refused is None
        _whole(world)
        step += 1
    assert step > 15 and {"sync", "rename", "remove"} <= set(steps)
    kept = {path.name for path in (world.place.root / "archive" / world.folder.name).iterdir()}
    assert kept == {"1", "2"}, "the pruning was not part of it"


def _whole(world: World) -> None:
    """What Triton would mount passes, and is the version before or the newest."""
    pointed = repository.read_pointer(world.folder / repository.POINTER)
    assert pointed is not None and pointed[0] in (OLDER[-1], NEWEST)
    folder = world.folder / str(pointed[0])
    verify_release(folder, world.place.trusted, world.model, pointed[1], world.place.base_sha256)
