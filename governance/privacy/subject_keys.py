"""Reversible encryption: a key for each subject, in one file a tenant, and the tokens that only it opens.

A subject's key is random and depends on nothing else, so destroying it makes every token under it unreadable for ever,
wherever a copy of the text lies. Encrypting the same text twice under one key gives the same token: the nonce of
AES-GCM is a keyed hash of what is encrypted, so none is ever used for two texts, and a scrub is repeatable.
"""

import base64
import binascii
import hmac
import re
import secrets
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

NONCE_BYTES, KEY_BYTES = 12, 32
WAIT_SECONDS = 60.0  # for another process that writes

SEALED = re.compile(r"\[([A-Z]{2,12}) ~([A-Za-z0-9_-]{38,})\]")


class SubjectKeyError(RuntimeError):
    """A token cannot be opened or a key not be used; the message says which and what to do. Never holds key or text."""


def keys_file(keys_dir: Path, tenant: str) -> Path:
    return keys_dir / f"{tenant}.subjects.sqlite3"


def keys_for(file: Path, subjects: Iterable[str]) -> dict[str, bytes]:
    """The key of each subject, made at its first use. A subject whose key was destroyed has none, and gets none."""
    wanted = sorted(set(subjects))
    with _opened(file) as database:
        new = [(subject, secrets.token_bytes(KEY_BYTES)) for subject in wanted]
        database.executemany("INSERT OR IGNORE INTO keys VALUES (?, ?)", new)
        found = [row for s in wanted for row in database.execute("SELECT * FROM keys WHERE subject = ?", (s,))]
    return {subject: key for subject, key in found if key is not None}


def destroy_key(file: Path, subject: str) -> None:
    """Erase a subject's key for good: what was encrypted under it cannot be read again, and no new key is made."""
    with _opened(file) as database:
        database.execute("INSERT OR REPLACE INTO keys VALUES (?, NULL)", (subject,))


def existing_key(file: Path, subject: str) -> bytes:
    """The key of a subject. Raises SubjectKeyError when there is none, or none any more."""
    if not file.exists():
        raise SubjectKeyError(f"{file} does not exist: nothing of this tenant is encrypted, or its keys are elsewhere")
    with _opened(file) as database:
        row = database.execute("SELECT key FROM keys WHERE subject = ?", (subject,)).fetchone()
    if row is None:
        raise SubjectKeyError(f"subject {subject} has no key in {file}; is it a subject_id of this tenant?")
    if row[0] is None:
        raise SubjectKeyError(f"the key of subject {subject} was destroyed; what it encrypted is gone")
    return bytes(row[0])


@contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    file.touch(mode=0o600)
    if file.stat().st_mode & 0o077:
        raise SubjectKeyError(f"{file} can be read by others; run `chmod 600 {file}`, and think of new keys")
    database = sqlite3.connect(file, timeout=WAIT_SECONDS)
    try:
        # What is deleted is overwritten, and no journal outlives its transaction.
        database.execute("PRAGMA secure_delete = ON")
        database.execute("PRAGMA journal_mode = DELETE")
        with database:
            database.execute("CREATE TABLE IF NOT EXISTS keys (subject TEXT PRIMARY KEY, key BLOB) WITHOUT ROWID")
            yield database
    except sqlite3.DatabaseError as broken:
        raise SubjectKeyError(f"{file} cannot be used ({broken}); restore it from your backup") from broken
    finally:
        database.close()


def seal(key: bytes, entity: str, text: str) -> str:
    """`text` as `[PERSON ~…]`, encrypted and authenticated under a subject's key; bound to its entity."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    raw = text.encode("utf-8", "surrogatepass")
    nonce = hmac.digest(_derived(key, b"nonce"), entity.encode() + b"\0" + raw, "sha256")[:NONCE_BYTES]
    sealed = AESGCM(_derived(key, b"encrypt")).encrypt(nonce, raw, entity.encode())
    return f"[{entity} ~{base64.urlsafe_b64encode(nonce + sealed).decode().rstrip('=')}]"


def reidentify(key: bytes, text: str) -> str:
    """`text` with every token that this subject's key opens replaced by what it stands for; other tokens stay."""

    def opened(token: re.Match[str]) -> str:
        plain = _unsealed(key, token[1], token[2])
        return token[0] if plain is None else plain

    return SEALED.sub(opened, text)


def _unsealed(key: bytes, entity: str, sealed: str) -> str | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    try:
        raw = base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
        plain = AESGCM(_derived(key, b"encrypt")).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], entity.encode())
    except (InvalidTag, binascii.Error):
        return None
    return plain.decode("utf-8", "surrogatepass")


def _derived(key: bytes, purpose: bytes) -> bytes:
    return hmac.digest(key, b"pedigree subject " + purpose, "sha256")
