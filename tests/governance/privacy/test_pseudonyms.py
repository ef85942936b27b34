"""One person, one pseudonym within a tenant; none that could be guessed, or compared between tenants."""

import hashlib
import hmac
import stat
import uuid
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.privacy.pseudonyms import (
    TenantKeyError,
    create_tenant_key,
    load_tenant_key,
    record_id,
    subject_id,
    token,
)
from governance.privacy.residue import find_residue

ONE, OTHER = b"1" * 32, b"2" * 32


@pytest.mark.parametrize(
    ("entity", "spellings"),
    [
        ("PERSON", ["Thomas Wilson", "THOMAS  WILSON", "Mr. Thomas Wilson", "Wilson, Thomas", "thomas wilson's"]),
        ("PERSON", ["José Núñez", "Jose\u0301 Nun\u0303ez", "Jose Nunez"]),
        ("PHONE", ["+44 20 7946 0958", "020 7946 0958", "02079460958"]),
        ("EMAIL", ["Ana@Example.com", "ana@example.com"]),
        ("CARD", ["4111 1111 1111 1111", "4111-1111-1111-1111"]),
    ],
)
def test_spellings_of_one_person_share_a_token(entity: str, spellings: list[str]) -> None:
    assert len({token(ONE, entity, s) for s in spellings}) == 1
    assert token(ONE, entity, spellings[0]) != token(OTHER, entity, spellings[0])


def test_two_people_and_two_tenants_differ() -> None:
    assert token(ONE, "PERSON", "Thomas Wilson") != token(ONE, "PERSON", "Mark Wilson")
    assert subject_id(ONE, "C-1") != subject_id(ONE, "C-2")
    assert subject_id(ONE, "C-1") != subject_id(OTHER, "C-1")
    assert subject_id(ONE, " c-1 ") == subject_id(ONE, "C-1")


def test_without_the_key_a_pseudonym_cannot_be_recomputed() -> None:
    made = subject_id(ONE, "C-1")
    digest = hashlib.sha256(b"c-1").digest()
    guesses = {uuid.UUID(bytes=digest[:16]), uuid.uuid5(uuid.NAMESPACE_OID, "C-1")}
    guesses |= {uuid.UUID(bytes=hmac.digest(k, b"c-1", "sha256")[:16]) for k in (b"", b"\0" * 32)}
    assert uuid.UUID(made) not in guesses
    assert uuid.UUID(made).version == 8


def test_record_ids_do_not_collide_where_parts_run_together() -> None:
    assert record_id(ONE, "a", "bc", 1) != record_id(ONE, "ab", "c", 1)
    assert record_id(ONE, "a", "b", 11) != record_id(ONE, "a", "b", 1)


@given(
    entity=st.sampled_from(["PERSON", "EMAIL", "PHONE", "CARD", "SSN", "MRN"]),
    text=st.text(),
)
def test_a_token_is_no_residue_and_takes_any_text(entity: str, text: str) -> None:
    made = token(ONE, entity, text)
    assert find_residue([f"MRN {made} {made} 12"], [[]]) == []


def test_a_missing_key_is_refused_and_never_made_silently(tmp_path: Path) -> None:
    with pytest.raises(TenantKeyError, match=r"PEDIGREE_PRIVACY_KEY_ACME_CORP.*restore"):
        load_tenant_key(tmp_path, "acme-corp")
    assert list(tmp_path.iterdir()) == []


def test_a_key_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    key = create_tenant_key(tmp_path / "keys", "acme")
    file = tmp_path / "keys" / "acme.privacy.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with pytest.raises(TenantKeyError, match="already"):
        create_tenant_key(tmp_path / "keys", "acme")
    assert load_tenant_key(tmp_path / "keys", "acme") == key
    assert list((tmp_path / "keys").iterdir()) == [file]


def test_a_torn_or_shared_key_is_refused_without_showing_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_tenant_key(tmp_path, "acme")
    file = tmp_path / "acme.privacy.key"
    text = file.read_text()
    file.chmod(0o644)
    with pytest.raises(TenantKeyError, match="chmod 600"):
        load_tenant_key(tmp_path, "acme")
    file.chmod(0o600)
    file.write_text(text[:20])
    with pytest.raises(TenantKeyError) as torn:
        load_tenant_key(tmp_path, "acme")
    assert text[:20] not in str(torn.value)
    monkeypatch.setenv("PEDIGREE_PRIVACY_KEY_ACME", "ab" * 32)
    assert load_tenant_key(tmp_path, "acme") == b"\xab" * 32
