"""Uploading a delivery into a tenant's landing bucket: resumable, closed by its manifest, never rewritten.

What a delivery may look like is manifest.py; what becomes of one is snapshot.py.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from assets.ingestion.manifest import (
    MANIFEST,
    MAX_FILE_BYTES,
    DeliveredFile,
    DeliveryRefused,
    Manifest,
    delivery_name,
    file_name,
    landing_bucket,
    parse_manifest,
    prefix_of,
    refuse,
    slug,
)
from governance.custody.canonical import sha256_document, sha256_file
from governance.custody.store import AlreadyExists, NotFound, ObjectStore

Progress = Callable[[str, int, int], None]
"""Told (file name, bytes sent since the last call, bytes of the file), from any thread."""

MULTIPART_BYTES = 16 << 20


def silent(name: str, sent: int, size: int) -> None:
    """Progress that nobody watches."""


@dataclass(frozen=True)
class Delivery:
    """A delivery that is closed in the landing bucket; `sent` counts the files that this call had to upload."""

    manifest: Manifest
    bucket: str
    manifest_key: str
    sent: int

    @property
    def name(self) -> str:
        return self.manifest.delivery


def expand(paths: Sequence[Path]) -> list[Path]:
    """The files that `paths` mean: a file is itself, a folder every file under it that is not hidden."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if _is_data(p, path)) if path.is_dir() else [path]
    return found


def _is_data(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


def deliver(
    store: ObjectStore,
    tenant: str,
    dataset: str,
    paths: Sequence[Path],
    name: str | None = None,
    progress: Progress = silent,
) -> Delivery:
    """Upload `paths` as one delivery and close it.

    A call that was cut off is continued by the same call again: files that arrived are not sent twice. Without `name`
    the delivery is named after its content, so repeating a command never delivers the same data a second time.
    Raises DeliveryRefused, having written no manifest.
    """
    if fault := _names_fault(tenant, dataset, name):
        raise DeliveryRefused(f"nothing was delivered: {fault}")
    listed, stamps = _survey(expand(paths), name or "(unnamed)")
    name = name or f"delivery-{sha256_document([file.model_dump() for file in listed])[:12]}"
    manifest = Manifest(tenant=tenant, dataset=dataset, delivery=name, files=tuple(listed))
    bucket, prefix = landing_bucket(tenant), prefix_of(dataset, name)
    if not _closed(store, bucket, prefix, manifest):
        sent = _upload(store, bucket, prefix, manifest, stamps, progress)
        _close(store, bucket, prefix, manifest)
    else:
        sent = 0
    return Delivery(manifest, bucket, prefix + MANIFEST, sent)


@dataclass(frozen=True)
class _Stamp:
    """A local file as it was when it was hashed."""

    path: Path
    size: int
    changed: int

    @classmethod
    def of(cls, path: Path) -> "_Stamp":
        status = path.stat()
        return cls(path, status.st_size, status.st_mtime_ns)


def _names_fault(tenant: str, dataset: str, name: str | None) -> str | None:
    try:
        slug("tenant", tenant), slug("dataset", dataset)
        if name is not None:
            delivery_name(name)
    except ValueError as fault:
        return str(fault)
    return None


def _survey(files: Iterable[Path], delivery: str) -> tuple[list[DeliveredFile], dict[str, _Stamp]]:
    stamps: dict[str, _Stamp] = {}
    for path in files:
        try:
            name = file_name(path.name)
        except ValueError as fault:
            refuse(delivery, str(fault), "rename the file")
        if not path.is_file():
            refuse(delivery, f"{path} is not a file", "give the files, or a folder that holds them")
        if name in stamps:
            refuse(delivery, f"{stamps[name].path} and {path} would both be {name!r} in it", "rename one of them")
        stamps[name] = _Stamp.of(path)
        _refuse_size(delivery, name, stamps[name].size)
    if not stamps:
        refuse(delivery, "it has no files", "name at least one file with rows in it")
    listed = [DeliveredFile(name=n, size=s.size, sha256=sha256_file(s.path)) for n, s in sorted(stamps.items())]
    return listed, stamps


def _refuse_size(delivery: str, name: str, size: int) -> None:
    if size == 0:
        refuse(delivery, f"the file {name!r} is empty", "leave it out, or export it again")
    if size > MAX_FILE_BYTES:
        refuse(delivery, f"the file {name!r} has {size:,} bytes, the most is {MAX_FILE_BYTES:,}", "split it")


def _closed(store: ObjectStore, bucket: str, prefix: str, manifest: Manifest) -> bool:
    """Whether this very delivery is closed already. Raises DeliveryRefused when another has taken its name."""
    try:
        there = store.read(bucket, prefix + MANIFEST)
    except NotFound:
        return False
    closed = parse_manifest(there, manifest.tenant, manifest.dataset, manifest.delivery)
    if set(closed.files) != set(manifest.files):
        refuse(
            manifest.delivery,
            f"{manifest.tenant}/{manifest.dataset} has a delivery of this name with other content",
            "a delivery never changes once closed: give this one a new name",
        )
    return True


def _upload(
    store: ObjectStore, bucket: str, prefix: str, manifest: Manifest, stamps: dict[str, _Stamp], progress: Progress
) -> int:
    there = _arrived(store, bucket, prefix)
    if extra := sorted(there - {file.name for file in manifest.files}):
        refuse(
            manifest.delivery,
            f"an unfinished upload of this name left the file {extra[0]!r}, which is not among yours",
            "deliver that file too, or give this delivery a new name",
        )
    sent = 0
    for file in manifest.files:
        if file.name in there and _same(store, bucket, prefix, file):
            progress(file.name, file.size, file.size)
        else:
            _send(store, bucket, prefix, file, stamps[file.name], manifest.delivery, progress)
            sent += 1
    return sent


def _arrived(store: ObjectStore, bucket: str, prefix: str) -> set[str]:
    try:
        return {info.key.removeprefix(prefix) for info in store.list(bucket, prefix)}
    except store.client.exceptions.NoSuchBucket:
        store.ensure_bucket(bucket)
        return set()


def _same(store: ObjectStore, bucket: str, prefix: str, file: DeliveredFile) -> bool:
    head = store.client.head_object(Bucket=bucket, Key=prefix + file.name)
    return (head["ContentLength"], head["Metadata"].get("sha256")) == (file.size, file.sha256)


def _send(
    store: ObjectStore,
    bucket: str,
    prefix: str,
    file: DeliveredFile,
    stamp: _Stamp,
    delivery: str,
    progress: Progress,
) -> None:
    from boto3.s3.transfer import TransferConfig

    store.client.upload_file(
        os.fspath(stamp.path),
        bucket,
        prefix + file.name,
        ExtraArgs={"Metadata": {"sha256": file.sha256}},
        Callback=lambda count: progress(file.name, count, file.size),
        Config=TransferConfig(
            multipart_threshold=MULTIPART_BYTES, multipart_chunksize=MULTIPART_BYTES, max_concurrency=4
        ),
    )
    if _Stamp.of(stamp.path) != stamp:
        # What was sent may be neither the old nor the new file; without it a later call cannot take it for the old one.
        store.client.delete_object(Bucket=bucket, Key=prefix + file.name)
        refuse(delivery, f"the file {file.name!r} changed while it was sent", "deliver again when it is complete")


def _close(store: ObjectStore, bucket: str, prefix: str, manifest: Manifest) -> None:
    try:
        store.put_once(bucket, prefix + MANIFEST, manifest.body())
    except AlreadyExists:
        _closed(store, bucket, prefix, manifest)
