"""Who signs for a role: its key (governance/custody/keys.py), as TUF wants it."""

from pathlib import Path

from securesystemslib.signer import CryptoSigner, Signer

from governance.custody.keys import KeptKey, private_key


def signer(keys_dir: Path, name: str) -> Signer:
    """The signer of the key called `name`. Raises KeyRefused."""
    key = private_key(keys_dir, name)
    return key.signer if isinstance(key, KeptKey) else CryptoSigner(key)
