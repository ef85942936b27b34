"""A store of its own on a real server: every key lies under a prefix, so a test may harm what it likes."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from governance.custody.store import ObjectInfo, ObjectStore


class StoreApart(ObjectStore):
    def __init__(self, store: ObjectStore, prefix: str) -> None:
        self.client, self.prefix = store.client, prefix

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        found = super().stat(bucket, self._inside(key))
        return found and replace(found, key=key)

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        for info in super().list(bucket, self.prefix + prefix):
            yield replace(info, key=info.key.removeprefix(self.prefix))

    def delete(self, bucket: str, key: str, every_version: bool = False) -> None:
        super().delete(bucket, self._inside(key), every_version)

    def delete_all(self, bucket: str, keys: Sequence[str]) -> None:
        super().delete_all(bucket, [self._inside(key) for key in keys])

    def _get(self, bucket: str, key: str, version_id: str | None, **what: str) -> Any:
        return super()._get(bucket, self._inside(key), version_id, **what)

    def _put(self, bucket: str, key: str, body: Any, *refusal: Any, **condition: str) -> ObjectInfo:
        return super()._put(bucket, self._inside(key), body, *refusal, **condition)

    def _inside(self, key: str) -> str:
        return key if key.startswith(self.prefix) else self.prefix + key
