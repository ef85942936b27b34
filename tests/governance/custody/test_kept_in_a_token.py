"""A key that never leaves its PKCS#11 token signs. The token is SoftHSM's, where that is installed (apt: softhsm2)."""

import shutil
import subprocess
from pathlib import Path

import pytest

from governance.custody.keys import KeyRefused, create_keys, public_pem, release_key
from governance.custody.provenance import TEST_RESULT
from governance.custody.statements import open_statement, sign_statement, statement
from governance.trust.signers import signer

LIBRARY = Path("/usr/lib/softhsm/libsofthsm2.so")
LABEL, PIN = "pedigree", "4321"
KEYS = {"northbank.release": ("RELEASE_KEY_NORTHBANK", 2), "promotion": ("PROMOTION_KEY", 3)}

pkcs11 = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
pytestmark = pytest.mark.skipif(not LIBRARY.exists(), reason="softhsm2 is not installed")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A keys folder in which northbank's key and the promotion role's are in a token."""
    from securesystemslib.signer import HSMSigner

    (tmp_path / "tokens").mkdir()
    (tmp_path / "softhsm2.conf").write_text(f"directories.tokendir = {tmp_path / 'tokens'}\n")
    monkeypatch.setenv("SOFTHSM2_CONF", str(tmp_path / "softhsm2.conf"))
    monkeypatch.setenv("PYKCS11LIB", str(LIBRARY))
    monkeypatch.setenv("PEDIGREE_HSM_PIN", PIN)
    tool = str(shutil.which("softhsm2-util"))
    subprocess.run([tool, "--init-token", "--free", "--label", LABEL, "--so-pin", "1234", "--pin", PIN], check=True)
    keys_dir = tmp_path / "keys"
    keys_dir.mkdir()
    for name, (variable, number) in KEYS.items():
        make_key(number)
        uri, public = HSMSigner.import_(number, LABEL, lambda _: PIN)
        (keys_dir / f"{name}.pub").write_text(public.keyval["public"])
        monkeypatch.setenv(f"PEDIGREE_{variable}", uri)
    create_keys(keys_dir, ["northbank"])
    return keys_dir


def make_key(number: int) -> None:
    from pkcs11.util.ec import encode_named_curve_parameters

    token = pkcs11.lib(str(LIBRARY)).get_token(token_label=LABEL)
    with token.open(rw=True, user_pin=PIN) as session:
        curve = {pkcs11.Attribute.EC_PARAMS: encode_named_curve_parameters("secp256r1")}
        parameters = session.create_domain_parameters(pkcs11.KeyType.EC, curve, local=True)
        parameters.generate_keypair(store=True, id=bytes([number]), label=f"key-{number}")


def test_a_key_in_a_token_signs_and_only_with_its_pin(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, promotion = release_key(kept, "northbank"), signer(kept, "promotion")
    said = statement("northbank.intents@1", "0" * 64, TEST_RESULT, {"result": "PASSED"})
    assert open_statement(sign_statement(said, key), key.public_key(), TEST_RESULT).predicate == {"result": "PASSED"}
    promotion.public_key.verify_signature(promotion.sign(b"what answers where"), b"what answers where")
    assert (kept / "trusted" / "northbank.release.pub").read_bytes() == public_pem(key.public_key())
    assert not list(kept.glob("northbank.release.pem")) and not list(kept.glob("promotion.pem"))
    monkeypatch.setenv("PEDIGREE_HSM_PIN", "0000")
    with pytest.raises(KeyRefused, match=r"hsm:2\?label=pedigree did not sign"):
        sign_statement(said, key)
    monkeypatch.delenv("PEDIGREE_HSM_PIN")
    with pytest.raises(KeyRefused, match=r"set \$PEDIGREE_HSM_PIN"):
        sign_statement(said, key)
