import base64
import contextlib
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from governance.custody.keys import key_id
from governance.custody.statements import StatementRefused, open_statement, sign_statement, statement

KEY = ec.generate_private_key(ec.SECP256R1())
SAID = statement("acme.intents@1", "a" * 64, "https://example.org/said/v1", {"result": "PASSED", "count": 3})
ENVELOPE = sign_statement(SAID, KEY)


def test_an_independent_implementation_accepts_the_envelope() -> None:
    public = SSlibKey.from_crypto(KEY.public_key(), keyid=key_id(KEY.public_key()))
    envelope = Envelope.from_dict(json.loads(ENVELOPE))
    envelope.verify([public], 1)
    assert json.loads(envelope.payload)["_type"] == "https://in-toto.io/Statement/v1"
    envelope.payload += b" "
    with pytest.raises(VerificationError):
        envelope.verify([public], 1)


def test_what_was_said_comes_back() -> None:
    assert open_statement(ENVELOPE, KEY.public_key(), "https://example.org/said/v1") == SAID


@given(position=st.integers(0, len(ENVELOPE) - 1), bit=st.integers(0, 7))
def test_no_flipped_bit_changes_what_is_said(position: int, bit: int) -> None:
    altered = bytearray(ENVELOPE)
    altered[position] ^= 1 << bit
    with contextlib.suppress(StatementRefused):
        assert open_statement(bytes(altered), KEY.public_key(), "https://example.org/said/v1") == SAID


def test_an_edited_payload_is_refused() -> None:
    envelope = json.loads(ENVELOPE)
    said = json.loads(base64.b64decode(envelope["payload"]))
    said["predicate"]["result"] = "FAILED"
    envelope["payload"] = base64.b64encode(json.dumps(said).encode()).decode()
    with pytest.raises(StatementRefused, match="edited, or another key"):
        open_statement(json.dumps(envelope).encode(), KEY.public_key(), "https://example.org/said/v1")


def test_another_key_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    with pytest.raises(StatementRefused, match="another key signed it"):
        open_statement(ENVELOPE, other, "https://example.org/said/v1")


def test_a_statement_of_another_type_is_refused() -> None:
    with pytest.raises(StatementRefused, match=r"says https://example\.org/said/v1, expected was"):
        open_statement(ENVELOPE, KEY.public_key(), "https://example.org/other/v1")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"payload": 3}', b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_envelope_is_refused_and_no_crash(body: bytes) -> None:
    with pytest.raises(StatementRefused):
        open_statement(body, KEY.public_key(), "https://example.org/said/v1")


def test_a_second_signature_is_refused_because_nobody_asked_for_one() -> None:
    envelope: dict[str, Any] = json.loads(ENVELOPE)
    envelope["signatures"] *= 2
    with pytest.raises(StatementRefused, match="one signature"):
        open_statement(json.dumps(envelope).encode(), KEY.public_key(), "https://example.org/said/v1")
