"""Which release of each model answers: follows the pointers on disk, verifies, mounts, switches, and can say why not.

Runs inside Triton, but knows no Triton.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from governance.custody.canonical import sha256_document
from governance.custody.keys import TrustedKeys
from governance.custody.manifest import ReleaseManifest, release_digest
from governance.custody.verify import ReleaseRefused, verify_release
from serving.engine import Answer, Engine, NotMounted
from serving.triton.repository import POINTER, RepositoryError, read_pointer

POLL_SECONDS = 0.15

Log = Callable[[str], None]
Stamp = tuple[tuple[int, int] | None, tuple[int, int] | None]


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
    """No release of the model answers in this region."""


class Mounts:
    """The models of one repository on one engine.

    `poll` looks at every pointer once; `follow` does so in a thread until `stop`. A release is mounted before it
    becomes the one that answers, and one that is refused changes nothing but `status`.
    """

    def __init__(self, engine: Engine, models: Path, trusted: TrustedKeys, base_sha256: str, log: Log) -> None:
        self._engine, self._models, self._trusted, self._base, self._log = engine, models, trusted, base_sha256, log
        self._seen: dict[str, Stamp] = {}
        self._served: dict[str, Served] = {}
        self._refused: dict[str, Refused] = {}
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def classify(self, name: str, texts: Sequence[str]) -> tuple[Served, list[Answer]]:
        """What the release that answers for `tenant.task` says, and which release that is. Raises ModelUnknown."""
        while now := self._served.get(name):
            try:
                return now, self._engine.classify(texts, [now.mount] * len(texts))
            except NotMounted:  # switched between the two lines above
                if self._served.get(name) == now:
                    raise
        raise ModelUnknown(f"no release answers for model {name[:100]!r} here; promote one, or ask for STATUS")

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

    def poll(self) -> None:
        """Bring every model to where its pointer says."""
        names = {folder.name for folder in self._models.iterdir() if "." in folder.name.strip(".")}
        for name in sorted(names | self._served.keys() | self._refused.keys()):
            stamp = self._stamp(name)
            if stamp != self._seen.get(name, (None, None)):
                self._seen[name] = stamp
                self._follow_pointer(name)

    def _loop(self) -> None:
        while not self._stopping.wait(POLL_SECONDS):
            try:
                self.poll()
            except Exception as error:  # the watcher must outlive a full disk or a vanished folder
                self._log(f"the pointers in {self._models} could not be read: {error}")

    def _stamp(self, name: str) -> Stamp:
        """Changes when the pointer or the folder that it names does, so a repaired release is tried again."""
        pointer = self._models / name / POINTER
        try:
            pointed = read_pointer(pointer)
        except (RepositoryError, OSError, UnicodeDecodeError):
            pointed = None
        return _identity(pointer), _identity(pointer.with_name(str(pointed[0]))) if pointed else None

    def _follow_pointer(self, name: str) -> None:
        version = None
        try:
            pointed = read_pointer(self._models / name / POINTER)
            if pointed is None:
                self._withdraw(name)
            else:
                version, digest = pointed
                self._put_live(name, version, digest)
        except Exception as refused:  # whatever is wrong with one release, the others must still be followed
            self._refused[name] = Refused(version, str(refused))
            still = now.release if (now := self._served.get(name)) else "nothing"
            self._log(f"{name}: version {version} refused, {still} keeps answering: {refused}")

    def _put_live(self, name: str, version: int, digest: str) -> None:
        folder = self._models / name / str(version)
        manifest = verify_release(folder, self._trusted, name.replace(".", "/"), digest, self._base)
        now = Served(manifest.release, release_digest(manifest), _mount_name(manifest))
        if (wanted := f"{name}@{version}") != now.release:
            raise ReleaseRefused(f"{folder} holds {now.release}, the pointer wants {wanted}")
        self._engine.mount(now.mount, folder, {file.name: file.sha256 for file in manifest.files})
        before, self._served[name] = self._served.get(name), now
        self._refused.pop(name, None)
        if before and before.mount != now.mount:
            self._engine.unmount(before.mount)
        self._log(f"{name}: {now.release} answers, digest {now.digest}")

    def _withdraw(self, name: str) -> None:
        self._refused.pop(name, None)
        if before := self._served.pop(name, None):
            self._engine.unmount(before.mount)
            self._log(f"{name}: withdrawn, nothing answers")


def _mount_name(manifest: ReleaseManifest) -> str:
    return f"{manifest.release}#{sha256_document([file.sha256 for file in manifest.files])[:16]}"


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
