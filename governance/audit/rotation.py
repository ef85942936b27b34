"""A key is replaced by a fresh one, and the log says so: any key of the trust repository, or the log's own.

The log's own key signs its last entry together with its heir, which signs all that comes after. So whoever trusts the
one finds the other in the log, and a key that was handed over cannot go on: appenders and verifiers refuse it there.
"""

import os
from pathlib import Path

from governance.audit.acts import Act
from governance.audit.checkpoint import is_last
from governance.audit.keys import LOG, log_public, trust_instead
from governance.audit.log import append, read_head
from governance.custody.keys import KeyRefused, create_key, key_id, private_key, trusted_keys, variable
from governance.custody.store import ObjectStore
from governance.trust.keys import next_signer, rotate, take_next


def rotate_key(store: ObjectStore, keys_dir: Path, name: str, who: str, why: str, run: str | None = None) -> None:
    """Cut off at any moment, the same call goes on. Raises KeyRefused, AuditRefused, TrustRefused, TrustConflict."""
    if name == LOG:
        _hand_over(store, keys_dir, who, why, run)
    else:
        next_signer(keys_dir, name)  # refuses what cannot be rotated before anything says that it was
        append(store, keys_dir, Act(what="key rotation", who=who, why=why, key=name), run)
        rotate(store, keys_dir, name)


def _hand_over(store: ObjectStore, keys_dir: Path, who: str, why: str, run: str | None) -> None:
    if os.environ.get(variable(LOG)) or not (keys_dir / f"{LOG}.pem").exists():
        raise KeyRefused(f"key {LOG!r} is not a file of {keys_dir}, so it is not rotated here")
    trusted = trusted_keys(keys_dir)
    create_key(keys_dir, f"{LOG}.next")
    heir, present = private_key(keys_dir, f"{LOG}.next"), log_public(trusted)
    if heir.public_key() != present:
        head = read_head(store, present)
        if not head.note or not is_last(head.note, heir.public_key()):
            digests = {"key": key_id(heir.public_key()), "former": key_id(present)}
            append(store, keys_dir, Act(what="key rotation", who=who, why=why, key=LOG, digests=digests), run, heir)
        trust_instead(trusted, heir.public_key())
    take_next(keys_dir, LOG)
