"""Signing keys: EC P-256, one release key a tenant and one a role of the trust repository; and what regions trust.

A private key comes from the environment (a PEM, the path of one, or where it is kept: `awskms:<key id>`, `hsm:…` and
the other private key URIs of securesystemslib), else from the keys folder. It is never logged.
Regions get only the trusted folder: the public release keys, and the root of the trust repository (governance/trust).
"""

import hashlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.durable import create_once

PublicKey = ec.EllipticCurvePublicKey

REGION = ".region"  # a region's key is called `<region>.region`; it signs what that region says of itself
RELEASE = ".release"  # a tenant's key is called `<tenant>.release`
PIN = "PEDIGREE_HSM_PIN"
ROOT_KEYS = ("root-1", "root-2", "root-3")  # meant to lie apart and offline; two of them speak for the root
ROLE_KEYS = (*ROOT_KEYS, "targets", "snapshot", "timestamp", "promotion")


class KeyRefused(RuntimeError):
    """A key is missing or cannot be used; the message names it and the remedy, never its content."""


class PrivateKey(Protocol):
    """What signs: a key in memory, or a KeptKey."""

    def sign(self, data: bytes, signature_algorithm: ec.ECDSA, /) -> bytes: ...

    def public_key(self) -> PublicKey: ...


@dataclass(frozen=True)
class KeptKey:
    """A key that never leaves its KMS or HSM. It signs with SHA-256, as everything here does."""

    uri: str
    public: PublicKey

    @cached_property
    def signer(self) -> Any:
        """The securesystemslib Signer. Raises KeyRefused."""
        from securesystemslib.exceptions import UnsupportedLibraryError
        from securesystemslib.signer import Signer, SSlibKey

        try:
            return Signer.from_priv_key_uri(self.uri, SSlibKey.from_crypto(self.public), _pin)
        except (UnsupportedLibraryError, ValueError) as unusable:
            raise KeyRefused(f"{self.uri} cannot be used: {unusable}") from unusable

    def sign(self, data: bytes, _signature_algorithm: ec.ECDSA, /) -> bytes:
        """Raises KeyRefused."""
        signer = self.signer  # refuses in its own words
        try:
            return bytes.fromhex(signer.sign(data).signature)
        except Exception as refused:  # each library has its own
            raise KeyRefused(f"{self.uri} did not sign: {refused}") from refused

    def public_key(self) -> PublicKey:
        return self.public


@dataclass(frozen=True)
class TrustedKeys:
    """A folder of what is trusted: `root.json`, the first root of the trust repository; its metadata as last seen; and
    `<tenant>.release.pub`, beside it `<tenant>.release.<id>.pub` that were rotated out but whose releases still hold.
    Read at each use, so a new tenant needs no restart."""

    folder: Path

    def release(self, tenant: str) -> tuple[PublicKey, ...]:
        """The keys that sign or signed this tenant's releases, the present one first. Raises KeyRefused."""
        name = release_key_name(tenant)
        former = sorted(self.folder.glob(f"{name}.*.pub"))
        return (read_public(self.folder / f"{name}.pub"), *map(read_public, former))

    def region(self, region: str) -> PublicKey:
        """The key that signs what a region says of itself. Raises KeyRefused."""
        return read_public(self.folder / f"{region}{REGION}.pub")


def trusted_keys(keys_dir: Path) -> TrustedKeys:
    """What `create_keys` and the trust repository left beside the private keys."""
    return TrustedKeys(keys_dir / "trusted")


def release_key(keys_dir: Path, tenant: str) -> PrivateKey:
    """The private key of a tenant's releases: `PEDIGREE_RELEASE_KEY_<TENANT>`, else `<keys_dir>/<tenant>.release.pem`.

    Raises KeyRefused.
    """
    return private_key(keys_dir, release_key_name(tenant))


