"""Signing keys: EC P-256, one release key a tenant and one promotion key; and the public halves that regions trust.

A private key comes from the environment (a PEM, or the path of one), else from the keys folder. It is never logged.
Regions get only the folder of public keys.
"""

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PrivateKey = ec.EllipticCurvePrivateKey
PublicKey = ec.EllipticCurvePublicKey

PROMOTION = "promotion"


class KeyRefused(RuntimeError):
    """A key is missing or cannot be used; the message names it and the remedy, never its content."""


@dataclass(frozen=True)
class TrustedKeys:
    """A folder of public keys: `<tenant>.release.pub` and `promotion.pub`. Read at each use, so a new tenant needs no
    restart."""

    folder: Path

    def release(self, tenant: str) -> PublicKey:
        """The key that signs this tenant's releases. Raises KeyRefused."""
        return self._read(_release_name(tenant))

    def promotion(self) -> PublicKey:
        """The key that signs live pointers. Raises KeyRefused."""
        return self._read(PROMOTION)

    def _read(self, name: str) -> PublicKey:
        path = self.folder / f"{name}.pub"
        try:
            key = serialization.load_pem_public_key(path.read_bytes())
        except FileNotFoundError as missing:
            raise KeyRefused(f"no trusted key {path}; copy the public key there") from missing
        except ValueError as broken:
            raise KeyRefused(f"{path} is not a public key in PEM; copy it again") from broken
        if not isinstance(key, ec.EllipticCurvePublicKey) or key.curve.name != "secp256r1":
            raise KeyRefused(f"{path} is not an EC P-256 key; Pedigree signs with no other kind")
        return key


def trusted_keys(keys_dir: Path) -> TrustedKeys:
    """The public keys that `create_keys` left beside the private ones."""
    return TrustedKeys(keys_dir / "trusted")


def release_key(keys_dir: Path, tenant: str) -> PrivateKey:
    """The private key of a tenant's releases: `PEDIGREE_RELEASE_KEY_<TENANT>`, else `<keys_dir>/<tenant>.release.pem`.

    Raises KeyRefused.
    """
    return _private(keys_dir, _release_name(tenant))


def promotion_key(keys_dir: Path) -> PrivateKey:
    """The private key of live pointers: `PEDIGREE_PROMOTION_KEY`, else `<keys_dir>/promotion.pem`.

    Raises KeyRefused.
    """
    return _private(keys_dir, PROMOTION)


def create_keys(keys_dir: Path, tenants: Iterable[str]) -> None:
    """Every private key that does not exist yet, mode 0600, and the trusted folder of their public halves.

    An existing key is never replaced; of two processes that create the same key one wins. Raises KeyRefused when a
    trusted public key is not the half of the private key: somebody exchanged one of them.
    """
    (keys_dir / "trusted").mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in [*map(_release_name, tenants), PROMOTION]:
        if not os.environ.get(_variable(name)):
            _create_once(keys_dir / f"{name}.pem", private_pem(ec.generate_private_key(ec.SECP256R1())), 0o600)
        public = _private(keys_dir, name).public_key()
        path = keys_dir / "trusted" / f"{name}.pub"
        _create_once(path, public_pem(public), 0o644)
        if TrustedKeys(path.parent)._read(name) != public:
            raise KeyRefused(f"{path} is not the public half of key {name!r}; remove it if that key was rotated")


def private_pem(key: PrivateKey) -> bytes:
    """PKCS #8 PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def key_id(key: PublicKey) -> str:
    """What signatures call the key: sha256 of its PEM, as in the key hint of OpenSSF Model Signing."""
    return hashlib.sha256(public_pem(key)).hexdigest()


def _private(keys_dir: Path, name: str) -> PrivateKey:
    given = os.environ.get(_variable(name), "")
    source = f"${_variable(name)}" if given else str(keys_dir / f"{name}.pem")
    try:
        inline = given.lstrip().startswith("-----BEGIN")
        pem = given.encode() if inline else Path(given or source).read_bytes()
        key = serialization.load_pem_private_key(pem, password=None)
    except OSError as missing:
        raise KeyRefused(
            f"no private key {name!r} at {source} ({missing.strerror}); run `pedigree up`, or set ${_variable(name)} "
            "to a PEM or to its path"
        ) from missing
    except (ValueError, TypeError):
        raise KeyRefused(f"{source} is not an unencrypted private key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise KeyRefused(f"{source} is not an EC P-256 key; Pedigree signs with no other kind")
    return key


def _release_name(tenant: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]*", tenant):
        raise KeyRefused(f"{tenant!r} is not a tenant's name, so it has no release key")
    return f"{tenant}.release"


def _variable(name: str) -> str:
    tenant = name.removesuffix(".release")
    return "PEDIGREE_PROMOTION_KEY" if name == PROMOTION else f"PEDIGREE_RELEASE_KEY_{tenant.upper().replace('-', '_')}"


def _create_once(path: Path, body: bytes, mode: int) -> None:
    # A link appears whole or not at all, and never over another file: two `up` at once end with one key.
    descriptor, partial = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(body)
            file.flush()
            os.fsync(descriptor)
        Path(partial).chmod(mode)
        with contextlib.suppress(FileExistsError):
            os.link(partial, path)
    finally:
        Path(partial).unlink()
