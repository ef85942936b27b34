"""Reading the policy file again whenever it changes. What cannot be used never replaces what was good."""

import os
import stat
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from governance.custody.canonical import sha256_bytes
from serving.router.policy import Routing

SIZE_LIMIT = 256 << 10
DEPTH_LIMIT = 20
SETTLED_NS = 500_000_000  # a file that was written less long ago may be half of one, without its `deny`


class PolicyRefused(ValueError):
    """A policy file cannot be used; the message names the file, the entry and the rule."""


@dataclass(frozen=True)
class Declaration:
    """A policy file that was accepted, and the sha256 of its bytes."""

    routing: Routing
    sha256: str


def read_routing(path: Path) -> Declaration:
    """The file at `path`, validated. Raises PolicyRefused."""
    body = _read(path)
    try:
        text = body.decode()
        _require_plain(path, text)
        routing = Routing.model_validate(yaml.load(text, Loader=_EachKeyOnce))
    except (UnicodeDecodeError, yaml.YAMLError, ValueError) as broken:
        raise PolicyRefused(f"{path}: {_faults(broken)}") from broken
    return Declaration(routing, sha256_bytes(body))


class PolicyFile:
    """The policies that hold now. Thread-safe; the file is looked at with each `current()`, read when it changed.

    A file that cannot be used, or whose version did not grow, leaves the last good one in force; `fault` says why.
    """

    def __init__(self, path: Path) -> None:
        """Raises PolicyRefused: at the start there is no good one to keep."""
        self._path, self._lock = path, threading.Lock()
        self._seen = _looks(path)
        self._good = read_routing(path)
        self.fault: str | None = None

    def current(self) -> Declaration:
        """The newest declaration that was good."""
        with self._lock:
            if (looks := _looks(self._path)) != self._seen and _settled(looks):
                self._seen = looks  # before the read: a write in between is seen as another change
                self._take_up()
            return self._good

    def _take_up(self) -> None:
        try:
            found = read_routing(self._path)
        except PolicyRefused as refused:
            self.fault = f"{refused}; version {self._good.routing.version} stays in force"
            return
        old, new = self._good.routing.version, found.routing.version
        if found.sha256 != self._good.sha256 and new <= old:
            self.fault = f"{self._path}: is version {new}, in force is {old}; a changed file needs a larger version"
            return
        self._good, self.fault = found, None


class _EachKeyOnce(yaml.SafeLoader):
    """YAML lets the second `deny` of a mapping silently replace the first."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if twice := sorted({str(key) for key in keys if keys.count(key) > 1}):
            raise yaml.YAMLError(f"{', '.join(twice)} is declared twice{node.start_mark}")
        return super().construct_mapping(node, deep)


def _looks(path: Path) -> tuple[int, ...] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def _settled(looks: tuple[int, ...] | None) -> bool:
    return looks is None or abs(time.time_ns() - looks[2]) > SETTLED_NS


def _read(path: Path) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)  # a pipe must not make the server wait
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise PolicyRefused(f"{path}: is no plain file")
            with os.fdopen(os.dup(handle), "rb") as file:
                body = file.read(SIZE_LIMIT + 1)
        finally:
            os.close(handle)
    except OSError as error:
        raise PolicyRefused(f"{path}: {error.strerror}; put the policy file there") from error
    if len(body) > SIZE_LIMIT:
        raise PolicyRefused(f"{path}: is larger than {SIZE_LIMIT >> 10} KiB; a policy file is not")
    return body


def _require_plain(path: Path, text: str) -> None:
    """No aliases, which can unfold to gigabytes, and no nesting that exhausts the stack."""
    depth = 0
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.AliasEvent):
            raise yaml.YAMLError(f"aliases are not allowed{event.start_mark}")
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH_LIMIT:
            raise yaml.YAMLError(f"is nested deeper than {DEPTH_LIMIT}")


def _faults(broken: Exception) -> str:
    if isinstance(broken, ValidationError):
        return "; ".join(f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}" for e in broken.errors()[:10])
    return " ".join(str(broken).split())
