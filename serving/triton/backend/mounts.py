"""Which release of each model answers: follows the pointers on disk, verifies, mounts, switches, and can say why not.

Runs inside Triton, but knows no Triton.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from governance.custody.canonical import sha256_document
from governance.custody.keys import TrustedKeys
from governance.custody.manifest import ReleaseManifest, release_digest
from governance.custody.verify import ReleaseRefused, verify_release
from serving.engine import Answer, Batcher, Engine, NotMounted, Row
from serving.triton.repository import POINTER, RepositoryError, read_pointer

if TYPE_CHECKING:
    from torch import Tensor

POLL_SECONDS = 0.15
WARM_UP = "Is this the release that was promoted?"

Log = Callable[[str], None]
Identity = tuple[int, int] | None


class Stamp(NamedTuple):
    """How a model's pointer, and the folder of the version that it names, lay on the disk."""

    pointer: Identity = None
    version: int | None = None
    folder: Identity = None


@dataclass(frozen=True)
class Served:
    """What answers for a model. mount: its name in the engine."""

    release: str
    digest: str
    mount: str


@dataclass(frozen=True)
class Refused:
    """A version that the pointer names and that does not answer, and why."""

    version: int | None
    reason: str


class ModelUnknown(LookupError):
    """No release of the model answers in this region, or not the one that was asked for."""


class Observer(Protocol):
    """Who counts what happens here."""

    def batch(self, rows: Sequence[Row]) -> None: ...

    def mount(self, outcome: str) -> None: ...


class Mounts:
    """The models of one repository on one engine.

    `poll` looks at every pointer once; `follow` does so in a thread until `stop`. A release is mounted and warm before
    it becomes the one that answers, the one before stays resident beside it, and one that is refused changes nothing
    but `status`. What the engine evicted is mounted again, verified again, when it is asked for.
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
        self._returning = ThreadPoolExecutor(1, thread_name_prefix="returning")
        self._seen: dict[str, Stamp] = {}
        self._served: dict[str, Served] = {}
        self._before: dict[str, Served] = {}
        self._refused: dict[str, Refused] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def ask(self, name: str, texts: Sequence[str], digest: str | None = None) -> tuple[Served, Future[list[Answer]]]:
        """The release that answers for `tenant.task`, and what it will say. Raises ModelUnknown.

        With `digest` that release answers or none: the live one, or the one before it.
        """
        while True:
            now = self._find(name, digest)
            try:
                return now, self._batcher.classify(texts, now.mount)
            except NotMounted:
                if self._find(name, digest) == now:
                    return now, self._returning.submit(self._answer_evicted, now, texts)

    def embed(self, texts: Sequence[str]) -> "Future[Tensor]":
        """The base's own vectors of `texts`, see Engine.embed."""
        return self._batcher.embed(texts)

    def status(self) -> dict[str, dict[str, object]]:
        """Per model: `release` and `digest` that answer (or null), and `refused` {version, reason} (or null)."""
        return {
            name: {
                "release": now.release if (now := self._served.get(name)) else None,
                "digest": now.digest if now else None,
                "refused": asdict(refused) if (refused := self._refused.get(name)) else None,
            }
            for name in sorted({*self._served, *self._refused})
        }

    def follow(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="pointers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread:
            self._thread.join()
        self._returning.shutdown()
        self._batcher.close()

    def poll(self) -> None:
        """Bring every model to where its pointer says."""
        names = {folder.name for folder in self._models.iterdir() if "." in folder.name.strip(".")}
        for name in sorted(names | self._served.keys() | self._refused.keys()):
            stamp = self._stamp(name)
            if stamp != self._seen.get(name, Stamp()):
                self._seen[name] = stamp
                self.follow_model(name)

    def _find(self, name: str, digest: str | None) -> Served:
        now = self._served.get(name)
        if now is None:
            raise ModelUnknown(f"no release answers for model {name[:100]!r} here; promote one, or ask for STATUS")
        if digest is None or digest == now.digest:
            return now
        if (before := self._before.get(name)) and before.digest == digest:
            return before
        raise ModelUnknown(f"{name} does not answer with release digest {digest[:64]}; it answers with {now.digest}")

    def _answer_evicted(self, served: Served, texts: Sequence[str]) -> list[Answer]:
        """Mount it again, beside the requests on other models, then answer."""
        while True:
            try:
                return self._batcher.classify(texts, served.mount).result()
            except NotMounted:
                name, version = served.release.split("@")
                self._mount(name, int(version), served.digest)

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self.poll()
            except Exception as error:  # the watcher must outlive a full disk or a vanished folder
                self._log(f"the pointers in {self._models} could not be read: {error}")

    def _stamp(self, name: str) -> Stamp:
        """Changes when the pointer or the folder that it names does, so a repaired release is tried again.

        Two looks at the disk for a model that stands still: thousands are looked at several times a second.
        """
        path = self._models / name / POINTER
        pointer, known = _identity(path), self._seen.get(name)
        version = known.version if known and known.pointer == pointer else _pointed_version(path)
        return Stamp(pointer, version, _identity(path.with_name(str(version))) if version else None)

    def follow_model(self, name: str) -> None:
        """Bring one model to where its pointer says; what is wrong with it is told by `status`."""
        version = None
        try:
            pointed = read_pointer(self._models / name / POINTER)
            if pointed is None:
                self._withdraw(name)
            else:
                version, digest = pointed
                self._put_live(name, version, digest)
        except Exception as refused:  # whatever is wrong with one release, the others must still be followed
            self._observer.mount("refused")
            self._refused[name] = Refused(version, str(refused))
            still = now.release if (now := self._served.get(name)) else "nothing"
            self._log(f"{name}: version {version} refused, {still} keeps answering: {refused}")

    def _put_live(self, name: str, version: int, digest: str) -> None:
        now = self._mount(name, version, digest)
        self._batcher.classify([WARM_UP], now.mount).result()
        before, self._served[name] = self._served.get(name), now
        self._refused.pop(name, None)
        if before and before.mount != now.mount:
            self._forget(self._before.get(name), keep=(now, before))
            self._before[name] = before
        self._log(f"{name}: {now.release} answers, digest {now.digest}")

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
            self._log(f"{name}: withdrawn, nothing answers")

    def _forget(self, served: Served | None, keep: Sequence[Served] = ()) -> None:
        if served and served.mount not in {each.mount for each in keep}:
            with suppress(NotMounted):  # evicted before
                self._engine.unmount(served.mount)


def _mount_name(manifest: ReleaseManifest) -> str:
    return f"{manifest.release}#{sha256_document([file.sha256 for file in manifest.files])[:16]}"


def _pointed_version(pointer: Path) -> int | None:
    try:
        pointed = read_pointer(pointer)
    except (RepositoryError, OSError, UnicodeDecodeError):
        return None
    return pointed[0] if pointed else None


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
