"""What was evicted comes back when it is asked for, verified again; what overflows or was withdrawn never answers."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from benchmarks import releases
from governance.custody.canonical import sha256_file
from governance.custody.keys import TrustedKeys
from governance.custody.manifest import MANIFEST
from governance.tenants import Release
from serving.engine import Answer, Batch, Engine, Limits, base_digest
from serving.triton import repository
from serving.triton.backend.mounts import ModelUnknown, Mounts
from serving.triton.backend.served import Served
from serving.triton.backend.shadows import MOST_WAITING

NAMES = [f"{releases.TENANT}.{letter}" for letter in "abc"]
TEXT = "my card was declined"


class Heard:
    """Keeps what an observer is told."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.mounts: list[str] = []
        self.answering: dict[str, str | None] = {}
        self.compared: list[tuple[str, str]] = []

    def batch(self, batch: Batch) -> None:
        self.batches.append(batch)

    def mount(self, outcome: str) -> None:
        self.mounts.append(outcome)

    def answers(self, name: str, served: Served | None) -> None:
        self.answering[name] = served and served.release

    def mirrored(self, name: str, outcome: str) -> None:
        self.compared.append((name, outcome))


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def root(tmp_path: Path, base: Path, trusted: TrustedKeys) -> Path:
    repository.prepare(tmp_path, releases.BASE, base, trusted.folder)
    return tmp_path


@pytest.fixture
def mounts(root: Path, base: Path, trusted: TrustedKeys, heard: Heard) -> Iterator[Mounts]:
    """Over an engine that holds two models."""
    engine = Engine(base, limits=Limits(models=2))
    mounts = Mounts(engine, root / "models", trusted, base_digest(base), 1, lambda line: None, heard)
    yield mounts
    mounts.stop()


@pytest.fixture
def put(root: Path, make_release: Callable[..., Path]) -> Callable[..., Path]:
    def put(name: str, signed: str | None = None, **options: object) -> Path:
        release = Release.parse(name)
        folder = releases.install(root, release, make_release(name, **options))
        repository.switch(root, release)
        return folder

    return put


def ask(mounts: Mounts, name: str) -> tuple[str, dict[str, float]]:
    served, answers = mounts.ask(name, [TEXT])
    (answer,) = answers.result(timeout=30)
    return served.release, answer.scores


def test_an_evicted_model_comes_back_with_the_same_answers(
    mounts: Mounts, put: Callable[..., Path], heard: Heard
) -> None:
    wanted = {}
    for seed, name in enumerate(NAMES):
        put(f"{name}@1", seed=seed)
        mounts.look()
        wanted[name] = ask(mounts, name)
    for name in NAMES * 2:  # with room for two of three, each is evicted before it is asked again
        assert ask(mounts, name) == wanted[name]
    assert heard.mounts == ["mounted"] * 9
    assert heard.answering == {name: f"{name}@1" for name in NAMES}


def test_a_release_answers_since_it_was_switched_to(mounts: Mounts, put: Callable[..., Path]) -> None:
    def since() -> datetime:
        mounts.look()
        return datetime.fromisoformat(str(mounts.status()[NAMES[0]]["since"]))

    began = datetime.now(UTC) - timedelta(seconds=1)  # a file's time is coarser than the clock
    put(f"{NAMES[0]}@1", seed=0)
    first = since()
    assert began < first < datetime.now(UTC) + timedelta(seconds=1)
    spoiled = put(f"{NAMES[0]}@2", seed=1) / "head.json"
    spoiled.write_text("{}")
    assert since() == first, "what was refused answers for nothing"


