"""Keyed names for people: subject and record UUIDs, tokens in a text, and the tenant's key that they all hang on.

Everything here is HMAC-SHA256 under a tenant's key: the same person has the same name in every delivery of a tenant,
another one at another tenant, and without the key nothing can be guessed or recomputed. Losing the key loses the link;
destroying it is how the link is erased.
"""

import hashlib
import hmac
import os
import secrets
import uuid
from pathlib import Path

from governance.custody.durable import create_once
from governance.privacy.names import fold, normal_name

KEY_BYTES = 32
MOST_DAYS = 365  # by which a subject's dates are moved


class TenantKeyError(RuntimeError):
    """A tenant's privacy key cannot be used; the message says which and what to do. Never holds key material."""


def load_tenant_key(keys_dir: Path, tenant: str) -> bytes:
    """The tenant's 32 bytes, from PEDIGREE_PRIVACY_KEY_<TENANT> (hex), else `<keys_dir>/<tenant>.privacy.key`.

    Raises TenantKeyError: a missing key is never made here, since a new one would rename every person of the tenant.
    """
    variable, path = f"PEDIGREE_PRIVACY_KEY_{tenant.upper().replace('-', '_')}", _key_file(keys_dir, tenant)
    if (given := os.environ.get(variable)) is not None:
        return _parse(given, f"environment variable {variable}")
    try:
        with path.open() as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise TenantKeyError(f"{path} can be read by others; run `chmod 600 {path}`, and think of a new key")
            return _parse(file.read(), str(path))
    except FileNotFoundError:
        raise TenantKeyError(
            f"tenant {tenant!r} has no privacy key; set {variable} (64 hex digits) or restore {path} from your backup. "
            "A new key would give every person of this tenant a new pseudonym"
        ) from None


def create_tenant_key(keys_dir: Path, tenant: str) -> bytes:
    """Make the key of a new tenant, once, readable by its owner only. Raises TenantKeyError if there is one already."""
    keys_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    path, key = _key_file(keys_dir, tenant), secrets.token_bytes(KEY_BYTES)
    if not create_once(path, key.hex().encode() + b"\n", 0o600):
        raise TenantKeyError(f"tenant {tenant!r} has a privacy key already in {path}; it is kept")
    return key


def _key_file(keys_dir: Path, tenant: str) -> Path:
    return keys_dir / f"{tenant}.privacy.key"


def _parse(text: str, source: str) -> bytes:
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise TenantKeyError(
            f"the privacy key in {source} is not {2 * KEY_BYTES} hex digits; restore it from your backup"
        )
    return key


def subject_id(key: bytes, identifier: str) -> str:
    """UUID (version 8) of the person that the subject column names; case, spacing and Unicode form do not matter."""
    return _uuid(key, "subject", " ".join(fold(identifier).split()))


def record_id(key: bytes, delivery: str, file: str, row: int) -> str:
    """UUID (version 8) of one row of one delivered file."""
    return _uuid(key, "record", delivery, file, str(row))


def token(key: bytes, entity: str, text: str) -> str:
    """What stands for `text`: a typed token as `[PERSON 4F7A2C]`, alike for all spellings of one person.

    `Wilson, Thomas`, `THOMAS WILSON` and `Mr. Thomas Wilson` are alike; a surname alone is another name, unless the
    caller knows whom it means and passes the full one.
    """
    return f"[{entity} {keyed(key, 'surrogate', entity, normal_form(entity, text)).hex()[:6].upper()}]"


def days_of(key: bytes, subject: str) -> int:
    """By how many days the dates of a subject are moved: never 0, at most a year either way."""
    days = int.from_bytes(keyed(key, "days", subject)[:8]) % (2 * MOST_DAYS)
    return days - MOST_DAYS if days < MOST_DAYS else days - MOST_DAYS + 1


def normal_form(entity: str, text: str) -> str:
    """What all spellings of an identifier have in common."""
    if entity == "PERSON":
        return normal_name(text)
    compact = "".join(c for c in fold(text) if c.isalnum())
    # The last eight digits are what a number has in common with and without its country and trunk prefix.
    return "".join(c for c in compact if c.isdecimal())[-8:] if entity == "PHONE" else compact


def keyed(key: bytes, *parts: str) -> bytes:
    """32 bytes that only the key and these parts give."""
    # Lengths come first, so that no two lists of parts give the same message.
    message = b"".join(len(raw).to_bytes(8, "big") + raw for raw in (p.encode("utf-8", "surrogatepass") for p in parts))
    return hmac.digest(key, message, hashlib.sha256)


def _uuid(key: bytes, *parts: str) -> str:
    raw = bytearray(keyed(key, *parts)[:16])
    raw[6], raw[8] = raw[6] & 0x0F | 0x80, raw[8] & 0x3F | 0x80
    return str(uuid.UUID(bytes=bytes(raw)))
