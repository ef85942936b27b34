"""The signature of a release folder: OpenSSF Model Signing 1.1.1 with an EC P-256 key, in a Sigstore bundle.

The reference library signs, and its `model_signing verify key` accepts every release. Verification here reads the
same bundle with `cryptography` alone: importing the library costs a second, and a region verifies at every mount.
"""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from governance.custody.keys import PrivateKey, PublicKey, key_id
from governance.custody.statements import StatementRefused, open_envelope

SIGNATURE = "model.sig"
UNSIGNED = ("attestations", SIGNATURE)  # what the signature does not cover; it names them, so every verifier knows

_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_PREDICATE = "https://model_signing/signature/v1.0"


class SignatureRefused(ValueError):
    """A model signature is not valid under this key; the message says why."""


def sign_folder(folder: Path, key: PrivateKey) -> None:
    """Sign every file of `folder` but the attestations; leaves `model.sig` in it."""
    from model_signing import hashing, signing
    from model_signing._signing.sign_ec_key import Signer

    signer = Signer.__new__(Signer)
    signer._private_key = cast(Any, key)  # the library reads one only from a path, and ours may never leave its KMS
    config = signing.Config()
    config._signer = signer
    paths = hashing.Config().set_ignored_paths(paths=UNSIGNED, ignore_git_paths=False)
    config.set_hashing_config(paths).sign(folder, folder / SIGNATURE)


def signer_of(signature: bytes, keys: Sequence[PublicKey]) -> PublicKey:
    """Which of the keys made this signature, as it says itself. Raises SignatureRefused."""
    _, hint = _parse(signature)
    for key in keys:
        if hint == key_id(key):
            return key
    trusted = ", ".join(f"{key_id(key)[:16]}…" for key in keys)
    raise SignatureRefused(f"was made with another key: {str(hint)[:16]}…, trusted is {trusted}")


def signed_files(signature: bytes, key: PublicKey) -> dict[str, str]:
    """What the signature vouches for: file name → sha256 (hex). Raises SignatureRefused."""
    envelope, _ = _parse(signature)
    signer_of(signature, [key])
    try:
        return _resources(json.loads(open_envelope(envelope, key)))
    except StatementRefused as refused:
        raise SignatureRefused(str(refused)) from refused
    except (ValueError, KeyError, TypeError) as broken:
        raise SignatureRefused(f"signs something that is not a model: {broken}") from broken


def _parse(signature: bytes) -> tuple[Any, Any]:
    """The DSSE envelope and the hint of its key."""
    try:
        bundle = json.loads(signature)
        media_type, hint = bundle["mediaType"], bundle["verificationMaterial"]["publicKey"]["hint"]
        envelope = bundle["dsseEnvelope"]
    except (ValueError, KeyError, TypeError, RecursionError) as broken:
        raise SignatureRefused("is not a Sigstore bundle of a key's signature") from broken
    if media_type != _BUNDLE:
        raise SignatureRefused(f"is a bundle of type {media_type!r}, expected was {_BUNDLE}")
    return envelope, hint


def _resources(said: dict[str, Any]) -> dict[str, str]:
    predicate = said["predicate"]
    form = (said["_type"], said["predicateType"], predicate["serialization"]["method"])
    if form != ("https://in-toto.io/Statement/v1", _PREDICATE, "files"):
        raise ValueError(f"its form is {form}")
    resources = predicate["resources"]
    if any(resource["algorithm"] != "sha256" for resource in resources):
        raise ValueError("a file has no sha256")
    digests = {resource["name"]: resource["digest"] for resource in resources}
    root = hashlib.sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()
    if len(digests) != len(resources) or said["subject"][0]["digest"]["sha256"] != root:
        raise ValueError("its root digest is not that of its files")
    return digests
