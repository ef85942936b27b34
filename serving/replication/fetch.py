"""Downloads that are taken up where they stopped: what is there is checked range by range, the whole by its sha256."""

import hashlib
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from governance.custody.blobs import DigestMismatch, Ref
from governance.custody.canonical import CHUNK
from governance.custody.store import ObjectStore

RANGE = 8 << 20  # bytes between two checksums of a partial file
STALE_SECONDS = 7 * 86400.0


def fetch(
    store: ObjectStore, ref: Ref, downloads: Path, count: Callable[[int], None], bytes_per_second: float | None = None
) -> Path:
    """The blob as a file of `downloads`, verified. `count` hears of bytes that came. Raises DigestMismatch, NotFound.

    A kill leaves a part; a CRC a range tells how much of it is what came, so no torn page is taken up.
    """
    downloads.mkdir(parents=True, exist_ok=True)
    partial, ranges = downloads / f"{ref.sha256}.partial", downloads / f"{ref.sha256}.ranges"
    digest, start = _taken_up(partial, ranges)
    try:
        if start < ref.size:
            _append(store, ref, partial, ranges, digest, start, _paced(count, bytes_per_second))
        if partial.stat().st_size != ref.size or digest.hexdigest() != ref.sha256:
            raise DigestMismatch(
                f"{ref.uri} was altered: {partial.stat().st_size} bytes with sha256 {digest.hexdigest()[:16]}… came, "
                f"signed are {ref.size} with {ref.sha256[:16]}…; restore the object's first version"
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


def clear_stale(downloads: Path) -> None:
    """Remove what nobody took up for a week."""
    for file in downloads.glob("*"):
        if time.time() - file.stat().st_mtime > STALE_SECONDS:
            file.unlink(missing_ok=True)


def _taken_up(partial: Path, ranges: Path) -> "tuple[hashlib._Hash, int]":
    """The digest of the longest part that is as it came, and its length; the file is cut there."""
    digest, good, lines = hashlib.sha256(), 0, 0
    known = ranges.read_text().splitlines() if ranges.exists() else []
    with partial.open("a+b") as file:
        file.seek(0)
        for line in known:
            body = file.read(RANGE)
            if len(body) != RANGE or line != _checksum(body):
                break
            digest.update(body)
            good, lines = good + len(body), lines + 1
        file.truncate(good)
    ranges.write_text("".join(f"{line}\n" for line in known[:lines]))
    return digest, good


def _append(
    store: ObjectStore,
    ref: Ref,
    partial: Path,
    ranges: Path,
    digest: "hashlib._Hash",
    start: int,
    count: Callable[[int], None],
) -> None:
    crc, length = 0, start
    with store.open(*ref.bucket_and_key, start=start) as stream, partial.open("ab") as file, ranges.open("a") as told:
        while length <= ref.size and (chunk := stream.read(CHUNK)):
            file.write(chunk)
            digest.update(chunk)
            crc = zlib.crc32(chunk, crc)
            length += len(chunk)
            count(len(chunk))
            if (length - start) % RANGE == 0:
                file.flush()
                told.write(f"{crc:08x}\n")
                told.flush()
                crc = 0


def _checksum(body: bytes) -> str:
    return f"{zlib.crc32(body):08x}"


def _paced(count: Callable[[int], None], bytes_per_second: float | None) -> Callable[[int], None]:
    """`count`, that waits where more came than may."""
    if bytes_per_second is None:
        return count
    began, came = time.monotonic(), 0

    def paced(size: int) -> None:
        nonlocal came
        came += size
        count(size)
        time.sleep(max(0.0, came / bytes_per_second - (time.monotonic() - began)))

    return paced
