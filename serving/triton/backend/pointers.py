"""Hears when a pointer on disk changes, so that a new release is followed at once and a thousand cost nothing."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any, NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from serving.triton.configuration import RepositoryError

CHANGES: list[type[FileSystemEvent]] = [DirCreatedEvent, DirMovedEvent, FileMovedEvent, FileDeletedEvent]
LOOK_SECONDS = 1.0  # every pointer is looked at this often too: some file systems tell no changes

Log = Callable[[str], None]
Identity = tuple[int, int] | None


class Stamp(NamedTuple):
    """How a model's pointer, and the folder of the version that it names, lay on the disk."""

    pointer: Identity = None
    version: int | None = None
    folder: Identity = None


class Pointer(NamedTuple):
    """A kind of file in a model's folder that names a version: how it is read (the version first), who follows it."""

    file: str
    read: Callable[[Path], Sequence[Any] | None]
    follow: Callable[[str], bool]


class Pointers:
    """The pointers of one repository. `follow(name)` is called for a model whose pointer, or the folder that it names,
    is not as it was, until it says that this is settled: in `look`, and in a thread from `start` to `stop`."""

    def __init__(self, models: Path, kinds: Sequence[Pointer], log: Log) -> None:
        self._models, self._kinds, self._log = models, kinds, log
        self._seen: dict[tuple[str, str], Stamp] = {}
        self._changed: SimpleQueue[str] = SimpleQueue()  # models that something happened to
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def look(self, names: Iterable[str] = ()) -> None:
        """Follow each of these models, or of all, that changed since the last look."""
        for name in sorted(
            set(names) or {folder.name for folder in self._models.iterdir()} | {of for of, _ in self._seen}
        ):
            if "." not in name.strip("."):
                continue  # the resident base
            for kind in self._kinds:
                stamp = self._stamp(name, kind)
                settled = stamp == self._seen.pop((name, kind.file), Stamp()) or kind.follow(name)
                if settled and stamp != Stamp():
                    self._seen[name, kind.file] = stamp

    def start(self) -> None:
        self._thread = threading.Thread(target=self._loop, name="pointers", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._changed.put("")  # whoever waits for a change wakes
        if self._thread:
            self._thread.join()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self.look()
                with _heard(self._models, self._changed.put):
                    while not self._stopping.is_set():
                        self.look(self._names())
            except Exception as error:  # the watcher must outlive a full disk or a vanished folder
                self._log(f"the pointers in {self._models} could not be read: {error}")
                self._stopping.wait(LOOK_SECONDS)

    def _names(self) -> set[str]:
        """The models that something happened to by now; none where nothing did for LOOK_SECONDS."""
        names = set[str]()
        with suppress(Empty):
            names.add(self._changed.get(timeout=LOOK_SECONDS))
            while True:
                names.add(self._changed.get_nowait())
        return names

    def _stamp(self, name: str, kind: Pointer) -> Stamp:
        """Changes when the pointer or the folder that it names does, so a repaired release is tried again."""
        path = self._models / name / kind.file
        pointer, known = _identity(path), self._seen.get((name, kind.file))
        version = known.version if known and known.pointer == pointer else _pointed_version(kind, path)
        return Stamp(pointer, version, _identity(path.with_name(str(version))) if version else None)


class _Hearer(FileSystemEventHandler):
    """Tells the first part of every path under `folder` that changed."""

    def __init__(self, folder: Path, tell: Callable[[str], None]) -> None:
        self._folder, self._tell = folder, tell

    def on_any_event(self, event: FileSystemEvent) -> None:
        for path in filter(None, (str(event.src_path), str(event.dest_path))):
            self._tell(os.path.relpath(path, self._folder).partition(os.sep)[0])


@contextmanager
def _heard(folder: Path, tell: Callable[[str], None]) -> Iterator[None]:
    """In this block `tell` is called for what is written, moved or deleted in the folders of `folder`."""
    observer = Observer()
    observer.schedule(_Hearer(folder, tell), str(folder), recursive=True, event_filter=CHANGES)
    observer.start()
    try:
        yield
    finally:
        observer.stop()
        observer.join()


def _pointed_version(kind: Pointer, path: Path) -> int | None:
    try:
        pointed = kind.read(path)
    except (RepositoryError, OSError):
        return None
    return pointed[0] if pointed else None


def _identity(path: Path) -> Identity:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns
