"""Content-addressed objects: a blob's name is its sha256, so a blob is written once and can always be checked."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from governance.custody.canonical import CHUNK, sha256_bytes, sha256_file
from governance.custody.store import AlreadyExists, ObjectStore, StoreError

CENTRAL_BUCKET = "pedigree"


class DigestMismatch(StoreError):
    """Bytes are not what their digest says: they were changed after they were written."""


class Ref(BaseModel):
    """A reference to immutable bytes: where they lie, their sha256 (hex) and their size in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    uri: str
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int

    @property
    def bucket_and_key(self) -> tuple[str, str]:
        bucket, _, key = self.uri.removeprefix("s3://").partition("/")
        return bucket, key


def blob_key(tenant: str, sha256: str) -> str:
    return f"{tenant}/blobs/sha256/{sha256[:2]}/{sha256}"


def blob_ref(tenant: str, sha256: str, size: int) -> Ref:
    """The reference that a blob of this digest has, whether or not it is there."""
    return Ref(uri=f"s3://{CENTRAL_BUCKET}/{blob_key(tenant, sha256)}", sha256=sha256, size=size)


def put_bytes(store: ObjectStore, tenant: str, body: bytes) -> Ref:
    """Store `body` under its digest in the tenant's prefix; costs one HEAD when it is already there."""
    ref = blob_ref(tenant, sha256_bytes(body), len(body))
    _put_if_absent(store, ref, body)
    return ref


def put_file(store: ObjectStore, tenant: str, path: Path) -> Ref:
    """Store the file at `path` under its digest, streamed."""
    ref = blob_ref(tenant, sha256_file(path), path.stat().st_size)
    _put_if_absent(store, ref, path)
    return ref


def read_blob(store: ObjectStore, ref: Ref) -> bytes:
    """The blob's bytes, verified. Raises DigestMismatch, NotFound."""
    body = store.read(*ref.bucket_and_key)
    if (found := sha256_bytes(body)) != ref.sha256:
        raise DigestMismatch(_mismatch(ref, found))
    return body


def fetch_blob(store: ObjectStore, ref: Ref, path: Path) -> None:
    """Write the blob to `path`, verified before it takes that name. Raises DigestMismatch, NotFound."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with store.open(*ref.bucket_and_key) as stream, partial.open("wb") as file:
            while chunk := stream.read(CHUNK):
                file.write(chunk)
        if (found := sha256_file(partial)) != ref.sha256:
            raise DigestMismatch(_mismatch(ref, found))
        partial.rename(path)
    finally:
        partial.unlink(missing_ok=True)


def _put_if_absent(store: ObjectStore, ref: Ref, body: bytes | Path) -> None:
    bucket, key = ref.bucket_and_key
    if (there := store.stat(bucket, key)) and there.size == ref.size:
        return
    try:
        if isinstance(body, bytes):
            store.put_once(bucket, key, body)
        else:
            with body.open("rb") as file:
                store.put_once(bucket, key, file)
    except AlreadyExists:
        there = store.stat(bucket, key)
        if there is None or there.size != ref.size:
            raise DigestMismatch(
                f"{ref.uri} holds {there.size if there else 'no'} bytes, its digest belongs to {ref.size}; "
                "someone wrote under a content address; restore the object's first version"
            ) from None


def _mismatch(ref: Ref, found: str) -> str:
    return (
        f"{ref.uri} was altered: its sha256 is {found[:16]}…, recorded was {ref.sha256[:16]}…; "
        "restore the object's first version from the bucket's history"
    )
