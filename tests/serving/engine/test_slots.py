"""Slots are bounded, the least recently used makes room, and a slot in use is never used again under a request."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from serving.engine import Engine, EngineFull, Limits, NotMounted

ALL = ("query", "key", "value", "dense")
TEXTS = ["my card was declined", "please refund the transfer to the other account", "loan"]


@pytest.fixture(scope="module")
def folders(make_adapter: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Rank 8 on every linear module, then two of rank 4 on query and value."""
    options: list[dict[str, Any]] = [{"rank": 8, "targets": ALL}, {"rank": 4}, {"rank": 4}]
    made = [tmp_path_factory.mktemp("slots") for _ in options]
    for seed, (folder, given) in enumerate(zip(made, options, strict=True)):
        make_adapter(folder, seed=seed, **given)
    return made


def scores(engine: Engine, name: str) -> list[dict[str, float]]:
    return [answer.scores for answer in engine.classify(TEXTS, [name] * len(TEXTS))]


def test_the_least_recently_used_makes_room(base: Path, folders: list[Path]) -> None:
    engine = Engine(base, limits=Limits(models=2))
    engine.mount("a", folders[0])
    engine.mount("b", folders[1])
    scores(engine, "a")
    engine.mount("c", folders[2])
    assert engine.mounted() == ["a", "c"] and engine.evictions == 1
    with pytest.raises(NotMounted, match="b is not mounted"):
        scores(engine, "b")


@pytest.mark.parametrize("limits", [Limits(pages=12), Limits(bytes=1_550_000)])
def test_pages_and_bytes_are_bounds_too(base: Path, folders: list[Path], limits: Limits) -> None:
    engine = Engine(base, limits=limits)
    engine.mount("wide", folders[0])
    assert 1_300_000 < engine.resident_bytes < 1_400_000
    engine.mount("a", folders[1])
    engine.mount("b", folders[2])
    assert engine.mounted() == ["a", "b"]


def test_what_is_in_use_is_neither_evicted_nor_overwritten(base: Path, folders: list[Path]) -> None:
    engine = Engine(base, limits=Limits(models=1, pages=8, patience=0))
    engine.mount("a", folders[0])
    wanted = scores(engine, "a")
    with engine.pinned(["a"]) as models:
        with pytest.raises(EngineFull, match="are in use"):
            engine.mount("b", folders[1])
        engine.unmount("a")
        with pytest.raises(EngineFull):
            engine.mount("b", folders[1])
        rows = engine.rows(TEXTS, models * len(TEXTS))
        assert [answer.scores for answer in engine.answers(rows, engine.vectors(rows))] == wanted
    engine.mount("b", folders[1])
    assert engine.mounted() == ["b"]


def test_a_mount_waits_for_what_is_in_use(base: Path, folders: list[Path]) -> None:
    engine = Engine(base, limits=Limits(models=1))
    engine.mount("a", folders[1])
    mounting = threading.Thread(target=engine.mount, args=("b", folders[2]))
    with engine.pinned(["a"]):
        mounting.start()
        mounting.join(0.3)
        assert engine.mounted() == ["a"]
    mounting.join()
    assert engine.mounted() == ["b"]


def test_what_is_too_large_for_the_limits_evicts_nobody(base: Path, folders: list[Path]) -> None:
    engine = Engine(base, limits=Limits(bytes=500_000))
    engine.mount("a", folders[1])
    with pytest.raises(EngineFull, match=r"takes 13[0-9]{5} bytes and 8 pages"):
        engine.mount("wide", folders[0])
    assert engine.mounted() == ["a"]


def test_a_recycled_slot_keeps_nothing_of_its_last_owner(base: Path, folders: list[Path]) -> None:
    fresh, used = Engine(base), Engine(base, limits=Limits(pages=8))
    fresh.mount("a", folders[1])
    for _ in range(3):
        used.mount("wide", folders[0])
        used.unmount("wide")
        used.mount("a", folders[1])
        assert scores(used, "a") == scores(fresh, "a")
        used.unmount("a")


def test_bfloat16_gives_the_same_label_where_the_answer_is_clear(base: Path, folders: list[Path]) -> None:
    exact, half = Engine(base), Engine(base, "bfloat16")
    for engine in (exact, half):
        engine.mount("a", folders[0])
    for wanted, found in zip(scores(exact, "a"), scores(half, "a"), strict=True):
        first, second = sorted(wanted.values())[-1:-3:-1]
        if first - second > 0.1:
            assert max(found, key=found.__getitem__) == max(wanted, key=wanted.__getitem__)
        assert list(found.values()) == pytest.approx(list(wanted.values()), abs=0.1)
    assert half.resident_bytes < 0.6 * exact.resident_bytes


def test_the_bare_base_beside_adapters_in_one_batch(base: Path, folders: list[Path]) -> None:
    engine = Engine(base)
    alone = engine.embed(TEXTS)
    engine.mount("a", folders[0])
    with engine.pinned(["a"]) as models:
        mixed = engine.vectors([*engine.bare_rows(TEXTS), *engine.rows(TEXTS, models * len(TEXTS))])
    bare = torch.nn.functional.normalize(mixed[: len(TEXTS)], dim=-1)
    torch.testing.assert_close(bare, alone, atol=1e-5, rtol=0)
    assert not torch.allclose(mixed[: len(TEXTS)], mixed[len(TEXTS) :], atol=1e-2)