def release_key_name(tenant: str) -> str:
    """Also the name of the tenant's role in the trust repository. Raises KeyRefused."""
    if not re.fullmatch(r"[a-z][a-z0-9-]*", tenant):
        raise KeyRefused(f"{tenant!r} is not a tenant's name, so it has no release key")
    return f"{tenant}{RELEASE}"


def create_keys(keys_dir: Path, tenants: Iterable[str], regions: Iterable[str] = ()) -> None:
    """Every private key that does not exist yet, mode 0600, and the trusted folder of the public ones.

    An existing key is never replaced; of two processes that create the same key one wins. Raises KeyRefused when a
    trusted public key is not the half of the private key: somebody exchanged one of them.
    """
    (keys_dir / "trusted").mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in [*map(release_key_name, tenants), *(f"{region}{REGION}" for region in regions), *ROLE_KEYS]:
        if not os.environ.get(variable(name)):
            create_key(keys_dir, name)
        if name not in ROLE_KEYS:  # those are named by the trust repository
            public = private_key(keys_dir, name).public_key()
            path = keys_dir / "trusted" / f"{name}.pub"
            create_once(path, public_pem(public), 0o644)
            if read_public(path) != public:
                raise KeyRefused(f"{path} is not the public half of key {name!r}; remove it if that key was rotated")


def create_key(keys_dir: Path, name: str) -> None:
    """The private key of this name, unless there is one."""
    create_once(keys_dir / f"{name}.pem", private_pem(ec.generate_private_key(ec.SECP256R1())), 0o600)


def read_public(path: Path) -> PublicKey:
    """Raises KeyRefused."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except FileNotFoundError as missing:
        raise KeyRefused(f"no trusted key {path}; copy the public key there") from missing
    except ValueError as broken:
        raise KeyRefused(f"{path} is not a public key in PEM; copy it again") from broken
    if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
        raise KeyRefused(f"{path} is not an EC P-256 key; Pedigree signs with no other kind")
    return key


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8 PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> str:
    """What signatures call the key: sha256 of its PEM, as in the key hint of OpenSSF Model Signing."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def private_key(keys_dir: Path, name: str) -> ec.EllipticCurvePrivateKey | KeptKey:
    """The key of this name, `<tenant>.release` or one of ROLE_KEYS. Raises KeyRefused.

    Of a KeptKey the public half lies in `<keys_dir>/<name>.pub`.
    """
    given = os.environ.get(variable(name), "")
    if _is_uri(given):
        return KeptKey(given, read_public(keys_dir / f"{name}.pub"))
    source = f"${variable(name)}" if given else str(keys_dir / f"{name}.pem")
    try:
        inline = given.lstrip().startswith("-----BEGIN")
        pem = given.encode() if inline else Path(given or source).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except OSError as missing:
        raise KeyRefused(
            f"no private key {name!r} at {source} ({missing.strerror}); run `pedigree up`, or set ${variable(name)} "
            "to a PEM or to its path"
        ) from missing
    except (ValueError, TypeError):
        raise KeyRefused(f"{source} is not an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyRefused(f"{source} is not an EC P-256 key; Pedigree signs with no other kind")
    return key


def _is_uri(given: str) -> bool:
    scheme, colon, _ = given.partition(":")
    if not colon or not scheme.isalnum():
        return False  # before the import, which a region would pay for at its first mount
    from securesystemslib.signer import SIGNER_FOR_URI_SCHEME

    return scheme in SIGNER_FOR_URI_SCHEME


def _pin(_asked_for: str) -> str:
    """Of the token that holds a key. Raises KeyRefused."""
    if pin := os.environ.get(PIN):
        return pin
    raise KeyRefused(f"the token's PIN is asked for; set ${PIN}")


def variable(name: str) -> str:
    """The environment variable of a key: `PEDIGREE_RELEASE_KEY_<TENANT>`, `PEDIGREE_<ROLE>_KEY`."""
    tenant = name.removesuffix(RELEASE)
    words = f"RELEASE_KEY_{tenant}" if tenant != name else f"{name}_KEY"
    return f"PEDIGREE_{words.upper().replace('-', '_')}"
