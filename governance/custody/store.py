"""The object store: a thin layer over boto3 with one client, one retry policy, and compare-and-swap.

Keys and buckets only; what an object means is the business of blobs.py and records.py.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

DELETED_AT_ONCE = 1000  # S3 takes no more


class StoreError(RuntimeError):
    """The object store refused or lacks something; the message names bucket and key."""


class NotFound(StoreError):
    pass


class AlreadyExists(StoreError):
    """A write-once key is taken."""


class Conflict(StoreError):
    """Somebody else replaced the object since it was read."""


@dataclass(frozen=True)
class ObjectInfo:
    key: str
    etag: str
    size: int
    last_modified: datetime
    version_id: str | None = None


class ObjectStore:
    """S3 by boto3. Conditional writes use `put_object`; the transfer manager refuses the conditions."""

    def __init__(self, endpoint_url: str | None, access_key: str, secret_key: str, region: str) -> None:
        import boto3
        from botocore.config import Config

        self.client: Any = boto3.client(
            "s3",
            endpoint_url=endpoint_url,
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
            region_name=region,
            config=Config(
                retries={"mode": "standard", "total_max_attempts": 5},
                connect_timeout=5,
                read_timeout=60,
                # By its checksum a server knows a body that was cut off: SeaweedFS would keep an empty object.
                request_checksum_calculation="when_supported",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path"},
            ),
        )

    def ensure_bucket(self, bucket: str, versioned: bool = True) -> None:
        """Create `bucket` if it is missing; switch versioning on."""
        errors = self.client.exceptions
        with contextlib.suppress(errors.BucketAlreadyOwnedByYou, errors.BucketAlreadyExists):
            self.client.create_bucket(Bucket=bucket)
        if versioned:
            self.client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})

    def put_once(self, bucket: str, key: str, body: bytes | IO[bytes]) -> ObjectInfo:
        """Write a key that must not exist yet. Raises AlreadyExists; of two racing writers one wins."""
        return self._put(bucket, key, body, AlreadyExists, IfNoneMatch="*")

    def replace(self, bucket: str, key: str, body: bytes, if_match: str | None) -> ObjectInfo:
        """Write `key` if its etag still is `if_match` (None: if it does not exist). Raises Conflict."""
        condition = {"IfMatch": if_match} if if_match else {"IfNoneMatch": "*"}
        return self._put(bucket, key, body, Conflict, **condition)

    def put(self, bucket: str, key: str, body: bytes | IO[bytes]) -> ObjectInfo:
        """Write `key`, whatever was there."""
        return self._put(bucket, key, body, Conflict)

    def read(self, bucket: str, key: str, version_id: str | None = None) -> bytes:
        """The whole object. Raises NotFound."""
        with self.open(bucket, key, version_id) as stream:
            return stream.read()

    def open(self, bucket: str, key: str, version_id: str | None = None) -> Any:
        """A stream of the object's bytes (botocore StreamingBody). Raises NotFound."""
        return self._get(bucket, key, version_id)["Body"]

    def read_range(self, bucket: str, key: str, start: int, size: int) -> tuple[bytes, int]:
        """Up to `size` bytes from `start`, and the size of the whole object. Raises NotFound."""
        answer = self._get(bucket, key, None, Range=f"bytes={start}-{start + size - 1}")
        return answer["Body"].read(), int(answer["ContentRange"].rpartition("/")[2])

    def read_with_etag(self, bucket: str, key: str) -> tuple[bytes, str]:
        """Body and etag as one consistent pair, for compare-and-swap. Raises NotFound."""
        answer = self._get(bucket, key, None)
        return answer["Body"].read(), answer["ETag"].strip('"')

    def stat(self, bucket: str, key: str) -> ObjectInfo | None:
        """What is at `key` now, or None."""
        try:
            head = self.client.head_object(Bucket=bucket, Key=key)
        except self.client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                return None
            raise
        return ObjectInfo(
            key, head["ETag"].strip('"'), head["ContentLength"], head["LastModified"], head.get("VersionId")
        )

    def list(self, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        """Every object under `prefix`, in key order."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
            for item in page.get("Contents", []):
                yield ObjectInfo(item["Key"], item["ETag"].strip('"'), item["Size"], item["LastModified"])

    def delete(self, bucket: str, key: str, every_version: bool = False) -> None:
        """Remove `key`: behind a delete marker, or with `every_version` for good."""
        if not every_version:
            self.client.delete_object(Bucket=bucket, Key=key)
            return
        for page in self.client.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=key):
            for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
                if version["Key"] == key:
                    self.client.delete_object(Bucket=bucket, Key=key, VersionId=version["VersionId"])

    def delete_all(self, bucket: str, keys: Sequence[str]) -> None:
        """Remove many keys of a bucket without versions. Raises StoreError, having removed what could be."""
        left = []
        for first in range(0, len(keys), DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[first : first + DELETED_AT_ONCE]]
            answer = self.client.delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
            left += answer.get("Errors", [])
        if left:
            one = f"s3://{bucket}/{left[0]['Key']}: {left[0]['Message']}"
            raise StoreError(f"{len(left)} objects could not be deleted, {one}")

    def _get(self, bucket: str, key: str, version_id: str | None, **what: str) -> Any:
        version = {"VersionId": version_id} if version_id else {}
        try:
            return self.client.get_object(Bucket=bucket, Key=key, **version, **what)
        except self.client.exceptions.ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise NotFound(f"s3://{bucket}/{key} does not exist") from error
            raise

    def _put(self, bucket: str, key: str, body: Any, refusal: type[StoreError], **condition: str) -> ObjectInfo:
        try:
            answer = self.client.put_object(Bucket=bucket, Key=key, Body=body, **condition)
        except self.client.exceptions.ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchBucket":
                raise NotFound(f"bucket {bucket} does not exist; `pedigree up` creates it") from error
            # 404: the object that the condition names is gone.
            if condition and error.response["ResponseMetadata"]["HTTPStatusCode"] in (404, 409, 412):
                raise refusal(f"s3://{bucket}/{key} was written by someone else first") from error
            raise
        info = self.stat(bucket, key)
        if info is None:
            raise NotFound(f"s3://{bucket}/{key} vanished right after it was written")
        return ObjectInfo(key, answer["ETag"].strip('"'), info.size, info.last_modified, answer.get("VersionId"))
