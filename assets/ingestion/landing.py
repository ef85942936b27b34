"""Reading a tenant's landing bucket: which deliveries are closed, and what lies under one."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from assets.ingestion.manifest import MANIFEST, landing_bucket, slug
from governance.custody.store import ObjectStore


@dataclass(frozen=True)
class LandedObject:
    """The newest version of one object of a landing bucket."""

    key: str
    etag: str
    version_id: str
    last_modified: datetime
    size: int


@dataclass(frozen=True)
class ManifestObject:
    """The object that closes a delivery: `<dataset>/<delivery>/_MANIFEST.json` in the tenant's landing bucket."""

    key: str
    etag: str
    version_id: str
    last_modified: datetime

    @property
    def dataset(self) -> str:
        return self.key.split("/")[0]

    @property
    def delivery(self) -> str:
        return self.key.split("/")[1]


def closed_deliveries(store: ObjectStore, tenant: str, dataset: str) -> list[ManifestObject]:
    """Every closed delivery of the dataset, oldest first; those of the same second by key."""
    found = [
        ManifestObject(o.key, o.etag, o.version_id, o.last_modified)
        for o in landed(store, tenant, f"{slug('dataset', dataset)}/")
        if o.key.count("/") == 2 and o.key.endswith(f"/{MANIFEST}")
    ]
    return sorted(found, key=lambda manifest: (manifest.last_modified, manifest.key))


def landed(store: ObjectStore, tenant: str, prefix: str) -> list[LandedObject]:
    """What lies under `prefix` now, with version ids; nothing for a tenant that never delivered."""
    pages = store.client.get_paginator("list_object_versions")
    try:
        versions: list[dict[str, Any]] = [
            version
            for page in pages.paginate(Bucket=landing_bucket(tenant), Prefix=prefix)
            for version in page.get("Versions", [])
            if version["IsLatest"]
        ]
    except store.client.exceptions.NoSuchBucket:
        return []
    return [
        LandedObject(v["Key"], v["ETag"].strip('"'), v["VersionId"], v["LastModified"], v["Size"]) for v in versions
    ]
