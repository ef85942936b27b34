"""Files that are whole or not there, also after a power cut."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def replace(path: Path, body: bytes, mode: int = 0o644) -> None:
    """Write `path`; whoever reads it meanwhile finds what was there before."""
    with _written(path, body, mode) as partial:
        partial.rename(path)
    sync(path.parent)


def create_once(path: Path, body: bytes, mode: int) -> bool:
    """Write a file that does not exist yet; one that does stays. Whether it was written."""
    with _written(path, body, mode) as partial:
        try:
            os.link(partial, path)  # never over another file: two that start at once end with one
        except FileExistsError:
            return False
    sync(path.parent)
    return True


def sync(path: Path) -> None:
    """Have a file, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _written(path: Path, body: bytes, mode: int) -> Iterator[Path]:
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
    partial = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        yield partial
    finally:
        partial.unlink(missing_ok=True)
