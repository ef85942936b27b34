"""The log's own keys: one signs its checkpoints, and each region has one to countersign them with.

A region's key lies under the region's root, apart from the keys folder: whoever takes the one has not the other.
"""

import os
from collections.abc import Mapping
from pathlib import Path

from governance.custody.durable import create_once, replace
from governance.custody.keys import (
    KeyRefused,
    PrivateKey,
    PublicKey,
    TrustedKeys,
    create_key,
    key_id,
    private_key,
    public_pem,
    read_public,
    trusted_keys,
    variable,
)

LOG = "audit"


def log_key(keys_dir: Path) -> PrivateKey:
    """The key that signs checkpoints: `PEDIGREE_AUDIT_KEY`, else `<keys_dir>/audit.pem`. Raises KeyRefused."""
    return private_key(keys_dir, LOG)


def log_public(trusted: TrustedKeys) -> PublicKey:
    """The key that signs the log now. Raises KeyRefused."""
    return read_public(trusted.folder / f"{LOG}.pub")


def former_log_keys(trusted: TrustedKeys) -> list[PublicKey]:
    """Those that signed it before. Raises KeyRefused."""
    return [read_public(path) for path in trusted.folder.glob(f"{LOG}.*.pub")]


def trust_instead(trusted: TrustedKeys, key: PublicKey) -> None:
    """From now on `key` is the log's; the one so far is kept, as `audit.<id>.pub`."""
    former = log_public(trusted)
    create_once(trusted.folder / f"{LOG}.{key_id(former)}.pub", public_pem(former), 0o644)
    replace(trusted.folder / f"{LOG}.pub", public_pem(key))


def witness_folder(region_root: Path) -> Path:
    """Where a region keeps its key and the last checkpoint that it countersigned."""
    return region_root / "witness"


def witness_key(region_root: Path, region: str) -> PrivateKey:
    """`PEDIGREE_WITNESS_<REGION>_KEY`, else a file under the region's root. Raises KeyRefused."""
    return private_key(witness_folder(region_root), _witness(region))


def witness_public(trusted: TrustedKeys, region: str) -> PublicKey:
    """Raises KeyRefused."""
    return read_public(trusted.folder / f"{_witness(region)}.pub")


def create_audit_keys(keys_dir: Path, region_roots: Mapping[str, Path]) -> None:
    """The log's key and every region's, as far as they are missing, and their public halves in the trusted folder.

    A region that lost its key gets another one, which nobody trusts until the old public half is removed by a person:
    with the key went what the region had seen. Raises KeyRefused when the log's own two halves do not fit.
    """
    trusted = trusted_keys(keys_dir)
    trusted.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _create(keys_dir, LOG, trusted)
    if log_public(trusted) != log_key(keys_dir).public_key():
        raise KeyRefused(f"{trusted.folder}/{LOG}.pub is not the public half of key {LOG!r}; put the old key back")
    for region, root in region_roots.items():
        witness_folder(root).mkdir(parents=True, exist_ok=True, mode=0o700)
        _create(witness_folder(root), _witness(region), trusted)


def _create(folder: Path, name: str, trusted: TrustedKeys) -> None:
    if not os.environ.get(variable(name)):
        create_key(folder, name)
    create_once(trusted.folder / f"{name}.pub", public_pem(private_key(folder, name).public_key()), 0o644)


def _witness(region: str) -> str:
    return f"witness-{region}"
