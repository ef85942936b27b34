"""What is left of a blob that retention removed: under which rule, and the list of all that went with it.

The digest of that list is in the audit log, so nobody passes a lost blob off as an expired one.
"""

import json
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict

from governance.custody.blobs import CENTRAL_BUCKET, Ref, put_bytes, read_blob
from governance.custody.canonical import canonical_json
from governance.custody.store import NotFound, ObjectStore


class Tombstone(BaseModel):
    """`removed`: the list, a blob of the same tenant."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    reason: str
    at: datetime
    removed: Ref


def tombstone_key(tenant: str, sha256: str) -> str:
    """Where the tombstone of a blob stands."""
    return f"{tenant}/tombstones/{sha256}.json"


def list_removed(store: ObjectStore, tenant: str, names: dict[str, str]) -> Ref:
    """Keep the list of what is about to go: its name by sha256; by its name what has no sha256 here."""
    return put_bytes(store, tenant, canonical_json(names))


def bury(store: ObjectStore, tenant: str, sha256: str, tombstone: Tombstone) -> None:
    """Say of a blob that it was removed, before it is."""
    body: dict[str, Any] = tombstone.model_dump(mode="json")
    store.put(CENTRAL_BUCKET, tombstone_key(tenant, sha256), canonical_json(body))


def tombstone_of(store: ObjectStore, tenant: str, sha256: str) -> Tombstone | None:
    """The tombstone of a blob, None where it has none. Raises ValueError where its list does not name the blob."""
    try:
        found = Tombstone.model_validate_json(store.read(CENTRAL_BUCKET, tombstone_key(tenant, sha256)))
    except NotFound:
        return None
    if sha256 not in json.loads(read_blob(store, found.removed)):
        raise ValueError(f"the tombstone of {sha256} leads to a list that does not name it; find out who wrote it")
    return found
