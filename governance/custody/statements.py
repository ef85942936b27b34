"""Signed statements: in-toto Statement v1 in a DSSE envelope, signed with EC P-256 and SHA-256.

What a statement says is the business of provenance.py, sbom.py and live.py; here only its form and its signature.
https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md, https://github.com/secure-systems-lab/dsse
"""

import base64
import binascii
import json
from typing import Any, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from governance.custody.canonical import canonical_json
from governance.custody.keys import PrivateKey, PublicKey, key_id

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class StatementRefused(ValueError):
    """An envelope is not a statement by this key about this subject; the message says why."""


class Subject(BaseModel):
    model_config = ConfigDict(frozen=True)
    name: str
    digest: dict[str, str]


class Statement(BaseModel):
    """`predicate` holds what is said about `subject`, in the form that `predicateType` names."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)
    type: Literal["https://in-toto.io/Statement/v1"] = Field("https://in-toto.io/Statement/v1", alias="_type")
    subject: tuple[Subject, ...]
    predicate_type: str = Field(alias="predicateType")
    predicate: dict[str, Any]


def statement(name: str, sha256: str, predicate_type: str, predicate: dict[str, Any]) -> Statement:
    """What is said about one thing called `name` of this digest."""
    subject = Subject(name=name, digest={"sha256": sha256})
    return Statement(subject=(subject,), predicate_type=predicate_type, predicate=predicate)


def sign_statement(said: Statement, key: PrivateKey) -> bytes:
    """The DSSE envelope, as JSON."""
    payload = canonical_json(said.model_dump(mode="json", by_alias=True))
    signature = key.sign(_pae(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    return canonical_json(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [{"keyid": key_id(key.public_key()), "sig": base64.b64encode(signature).decode()}],
        }
    )


def open_statement(envelope: bytes, key: PublicKey, predicate_type: str) -> Statement:
    """The statement inside, if `key` signed it and it is of this type. Raises StatementRefused."""
    payload = open_envelope(_parse(envelope), key)
    try:
        said = Statement.model_validate(_parse(payload))
    except ValidationError as invalid:
        fault = invalid.errors()[0]
        raise StatementRefused(f"is not an in-toto statement: {fault['loc']}: {fault['msg']}") from invalid
    if said.predicate_type != predicate_type:
        raise StatementRefused(f"says {said.predicate_type}, expected was {predicate_type}")
    return said


def open_envelope(envelope: Any, key: PublicKey) -> bytes:
    """The payload of a parsed DSSE envelope, if `key` signed it. Raises StatementRefused."""
    try:
        payload = base64.b64decode(envelope["payload"], validate=True)
        payload_type = envelope["payloadType"]
        (signature,) = envelope["signatures"]
        signed = base64.b64decode(signature["sig"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error) as broken:
        raise StatementRefused("is not a DSSE envelope with one signature") from broken
    if payload_type != PAYLOAD_TYPE:
        raise StatementRefused(f"carries {payload_type!r}, expected was {PAYLOAD_TYPE}")
    try:
        key.verify(signed, _pae(PAYLOAD_TYPE, payload), ec.ECDSA(hashes.SHA256()))
    except InvalidSignature:
        raise StatementRefused(
            f"is not signed by key {key_id(key)[:16]}…: it was edited, or another key signed it"
        ) from None
    return payload


def _parse(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as broken:
        raise StatementRefused(f"is not JSON: {broken}") from broken


def _pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding of DSSE 1.0: type and payload cannot be shifted into each other."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)
