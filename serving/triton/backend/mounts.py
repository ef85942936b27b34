"""Which release of each model answers: verifies what the pointers name, mounts, switches, and can say why not.

Runs inside Triton, but knows no Triton.
"""

import math
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from governance.custody.canonical import sha256_document
from governance.custody.keys import TrustedKeys
from governance.custody.manifest import ReleaseManifest, release_digest
from governance.custody.verify import ReleaseRefused, verify_release
from serving.engine import Answer, Batch, Batcher, Engine, EngineFull, NotMounted
from serving.engine.batching import OnBatch
from serving.triton.backend.pointers import Log, Pointer, Pointers
from serving.triton.backend.served import Served
from serving.triton.backend.shadows import Shadows, Tally, Trial
from serving.triton.configuration import POINTER, SHADOW, read_pointer, read_shadow

if TYPE_CHECKING:
    from torch import Tensor

WARM_UP = "ok"
WARM_UP_LENGTH = 200  # characters: the others wait for it
Waiting = tuple[Sequence[str], Callable[[], None]]  # texts, and what asks about them


@dataclass(frozen=True)
class Refused:
    """A version that the pointer names and that does not answer, and why."""

    version: int | None
    reason: str


@dataclass(frozen=True)
class WarmUp:
    """What warmed a release up: its answer to `text`, kept for who waits for that."""

    served: Served
    text: str
    answers: "Future[list[Answer]]"
    batches: list[Batch]


class ModelUnknown(LookupError):
    """No release of the model answers in this region, or not the one that was asked for."""


class Observer(Protocol):
    """Who hears what happens here."""

    def batch(self, batch: Batch) -> None: ...

    def mount(self, outcome: str) -> None: ...

    def answers(self, name: str, served: Served | None) -> None: ...

    def mirrored(self, name: str, outcome: str) -> None: ...


