"""Requests share batches; neither one of many rows nor a busy model keeps others waiting; each hears of its batches."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
import torch

from serving.engine import Batch, Batcher, Engine, NotMounted, batching

MOST_ROWS = batching.MOST_ROWS["cpu"]
SHORT = "my card was declined"
MANY = [SHORT] * 8 * MOST_ROWS


@pytest.fixture(scope="module")
def mounted(
    engine: Engine, make_adapter: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("adapter")
    make_adapter(folder)
    engine.mount("a", folder)
    yield engine
    engine.unmount("a")


@pytest.fixture
def heard() -> list[Batch]:
    return []


@pytest.fixture
def batcher(mounted: Engine, heard: list[Batch]) -> Iterator[Batcher]:
    batcher = Batcher(mounted, 1, heard.append)
    yield batcher
    batcher.close()


@pytest.fixture
def held(mounted: Engine) -> Iterator[tuple[Batcher, threading.Event]]:
    """A batcher that has computed one batch and goes on when the event is set: what is asked until then all waits."""
    let_go = threading.Event()
    batcher = Batcher(mounted, 1, lambda _: let_go.wait(60))
    batcher.embed([SHORT]).result(60)
    yield batcher, let_go
    let_go.set()
    batcher.close()


def test_a_request_of_many_rows_takes_turns_with_those_behind_it(held: tuple[Batcher, threading.Event]) -> None:
    batcher, let_go = held
    ended: list[str] = []
    many = _told(batcher.classify(MANY, "a"), "many", ended)
    few = [_told(batcher.classify([SHORT], "a"), "few", ended) for _ in range(3)]
    let_go.set()
    answers = [each.result(60) for each in few]
    alike = many.result(60)
    batcher.close()  # who is told hears after who waits
    assert ended == ["few"] * 3 + ["many"]
    assert len(alike) == len(MANY) and {answer.label for answer in alike} == {answers[0][0].label}


def test_a_model_that_is_asked_a_lot_takes_turns_with_the_others(held: tuple[Batcher, threading.Event]) -> None:
    batcher, let_go = held
    ended: list[str] = []
    asked = [_told(batcher.classify([SHORT], "a"), "noisy", ended) for _ in range(3 * MOST_ROWS)]
    asked += [_told(batcher.embed([SHORT]), "quiet", ended) for _ in range(2)]
    let_go.set()
    batcher.close()
    assert len(ended) == len(asked)
    assert "quiet" not in ended[MOST_ROWS:]


def test_a_model_that_is_asked_seldom_does_not_wait_for_the_batch_of_one_that_is_asked_a_lot(
    held: tuple[Batcher, threading.Event], heard: list[Batch]
) -> None:
    batcher, let_go = held
    ended: list[str] = []
    let_go.set()
    batcher.classify(MANY, "a").result(60)
    let_go.clear()
    batcher.classify([SHORT], "a").result(60)
    for _ in range(MOST_ROWS):
        _told(batcher.classify([SHORT], "a", heard.append), "noisy", ended)
    _told(batcher.embed([SHORT]), "quiet", ended)
    let_go.set()
    batcher.close()
    assert ended == ["quiet"] + ["noisy"] * MOST_ROWS
    assert {batch.rows for batch in heard} == {MOST_ROWS}


def test_what_waits_for_no_turn_does_not_wait_for_who_is_asked_seldom(
    held: tuple[Batcher, threading.Event], heard: list[Batch]
) -> None:
    batcher, let_go = held
    let_go.set()
    batcher.classify(MANY, "a").result(60)
    let_go.clear()
    batcher.classify([SHORT], "a").result(60)
    batcher.embed([SHORT])
    batcher.classify([SHORT] * MOST_ROWS, "a")
    batcher.classify([SHORT], "a", heard.append, at_once=True)
    let_go.set()
    batcher.close()
    assert [batch.rows for batch in heard] == [2]  # with the embedding, before the others


@pytest.mark.parametrize(
    ("before", "rows", "asked", "order"),
    [
        pytest.param(1, MOST_ROWS, 1, ["other"] + ["noisy"] * MOST_ROWS, id="a batch of one model gives way"),
        pytest.param(
            1, MOST_ROWS // 2, 1, ["noisy"] * (MOST_ROWS // 2) + ["other"], id="what is soon done is done first"
        ),
        pytest.param(
            1, MOST_ROWS, 32, ["noisy"] * MOST_ROWS + ["other"], id="who asks as much has no more than its turns"
        ),
        pytest.param(8 * MOST_ROWS, 1, 1, ["other", "noisy"], id="a busy model gives way to who is asked seldom"),
    ],
)
def test_who_comes_between_two_parts_has_its_turn_within_a_busy_models_batch(
    mounted: Engine,
    held: tuple[Batcher, threading.Event],
    monkeypatch: pytest.MonkeyPatch,
    before: int,
    rows: int,
    asked: int,
    order: list[str],
) -> None:
    batcher, let_go = held
    let_go.set()
    batcher.classify([SHORT] * before, "a").result(60)
    let_go.clear()
    batcher.classify([SHORT], "a").result(60)
    (alone,), bare = mounted.classify([SHORT], ["a"]), mounted.embed([SHORT])
    ended: list[str] = []
    other: list[Future[Any]] = []
    parts = iter(range(100))
    vectors = mounted.vectors

    def visited(batch: Any, before_part: Callable[[], object] | None = None) -> Any:
        def visit() -> None:
            if next(parts) == 1:
                with ThreadPoolExecutor(1) as somebody:
                    other.append(_told(somebody.submit(batcher.embed, [SHORT] * asked).result(), "other", ended))
            if before_part:
                before_part()

        return vectors(batch, visit if before_part else None)

    monkeypatch.setattr(mounted, "vectors", visited)
    noisy = [_told(batcher.classify([SHORT], "a"), "noisy", ended) for _ in range(rows)]
    let_go.set()
    answers = [each.result(60)[0] for each in noisy]
    batcher.close()
    assert ended == order
    assert all(answer.scores == pytest.approx(alone.scores, abs=1e-5) for answer in answers)
    assert torch.allclose(other[0].result(60), bare, atol=1e-5)


def _told(asked: "Future[Any]", name: str, ended: list[str]) -> "Future[Any]":
    asked.add_done_callback(lambda _: ended.append(name))
    return asked


def test_a_request_hears_of_its_own_batches(batcher: Batcher, mounted: Engine, heard: list[Batch]) -> None:
    mine: list[Batch] = []
    batcher.classify(MANY[: MOST_ROWS + 3], "a", mine.append).result(60)
    batcher.embed([SHORT]).result(60)
    batcher.close()  # who counts hears after who asked
    assert sum(batch.rows for batch in mine) == MOST_ROWS + 3
    assert heard[: len(mine)] == mine and len(heard) == len(mine) + 1
    assert all(0 < batch.began < batch.ended and batch.models == 1 for batch in heard)


def test_an_unmounted_model_is_told_at_once_and_a_fault_reaches_its_request(batcher: Batcher) -> None:
    with pytest.raises(NotMounted):
        batcher.classify([SHORT], "nobody")

    def broken(_batch: Batch) -> None:
        raise OSError("no room for a span")

    with pytest.raises(OSError, match="no room"):
        batcher.classify([SHORT], "a", broken).result(60)
    assert batcher.classify([SHORT], "a").result(60)


def test_a_request_whose_batches_all_fail_hears_once_and_holds_its_model_no_longer(mounted: Engine) -> None:
    def broken(_batch: Batch) -> None:
        raise OSError("no room for a span")

    batcher, told = Batcher(mounted, 2), list[str]()
    try:
        with pytest.raises(OSError, match="no room"):
            _told(batcher.classify(MANY, "a", broken), "failed", told).result(60)
        with pytest.raises(TypeError):
            batcher.classify([b"not text"], "a")  # type: ignore[list-item]
    finally:
        batcher.close()  # the other batches are computed before, and fail too
    assert told == ["failed"] and mounted._models["a"].users == 0


def test_a_fault_of_who_counts_batches_is_logged_and_answers_nobody_worse(
    mounted: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(_batch: Batch) -> None:
        raise OSError("no room for a count")

    batcher = Batcher(mounted, 1, broken)
    try:
        for _ in range(2):
            assert batcher.classify([SHORT], "a").result(60)
    finally:
        batcher.close()
    assert [record.getMessage() for record in caplog.records] == ["a batch was computed and not counted"] * 2
    assert "no room for a count" in caplog.text
