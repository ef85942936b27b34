"""Downloads that go on where they stopped: ranges side by side, each with a checksum; the whole by its sha256."""

import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from governance.custody.blobs import DigestMismatch, Ref
from governance.custody.canonical import sha256_file
from governance.custody.store import ObjectStore

RANGE = 8 << 20  # bytes of one request, and between two checksums of a partial file
SIDE_BY_SIDE = 4  # ranges of one file
STALE_SECONDS = 7 * 86400.0

Count = Callable[[int], None]


def fetch(store: ObjectStore, ref: Ref, downloads: Path, count: Count) -> Path:
    """The blob as a file of `downloads`, verified. `count` hears of bytes that came. Raises DigestMismatch, NotFound.

    A kill leaves a part; a CRC a range tells which of it is as it came, so no torn page is taken up.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    partial, ranges = downloads / f"{ref.sha256}.partial", downloads / f"{ref.sha256}.ranges"
    try:
        _complete(store, ref, partial, ranges, count)
        if (found := sha256_file(partial)) != ref.sha256:
            raise DigestMismatch(
                f"{ref.uri} was altered: its sha256 is {found[:16]}…, signed is {ref.sha256[:16]}…; restore the "
                "object's first version"
            )
    except (DigestMismatch, OSError) as useless:
        if isinstance(useless, DigestMismatch) or useless.errno is not None:  # a full disk is not kept full
            partial.unlink(missing_ok=True)
            ranges.unlink(missing_ok=True)
        raise
    whole = downloads / ref.sha256
    partial.rename(whole)
    ranges.unlink(missing_ok=True)
    return whole


def pacer(bytes_per_second: float | None) -> Count:
    """A function that all downloads tell what came; it keeps them waiting where that is more than may come."""
    if bytes_per_second is None:
        return lambda size: None
    lock, due = threading.Lock(), 0.0

    def pace(size: int) -> None:
        nonlocal due
        with lock:
            now = time.monotonic()
            due = max(now, due) + size / bytes_per_second
            wait = due - now
        time.sleep(wait)

    return pace


def clear_stale(downloads: Path) -> None:
    """Remove what nobody took up for a week."""
    for file in downloads.rglob("*"):
        if file.is_file() and time.time() - file.stat().st_mtime > STALE_SECONDS:
            file.unlink(missing_ok=True)


def _complete(store: ObjectStore, ref: Ref, partial: Path, ranges: Path, count: Count) -> None:
    """Bring every range of the file that is not there as it came."""
    descriptor = os.open(partial, os.O_RDWR | os.O_CREAT)
    try:
        os.truncate(descriptor, ref.size)
        starts = set(range(0, ref.size, RANGE)) - set(_as_it_came(descriptor, ranges))
        with ranges.open("a") as told, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            lock = threading.Lock()

            def bring(start: int) -> None:
                body = _range(store, ref, start)
                os.pwrite(descriptor, body, start)
                with lock:
                    told.write(_line(start, body))
                    told.flush()
                count(len(body))

            for done in [pool.submit(bring, start) for start in sorted(starts)]:
                done.result()
    finally:
        os.close(descriptor)


def _range(store: ObjectStore, ref: Ref, start: int) -> bytes:
    wanted = min(RANGE, ref.size - start)
    body, size = store.read_range(*ref.bucket_and_key, start, wanted)
    if size != ref.size or len(body) != wanted:
        raise DigestMismatch(
            f"{ref.uri} was altered: it has {size} bytes, signed are {ref.size}; restore the object's first version"
        )
    return body


def _as_it_came(descriptor: int, ranges: Path) -> Iterator[int]:
    """Where the ranges begin that are in the file as they came."""
    for line in ranges.read_text().splitlines(keepends=True) if ranges.exists() else []:
        start = line.partition(" ")[0]
        if start.isdigit() and line == _line(int(start), os.pread(descriptor, RANGE, int(start))):
            yield int(start)


def _line(start: int, body: bytes) -> str:
    return f"{start} {zlib.crc32(body):08x}\n"
