"""Who signs for a role: a key of a file or of the environment, or one that never leaves its KMS or HSM.

`PEDIGREE_<ROLE>_KEY=awskms:<key id>` (also gcpkms:, azurekms:, hv:, hsm:) is securesystemslib's private key URI; the
public half lies in `<keys_dir>/<name>.pub`. Tenants' release keys stay files or variables: OpenSSF Model Signing
signs with nothing else here.
"""

import os
from pathlib import Path

from securesystemslib.signer import SIGNER_FOR_URI_SCHEME, CryptoSigner, Key, Signer, SSlibKey

from governance.custody.keys import PublicKey, private_key, read_public, variable


def signer(keys_dir: Path, name: str) -> Signer:
    """The signer of the key called `name`. Raises KeyRefused."""
    given = os.environ.get(variable(name), "")
    if given.partition(":")[0] in SIGNER_FOR_URI_SCHEME:
        return Signer.from_priv_key_uri(given, tuf_key(read_public(keys_dir / f"{name}.pub")))
    return CryptoSigner(private_key(keys_dir, name))


def tuf_key(public: PublicKey) -> Key:
    """The key as TUF metadata holds it."""
    return SSlibKey.from_crypto(public)
