"""The central object store as a server's environment names it: PEDIGREE_S3_ENDPOINT, …_ACCESS_KEY, …_SECRET_KEY."""

import os

from governance.custody.store import ObjectStore


def central_store() -> ObjectStore:
    """Without an endpoint: AWS. Raises KeyError without credentials."""
    said = os.environ
    return ObjectStore(
        said.get("PEDIGREE_S3_ENDPOINT") or None,
        said["PEDIGREE_S3_ACCESS_KEY"],
        said["PEDIGREE_S3_SECRET_KEY"],
        said.get("PEDIGREE_S3_REGION", "us-east-1"),
    )
