import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.keys import (
    ROLE_KEYS,
    KeyRefused,
    TrustedKeys,
    create_keys,
    private_key,
    private_pem,
    public_pem,
    release_key,
    trusted_keys,
)


def test_private_keys_are_for_their_owner_only_and_regions_get_only_public_ones(tmp_path: Path) -> None:
    create_keys(tmp_path, ["acme"])
    assert {path.stem for path in tmp_path.glob("*.pem")} == {"acme.release", *ROLE_KEYS}
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.glob("*.pem"))
    assert {path.name for path in (tmp_path / "trusted").iterdir()} == {"acme.release.pub"}
    assert all(b"PRIVATE" not in path.read_bytes() for path in (tmp_path / "trusted").iterdir())
    assert trusted_keys(tmp_path).release("acme") == (release_key(tmp_path, "acme").public_key(),)


def test_a_second_up_keeps_the_keys_and_adds_only_the_new_tenants(tmp_path: Path) -> None:
    create_keys(tmp_path, ["acme"])
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.p*") if path.is_file()}
    create_keys(tmp_path, ["acme", "globex"])
    assert {path: path.read_bytes() for path in before} == before
    assert release_key(tmp_path, "globex") is not None


def test_many_processes_that_create_keys_at_once_end_with_one(tmp_path: Path) -> None:
    faults: list[Exception] = []

    def create() -> None:
        try:
            create_keys(tmp_path, ["acme"])
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert trusted_keys(tmp_path).release("acme") == (release_key(tmp_path, "acme").public_key(),)
    assert len(list(tmp_path.rglob("*"))) == len(ROLE_KEYS) + 3, "a temporary file was left"


def test_a_key_from_the_environment_wins_as_pem_or_as_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    monkeypatch.setenv("PEDIGREE_RELEASE_KEY_NORTH_BANK", private_pem(key).decode())
    create_keys(tmp_path, ["north-bank"])
    assert not (tmp_path / "north-bank.release.pem").exists(), "a key from the environment was written to disk"
    assert trusted_keys(tmp_path).release("north-bank") == (key.public_key(),)

    (tmp_path / "elsewhere.pem").write_bytes(private_pem(key))
    monkeypatch.setenv("PEDIGREE_RELEASE_KEY_NORTH_BANK", str(tmp_path / "elsewhere.pem"))
    assert release_key(tmp_path, "north-bank").public_key() == key.public_key()


def test_a_missing_key_is_refused_with_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(KeyRefused, match=r"acme\.release.*pedigree up.*PEDIGREE_RELEASE_KEY_ACME"):
        release_key(tmp_path, "acme")
    with pytest.raises(KeyRefused, match=r"no trusted key .*acme\.release\.pub"):
        TrustedKeys(tmp_path).release("acme")


def test_an_unusable_key_is_refused_without_being_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_PROMOTION_KEY", "-----BEGIN PRIVATE KEY-----\nsecretsecret\n-----END PRIVATE KEY-----")
    with pytest.raises(KeyRefused) as refused:
        private_key(tmp_path, "promotion")
    assert "PEDIGREE_PROMOTION_KEY" in str(refused.value)
    assert "secret" not in str(refused.value)
    monkeypatch.setenv("PEDIGREE_PROMOTION_KEY", private_pem(ec.generate_private_key(ec.SECP384R1())).decode())
    with pytest.raises(KeyRefused, match="not an EC P-256 key"):
        private_key(tmp_path, "promotion")


def test_an_exchanged_public_key_is_noticed(tmp_path: Path) -> None:
    create_keys(tmp_path, ["acme"])
    other = ec.generate_private_key(ec.SECP256R1()).public_key()
    (tmp_path / "trusted" / "acme.release.pub").write_bytes(public_pem(other))
    with pytest.raises(KeyRefused, match="not the public half"):
        create_keys(tmp_path, ["acme"])


@pytest.mark.parametrize("tenant", ["../promotion", "a/b", "", "Ünal", "acme\n"])
def test_a_tenant_name_never_becomes_a_path(tmp_path: Path, tenant: str) -> None:
    with pytest.raises(KeyRefused, match="not a tenant's name"):
        TrustedKeys(tmp_path).release(tenant)
    with pytest.raises(KeyRefused, match="not a tenant's name"):
        release_key(tmp_path, tenant)
