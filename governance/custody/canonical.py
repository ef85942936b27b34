"""Canonical JSON (RFC 8785) and sha256: the one way Pedigree turns a document or a file into a digest."""

import hashlib
from pathlib import Path
from typing import Any

import rfc8785

CHUNK = 1 << 20


def canonical_json(document: Any) -> bytes:
    """`document` as RFC 8785 bytes: the same document always gives the same bytes."""
    return rfc8785.dumps(document)


def sha256_bytes(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def sha256_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_document(document: Any) -> str:
    return sha256_bytes(canonical_json(document))
