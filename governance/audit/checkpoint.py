"""Signed checkpoints: how many entries the log has and the root over them, in the C2SP text form that others read.

A checkpoint is a signed note (c2sp.org/tlog-checkpoint, c2sp.org/signed-note): three lines, an empty one, and one line
a signature. The signatures are ECDSA over P-256 with SHA-256, type 0x02 of that document. The log signs first; a
region that has checked the log adds its own line.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.keys import PrivateKey, PublicKey

ORIGIN = "pedigree/audit"  # names the log, and the key that signs its checkpoints

_BODY = re.compile(rf"{re.escape(ORIGIN)}\n(0|[1-9][0-9]*)\n([A-Za-z0-9+/]{{43}}=)\n")
_SIGNATURE = re.compile(r"— (\S+) (\S+)")


def witness_name(region: str) -> str:
    """What a region's signature on a checkpoint is called."""
    return f"{ORIGIN}/witness/{region}"


class AuditRefused(ValueError):
    """The audit log is not what was signed or seen before; the message says where and what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """`size` entries, and the Merkle root over them."""

    size: int
    root: bytes

    @property
    def text(self) -> str:
        """What is signed."""
        return f"{ORIGIN}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def signed(checkpoint: Checkpoint, key: PrivateKey, heir: PrivateKey | None = None) -> str:
    """The checkpoint as a note signed by the log; last by `heir`, the key that signs what comes after."""
    lines = [_signature_line(checkpoint.text, ORIGIN, each) for each in (key, heir) if each]
    return f"{checkpoint.text}\n{''.join(lines)}"


def is_last(note: str, key: PublicKey) -> bool:
    """Whether `key` is the log's after this checkpoint: it signed last by the log's name."""
    text, lines = _parts(note)
    of_log = [signature for name, signature in _signatures(lines) if name == ORIGIN]
    return bool(of_log) and _holds(of_log[-1], text, key)


def countersigned(note: str, name: str, key: PrivateKey) -> str:
    """The note with one more signature, by `name`."""
    text, _ = _parts(note)
    return f"{note}{_signature_line(text, name, key)}"


def opened(note: str, name: str, key: PublicKey) -> Checkpoint:
    """The checkpoint in a note, if `name` signed it with `key`. Raises AuditRefused."""
    text, lines = _parts(note)
    if not (body := _BODY.fullmatch(text)):
        raise AuditRefused(f"it is not a checkpoint of {ORIGIN}")
    checkpoint = Checkpoint(int(body[1]), base64.b64decode(body[2]))
    if any(signer == name and _holds(signature, text, key) for signer, signature in _signatures(lines)):
        return checkpoint
    raise AuditRefused(f"it is not signed by {name}: it was edited, or another key signed it")


def merged(note: str, others: list[str]) -> str:
    """The note with the signatures that `others`, of the same text, have beside its own."""
    text, lines = _parts(note)
    more = [line for other in others for line in _parts(other)[1] if _parts(other)[0] == text]
    return f"{text}\n" + "".join(f"{line}\n" for line in dict.fromkeys([*lines, *more]))


def signers(note: str) -> list[str]:
    """Who signed, by their own word: nothing is verified here."""
    return [name for name, _ in _signatures(_parts(note)[1])]


def _signature_line(text: str, name: str, key: PrivateKey) -> str:
    signature = key.sign(text.encode(), ec.ECDSA(hashes.SHA256()))
    return f"— {name} {base64.b64encode(_hint(key.public_key()) + signature).decode()}\n"


def _holds(signature: bytes, text: str, key: PublicKey) -> bool:
    """Whether a signature, its key's hint before it, is that of the key."""
    if signature[:4] != _hint(key):
        return False
    try:
        key.verify(signature[4:], text.encode(), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True


def _hint(key: PublicKey) -> bytes:
    """The key ID of signature type 0x02: the first bytes of the sha256 of the public key in DER."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return sha256(der).digest()[:4]


def _parts(note: str) -> tuple[str, list[str]]:
    """The signed text, with its last newline, and the lines of the signatures."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise AuditRefused("it is not a signed note")
    return f"{text}\n", signatures.splitlines()


def _signatures(lines: list[str]) -> Iterator[tuple[str, bytes]]:
    for line in lines:
        if not (parsed := _SIGNATURE.fullmatch(line)):
            raise AuditRefused("it is not a signed note")
        try:
            yield parsed[1], base64.b64decode(parsed[2], validate=True)
        except binascii.Error as broken:
            raise AuditRefused("it is not a signed note") from broken
