import json
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assets.ingestion.delivery import Delivery, deliver
from assets.ingestion.landing import ManifestObject, closed_deliveries
from assets.ingestion.manifest import MANIFEST, landing_bucket
from governance.custody.store import ObjectStore

DATASET = "notes"


class Client:
    """One tenant as its people see Pedigree: files, `deliver`, and any other S3 tool."""

    def __init__(self, store: ObjectStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.tenant = f"t{uuid.uuid4().hex[:12]}"
        self.bucket = landing_bucket(self.tenant)
        store.ensure_bucket(self.bucket)

    def file(self, name: str, body: bytes = b"a,b\n1,2\n") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        return path

    def deliver(self, *paths: Path, name: str | None = None) -> Delivery:
        return deliver(self.store, self.tenant, DATASET, list(paths), name)

    def put(self, delivery: str, name: str, body: bytes) -> None:
        self.store.put(self.bucket, f"{DATASET}/{delivery}/{name}", body)

    def close(self, delivery: str, files: list[dict[str, Any]], **changed: Any) -> ManifestObject:
        """Write a manifest as another tool would."""
        document = {
            "schema": "pedigree/delivery/v1",
            "tenant": self.tenant,
            "dataset": DATASET,
            "delivery": delivery,
            "files": files,
        }
        self.put(delivery, MANIFEST, json.dumps(document | changed).encode())
        return self.closed(delivery)

    def closed(self, delivery: str) -> ManifestObject:
        return next(m for m in closed_deliveries(self.store, self.tenant, DATASET) if m.delivery == delivery)

    @contextmanager
    def counted(self, operation: str) -> Iterator[list[str]]:
        """The keys that `operation` was asked for meanwhile."""
        keys: list[str] = []

        def count(params: dict[str, Any], **_: Any) -> None:
            keys.append(params["Key"])

        with self.hooked(f"before-parameter-build.s3.{operation}", count):
            yield keys

    @contextmanager
    def hooked(self, event: str, handler: Callable[..., None]) -> Iterator[None]:
        events = self.store.client.meta.events
        events.register(event, handler)
        try:
            yield
        finally:
            events.unregister(event, handler)


@pytest.fixture
def client(store: ObjectStore, tmp_path: Path) -> Client:
    return Client(store, tmp_path)