class Mounts:
    """The models of one repository on one engine.

    `look` brings every model to where its pointer says; `follow` goes on doing so until `stop`. A release is mounted
    and warm before it becomes the one that answers, the one before stays resident beside it, and one that is refused
    changes nothing but `status`. What the engine evicted is mounted again, verified again, when it is asked for.
    Mounting takes threads of its own, so requests on other models never wait in line behind it.
    """

    def __init__(
        self,
        engine: Engine,
        models: Path,
        trusted: TrustedKeys,
        base_sha256: str,
        workers: int,
        log: Log,
        observer: Observer,
    ) -> None:
        self._engine, self._models, self._trusted, self._base, self._log = engine, models, trusted, base_sha256, log
        self._observer, self._batcher = observer, Batcher(engine, workers, observer.batch)
        kinds = [
            Pointer(POINTER, read_pointer, self._follow_model),
            Pointer(SHADOW, read_shadow, self._follow_shadow),
        ]
        self._pointers = Pointers(models, kinds, log)
        self._shadows = Shadows(engine, observer.mirrored)
        self._tallies: dict[str, Tally] = {}
        self._returning = ThreadPoolExecutor(1, thread_name_prefix="returning")
        self._served: dict[str, Served] = {}
        self._before: dict[str, Served] = {}
        self._refused: dict[str, Refused] = {}
        self._settling: dict[str, list[Waiting]] = {}  # who waits for what is mounted now, by model
        self._warm_ups: dict[str, WarmUp] = {}  # until those have asked
        self._lock = threading.Lock()
        self.look, self.follow = self._pointers.look, self._pointers.start

    def ask(
        self, name: str, texts: Sequence[str], digest: str | None = None, on_batch: OnBatch | None = None
    ) -> tuple[Served, "Future[list[Answer]]"]:
        """The release that answers for `tenant.task`, and what it will say. Raises ModelUnknown.

        With `digest` that release answers or none: the live one, or the one before it. `on_batch`: Batcher.classify.
        """
        while True:
            now = self._find(name, digest)
            answers = partial(self._answers, name, now, texts, on_batch)
            try:
                return now, answers()
            except NotMounted:
                if self._find(name, digest) == now:
                    return now, self._once_mounted(name, now, answers)

    def once_settled(self, name: str, texts: Sequence[str], ask: Callable[[], None]) -> bool:
        """Whether a release of the model is being mounted now; then `ask`, which asks it about `texts`, is called when
        it answers or was refused."""
        with self._lock:
            if (waiting := self._settling.get(name)) is not None:
                waiting.append((texts, ask))
            return waiting is not None

    def note(self, name: str, served: Served, texts: Sequence[str], answers: "Future[list[Answer]]") -> None:
        """Count what comes of a request that was taken, and let it be mirrored. Call it when the reply is provided for:
        what is done here comes after."""
        if (tally := self._tallies.get(name)) and tally.mount == served.mount:
            answers.add_done_callback(tally.count)
        self._shadows.mirror(name, served.mount, texts, answers)

    def embed(self, texts: Sequence[str]) -> "Future[Tensor]":
        """The base's own vectors of `texts`, see Engine.embed."""
        return self._batcher.embed(texts)

    def status(self) -> dict[str, dict[str, object]]:
        """Per model: `release` and `digest` that answer and `since` when they were switched to (or null), `refused`
        {version, reason} (or null), how many requests that release `answered` and `failed`, and the `shadow` beside it
        (Shadow.told, or null)."""
        return {
            name: {
                "release": now.release if (now := self._served.get(name)) else None,
                "digest": now.digest if now else None,
                "since": tally.since.isoformat() if now and (tally := self._tallies.get(name)) else None,
                "refused": asdict(refused) if (refused := self._refused.get(name)) else None,
                "answered": tally.answered if (tally := self._tallies.get(name)) else 0,
                "failed": tally.failed if tally else 0,
                "shadow": shadow.told() if (shadow := self._shadows.find(name)) else None,
            }
            for name in sorted({*self._served, *self._refused})
        }

    def stop(self) -> None:
        self._pointers.stop()
        self._returning.shutdown()
        self._batcher.close()
        self._shadows.stop()

    def _find(self, name: str, digest: str | None) -> Served:
        now = self._served.get(name)
        if now is None:
            raise ModelUnknown(f"no release answers for model {name[:100]!r} here; promote one, or ask for STATUS")
        if digest is None or digest == now.digest:
            return now
        if (before := self._before.get(name)) and before.digest == digest:
            return before
        raise ModelUnknown(f"{name} does not answer with release digest {digest[:64]}; it answers with {now.digest}")

    def _answers(
        self, name: str, served: Served, texts: Sequence[str], on_batch: OnBatch | None
    ) -> "Future[list[Answer]]":
        """Computed now, or already by its warm-up. Raises NotMounted."""
        warm_up = self._warm_ups.get(name)
        if warm_up is None or (warm_up.served, [warm_up.text]) != (served, list(texts)):
            return self._batcher.classify(texts, served.mount, on_batch)
        if on_batch:
            for batch in warm_up.batches:
                on_batch(batch)
        return warm_up.answers

    def _once_mounted(
        self, name: str, served: Served, ask: Callable[[], "Future[list[Answer]]"]
    ) -> "Future[list[Answer]]":
        """What `ask` gives once the release, which was evicted, is mounted again."""
        answered: Future[list[Answer]] = Future()

        def bring_back() -> None:
            try:
                while True:
                    with suppress(NotMounted):
                        ask().add_done_callback(partial(_hand_on, answered))
                        return
                    if name not in self._served:
                        raise ModelUnknown(f"no release answers for model {name} here; it was withdrawn just now")
                    self._mount(name, int(served.release.rpartition("@")[2]), served.digest)
            except Exception as fault:
                answered.set_exception(fault)

        self._returning.submit(bring_back)
        return answered

    def _follow_model(self, name: str) -> bool:
        """Bring one model to where its pointer says; what is wrong with it is told by `status`.

        Whether that settles it: what found no room is tried again.
        """
        version = None
        try:
            pointed = read_pointer(self._models / name / POINTER)
            if pointed is None:
                self._withdraw(name)
            else:
                version, digest = pointed
                with self._settles(name):
                    self._put_live(name, version, digest)
        except Exception as refused:  # whatever is wrong with one release, the others must still be followed
            self._observer.mount("refused")
            self._refused[name] = Refused(version, str(refused))
            still = now.release if (now := self._served.get(name)) else "nothing"
            self._log(f"{name}: version {version} refused, {still} keeps answering: {refused}")
            return not isinstance(refused, EngineFull)
        return True

    @contextmanager
    def _settles(self, name: str) -> Iterator[None]:
        """After this block the model answers with what its pointer names, or does not: who waited for that asks."""
        with self._lock:
            self._settling[name] = []
        try:
            yield
        finally:
            with self._lock:
                waiting = self._settling.pop(name)
            for _texts, ask in waiting:
                ask()
            self._warm_ups.pop(name, None)

    def _put_live(self, name: str, version: int, digest: str) -> None:
        warm_up = self._mount_warm(name, version, digest, self._settling[name])
        now, before = warm_up.served, self._served.get(name)
        if read_pointer(self._models / name / POINTER) != (version, digest):  # put back meanwhile, as after a probe
            self._forget(now, keep=(before, self._before.get(name)))
            return
        self._served[name], self._warm_ups[name] = now, warm_up
        self._refused.pop(name, None)
        if before and before.mount != now.mount:
            self._forget(self._before.get(name), keep=(now, before))
            self._before[name] = before
        if before is None or before.mount != now.mount:
            switched = (self._models / name / POINTER).stat().st_mtime
            self._tallies[name] = Tally(now.mount, datetime.fromtimestamp(switched, UTC))
        self._observer.answers(name, now)
        self._log(f"{name}: {now.release} answers, digest {now.digest}")

    def _follow_shadow(self, name: str) -> bool:
        """Bring the version that is tried beside the live one to where its file says; see `_follow_model`."""
        if ended := self._shadows.end(name):
            self._forget(ended.served, keep=(self._served.get(name), self._before.get(name)))
        wanted = read_shadow(self._models / name / SHADOW)
        if wanted is None:
            return True
        try:
            trial = Trial(self._mount_warm(name, wanted.version, wanted.digest).served, wanted.share)
        except Exception as refused:  # it never answers; the replica hears why
            trial = Trial(Served(f"{name}@{wanted.version}", wanted.digest, ""), 0, str(refused))
        self._shadows.begin(name, trial)
        return True

    def _mount_warm(self, name: str, version: int, digest: str, waiting: Sequence[Waiting] = ()) -> WarmUp:
        while True:
            now = self._mount(name, version, digest)
            try:
                return self._warm_up(now, waiting)
            except NotMounted:  # everything else was in use, and somebody took its room at once
                continue
            except Exception:
                self._forget(now, keep=(self._served.get(name), self._before.get(name)))
                raise

    def _warm_up(self, served: Served, waiting: Sequence[Waiting]) -> WarmUp:
        """Let it answer once, before the requests in the line: it would wait long, and they wait for a few words.

        The first who waits for it has that answer. What he asks is never why it is refused.
        """
        asked = [text for (text, *more), _ask in list(waiting) if not more and len(text) <= WARM_UP_LENGTH]
        for text in (*asked[:1], WARM_UP):
            batches = list[Batch]()
            answers = self._batcher.classify([text], served.mount, batches.append, at_once=True)
            if all(math.isfinite(score) for answer in answers.result() for score in answer.scores.values()):
                return WarmUp(served, text, answers, batches)
        raise ReleaseRefused(f"{served.release} answers with no number: its weights overflow on the resident base")

    def _mount(self, name: str, version: int, digest: str) -> Served:
        """Verify the release of that version and mount it. Raises ReleaseRefused, AdapterRefused, EngineFull."""
        folder = self._models / name / str(version)
        manifest = verify_release(folder, self._trusted, name.replace(".", "/"), digest, self._base)
        served = Served(manifest.release, release_digest(manifest), _mount_name(manifest))
        if (wanted := f"{name}@{version}") != served.release:
            raise ReleaseRefused(f"{folder} holds {served.release}, the pointer wants {wanted}")
        self._engine.mount(served.mount, folder, {file.name: file.sha256 for file in manifest.files})
        self._observer.mount("mounted")
        return served

    def _withdraw(self, name: str) -> None:
        self._refused.pop(name, None)
        if live := self._served.pop(name, None):
            self._forget(live)
            self._forget(self._before.pop(name, None))
            self._observer.answers(name, None)
            self._log(f"{name}: withdrawn, nothing answers")

    def _forget(self, served: Served | None, keep: Sequence[Served | None] = ()) -> None:
        if served and served.mount not in {each.mount for each in keep if each}:
            with suppress(NotMounted):  # evicted before
                self._engine.unmount(served.mount)


def _mount_name(manifest: ReleaseManifest) -> str:
    return f"{manifest.release}#{sha256_document([file.sha256 for file in manifest.files])[:16]}"


def _hand_on(answered: "Future[list[Answer]]", computed: "Future[list[Answer]]") -> None:
    if fault := computed.exception():
        answered.set_exception(fault)
    else:
        answered.set_result(computed.result())