def test_what_the_pointer_names_no_more_once_it_is_warm_never_answers(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = f"{NAMES[0]}@1", f"{NAMES[0]}@2"
    put(first, seed=0)
    mounts.look()
    put(second, seed=1)
    told: list[str | None] = []
    monkeypatch.setattr(heard, "mount", lambda _: repository.switch(root, Release.parse(first)))
    monkeypatch.setattr(heard, "answers", lambda _, served: told.append(served and served.release))
    mounts.look()
    assert ask(mounts, NAMES[0])[0] == first
    mounts.look()
    assert ask(mounts, NAMES[0])[0] == first and second not in told
    with pytest.raises(ModelUnknown):
        mounts.ask(NAMES[0], [TEXT], sha256_file(repository.release_folder(root, Release.parse(second)) / MANIFEST))


def test_who_asks_for_what_is_being_mounted_waits_for_it(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []

    def meanwhile(outcome: str) -> None:
        """In the midst of mounting: nothing answers yet."""
        with pytest.raises(ModelUnknown):
            mounts.ask(NAMES[0], [TEXT])
        assert mounts.once_settled(NAMES[0], [TEXT], lambda: told.append(ask(mounts, NAMES[0])[0]))
        assert not mounts.once_settled(NAMES[1], [TEXT], lambda: told.append("of another"))
        assert told == []

    monkeypatch.setattr(heard, "mount", meanwhile)
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    assert told == [f"{NAMES[0]}@1"]
    assert not mounts.once_settled(NAMES[0], [TEXT], lambda: told.append("too late"))


def test_the_first_who_waits_has_the_answer_that_warmed_the_release_up_and_the_others_their_own(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = [["too long for that" * 20], ["two", "rows"], [TEXT], ["another one"], [TEXT]]
    told: list[tuple[list[Answer], int]] = []

    def asks(asked: list[str]) -> None:
        batches = list[Batch]()
        served, answers = mounts.ask(NAMES[0], asked, on_batch=batches.append)
        assert served.release == f"{NAMES[0]}@1"
        told.append((answers.result(), len(batches)))

    def meanwhile(_: str) -> None:
        for asked in texts:
            assert mounts.once_settled(NAMES[0], asked, partial(asks, asked))

    monkeypatch.setattr(heard, "mount", meanwhile)
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    assert sum(batch.rows for batch in heard.batches) == sum(map(len, texts)) - 1, "one text was asked twice"
    for asked, (answers, batches) in zip(texts, told, strict=True):
        assert batches >= 1
        for answer, again in zip(answers, mounts.ask(NAMES[0], asked)[1].result(), strict=True):
            assert answer.scores == pytest.approx(again.scores, abs=1e-5)


def test_who_asks_for_the_version_before_does_not_get_what_warmed_the_new_one_up(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    before, said = mounts.ask(NAMES[0], [TEXT])
    told: list[tuple[Served, list[Answer]]] = []

    def asks(digest: str | None) -> None:
        served, answers = mounts.ask(NAMES[0], [TEXT], digest)
        told.append((served, answers.result()))

    def meanwhile(_: str) -> None:
        for digest in (before.digest, None):
            assert mounts.once_settled(NAMES[0], [TEXT], partial(asks, digest))

    monkeypatch.setattr(heard, "mount", meanwhile)
    put(f"{NAMES[0]}@2", seed=1)
    mounts.look()
    (old, again), (new, other) = told
    assert (old, new.release) == (before, f"{NAMES[0]}@2")
    assert again[0].scores == pytest.approx(said.result()[0].scores, abs=1e-5)
    assert other[0].scores != pytest.approx(again[0].scores, abs=1e-3)


def test_who_waits_for_what_is_refused_hears_so(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[bool] = []

    def asks() -> None:
        with pytest.raises(ModelUnknown, match="no release answers"):
            ask(mounts, NAMES[0])
        told.append(True)

    def meanwhile(outcome: str) -> None:
        if outcome == "mounted":
            assert mounts.once_settled(NAMES[0], [TEXT], asks)

    monkeypatch.setattr(heard, "mount", meanwhile)
    put(f"{NAMES[0]}@21", change=overflow)
    mounts.look()
    assert told == [True]


def test_many_ask_for_evicted_models_at_once(mounts: Mounts, put: Callable[..., Path]) -> None:
    for seed, name in enumerate(NAMES):
        put(f"{name}@1", seed=seed)
    mounts.look()
    wanted = {name: ask(mounts, name) for name in NAMES}
    got: list[bool] = []

    def work(start: int) -> None:
        got.extend(ask(mounts, name) == wanted[name] for name in (NAMES[start:] + NAMES[:start]) * 3)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [True] * 27


def test_what_changed_on_disk_while_it_was_evicted_is_refused(mounts: Mounts, put: Callable[..., Path]) -> None:
    folders = [put(f"{name}@1", seed=seed) for seed, name in enumerate(NAMES)]
    mounts.look()
    altered = folders[0] / "head.safetensors"
    altered.write_bytes(altered.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match=r"head\.safetensors was altered"):
        ask(mounts, NAMES[0])
    assert ask(mounts, NAMES[1])[0] == f"{NAMES[1]}@1"


def overflow(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    save_file({name: torch.full_like(each, 1e30) for name, each in load_file(file).items()}, file)


def not_a_number(adapter: Path) -> None:
    file = adapter / "adapter_model.safetensors"
    save_file({name: each * float("nan") for name, each in load_file(file).items()}, file)


def pickled(adapter: Path) -> None:
    torch.save({"weight": torch.ones(2)}, adapter / "head.safetensors")


def absurd_rank(adapter: Path) -> None:
    file = adapter / "adapter_config.json"
    file.write_text(file.read_text().replace('"r": 4,', '"r": 4096,'))


@pytest.mark.parametrize(
    ("number", "spoil", "reason"),
    [
        (21, overflow, "answers with no number"),
        (22, not_a_number, "holds NaN or infinity"),
        (23, pickled, "is not safetensors"),
        (24, absurd_rank, "rank r is 4096"),
    ],
)
def test_what_is_signed_but_hostile_is_refused_and_the_version_before_answers(
    mounts: Mounts, put: Callable[..., Path], heard: Heard, number: int, spoil: Callable[[Path], None], reason: str
) -> None:
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    before = ask(mounts, NAMES[0])
    put(f"{NAMES[0]}@{number}", change=spoil)
    mounts.look()
    assert reason in str(mounts.status()[NAMES[0]]["refused"])
    assert heard.mounts[-1] == "refused"
    assert ask(mounts, NAMES[0]) == before


def test_a_withdrawn_model_does_not_come_back(
    mounts: Mounts, put: Callable[..., Path], root: Path, heard: Heard
) -> None:
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    repository.withdraw(root, NAMES[0])
    mounts.look()
    with pytest.raises(ModelUnknown, match="no release answers"):
        ask(mounts, NAMES[0])
    assert heard.answering == {NAMES[0]: None}


def test_a_pointer_that_names_anything_more_is_refused(mounts: Mounts, put: Callable[..., Path], root: Path) -> None:
    put(f"{NAMES[0]}@1", seed=0)
    pointer = root / "models" / NAMES[0] / "config.pbtxt"
    pointer.write_text(pointer.read_text() + 'backend: "python"\n')
    mounts.look()
    assert "switch the model again" in str(mounts.status()[NAMES[0]]["refused"])


def test_a_release_that_found_no_room_is_mounted_once_there_is_some(
    root: Path, base: Path, trusted: TrustedKeys, put: Callable[..., Path], heard: Heard
) -> None:
    engine = Engine(base, limits=Limits(models=1, patience=0))
    mounts = Mounts(engine, root / "models", trusted, base_digest(base), 1, lambda line: None, heard)
    put(f"{NAMES[0]}@1", seed=0)
    mounts.look()
    put(f"{NAMES[1]}@1", seed=1)
    with engine.pinned(engine.mounted()):
        mounts.look()
        assert "are in use" in str(mounts.status()[NAMES[1]]["refused"])
    mounts.look()
    assert ask(mounts, NAMES[1])[0] == f"{NAMES[1]}@1"
    mounts.stop()


@pytest.fixture
def tried(mounts: Mounts, put: Callable[..., Path], root: Path, make_release: Callable[..., Path]) -> Mounts:
    """Version 1 answers, version 2 is tried with every request."""
    put(f"{NAMES[0]}@1", seed=0)
    newer = Release.parse(f"{NAMES[0]}@2")
    releases.install(root, newer, make_release(str(newer), seed=1))
    repository.begin_shadow(root, newer, 1.0)
    mounts.look()
    return mounts


def ask_and_note(mounts: Mounts) -> str:
    served, answers = mounts.ask(NAMES[0], [TEXT])
    mounts.note(NAMES[0], served, [TEXT], answers)
    answers.result(timeout=5)
    return served.release


def until(true: Callable[[], object]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.01)


def shadowing(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """`act` before the engine computes for the version that is tried."""
    plain = Engine.classify

    def classify(self: Engine, texts: Sequence[str], names: Sequence[str]) -> list[Answer]:
        if names[0].startswith(f"{NAMES[0]}@2"):
            act()
        return plain(self, texts, names)

    monkeypatch.setattr(Engine, "classify", classify)


def test_no_reply_waits_for_the_shadow_and_what_it_has_no_room_for_is_not_mirrored(
    tried: Mounts, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    shadowing(monkeypatch, lambda: go_on.wait(30))
    replies = [ask_and_note(tried) for _ in range(2 * MOST_WAITING)]
    assert replies == [f"{NAMES[0]}@1"] * 2 * MOST_WAITING and not heard.compared
    go_on.set()
    until(lambda: len(heard.compared) == MOST_WAITING)
    seen = tried.status()[NAMES[0]]
    assert seen["shadow"]["asked"] == 2 * MOST_WAITING and seen["shadow"]["mirrored"] == MOST_WAITING  # type: ignore[index]
    assert (seen["answered"], seen["failed"]) == (2 * MOST_WAITING, 0)


def test_what_fails_in_the_shadow_is_counted_and_no_reply_fails(
    tried: Mounts, root: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise RuntimeError("a broken release")

    shadowing(monkeypatch, fail)
    assert ask_and_note(tried) == f"{NAMES[0]}@1"
    until(lambda: heard.compared == [(NAMES[0], "failed")])
    repository.end_shadow(root, NAMES[0])
    tried.look()
    assert tried.status()[NAMES[0]]["shadow"] is None
    assert ask_and_note(tried) == f"{NAMES[0]}@1" and len(heard.compared) == 1
