"""Stage records: the links of the line.

Each stage of a release leaves one canonical JSON document: what it read (digests of the stages before), what it
wrote (named blobs), and facts about it. It holds no clock time, run id or path, so the same input always gives the
same digest; who ran it and when is said by the signed provenance. A record's own digest is the Dagster data version.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from governance.custody.blobs import CENTRAL_BUCKET, Ref, fetch_blob, put_bytes, put_file, read_blob
from governance.custody.canonical import canonical_json
from governance.custody.store import NotFound, ObjectStore
from governance.tenants import Release


class Record(BaseModel):
    """One link. `inputs`: name → reference of the record it came from. `files`: name → blob."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    stage: str
    release: str
    inputs: dict[str, Ref] = {}
    files: dict[str, Ref] = {}
    facts: dict[str, Any] = {}


def release_key(release: Release, name: str) -> str:
    """Where a release keeps its pointer `name` in the central bucket, e.g. a stage's name, `request`."""
    return f"{release.tenant}/{release.task}/releases/{release.number}/{name}.json"


def write_record(store: ObjectStore, record: Record) -> Ref:
    """Store the record as a blob of its tenant; its reference is the stage's output."""
    body = canonical_json(record.model_dump(mode="json"))
    return put_bytes(store, Release.parse(record.release).tenant, body)


def read_record(store: ObjectStore, ref: Ref) -> Record:
    """The record behind `ref`, verified. Raises DigestMismatch, NotFound."""
    return Record.model_validate(json.loads(read_blob(store, ref)))


def point(store: ObjectStore, release: Release, stage: str, ref: Ref) -> None:
    """Say that `ref` is this release's newest output of `stage`."""
    store.put(CENTRAL_BUCKET, release_key(release, stage), canonical_json(ref.model_dump()))


def pointed(store: ObjectStore, release: Release, stage: str) -> Ref:
    """This release's output of `stage`. Raises NotFound naming the stage to materialize."""
    try:
        return Ref.model_validate_json(store.read(CENTRAL_BUCKET, release_key(release, stage)))
    except NotFound as missing:
        raise NotFound(f"{release} has no {stage} yet; materialize {stage} for it first") from missing


def fetch_files(store: ObjectStore, record: Record, folder: Path) -> dict[str, Path]:
    """Every file of the record under `folder`, verified: name → path."""
    for name, ref in record.files.items():
        fetch_blob(store, ref, folder / name)
    return {name: folder / name for name in record.files}


class CheckFailed(RuntimeError):
    """A stage's output failed its own checks, so nothing may be built on it."""


def publish(
    store: ObjectStore,
    release: Release,
    stage: str,
    inputs: Mapping[str, Ref],
    files: Mapping[str, Path],
    facts: Mapping[str, Any],
) -> Ref:
    """Store a stage's files, then its record: the reference is the stage's output."""
    blobs = {name: put_file(store, release.tenant, path) for name, path in sorted(files.items())}
    return write_record(
        store, Record(stage=stage, release=str(release), inputs=dict(inputs), files=blobs, facts=dict(facts))
    )


def read_passed(store: ObjectStore, ref: Ref) -> Record:
    """The record behind `ref`, if its checks passed. A blocking check of Dagster binds one run only; this binds all.

    Raises CheckFailed naming the checks, DigestMismatch, NotFound.
    """
    record = read_record(store, ref)
    if failed := sorted(name for name, passed in record.facts.get("checks", {}).items() if not passed):
        raise CheckFailed(
            f"{record.stage} of {record.release} failed {', '.join(failed)}; mend the delivery and build a new release"
        )
    return record
