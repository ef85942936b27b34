"""Keys that never leave their KMS sign releases and roles. boto3 asks, over HTTP, one that answers as AWS says."""

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from governance.custody.keys import KeptKey, KeyRefused, create_keys, public_pem, release_key, trusted_keys
from governance.custody.provenance import TEST_RESULT
from governance.custody.signature import sign_folder, signed_files
from governance.custody.statements import open_statement, sign_statement, statement
from governance.trust.signers import signer

KEYS = {f"key-{number}": ec.generate_private_key(ec.SECP256R1()) for number in (1, 2)}


class Kms(BaseHTTPRequestHandler):
    """The operation Sign, of digests (docs.aws.amazon.com/kms/latest/APIReference/API_Sign.html)."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert (self.headers["X-Amz-Target"], asked["MessageType"]) == ("TrentService.Sign", "DIGEST")
        key = KEYS.get(asked["KeyId"])
        if key is None:
            self._reply(400, {"__type": "NotFoundException", "message": "no such key"})
            return
        signature = key.sign(base64.b64decode(asked["Message"]), ec.ECDSA(Prehashed(hashes.SHA256())))
        self._reply(200, {"KeyId": asked["KeyId"], "Signature": base64.b64encode(signature).decode()})

    def log_message(self, *_: object) -> None: ...

    def _reply(self, status: int, body: dict[str, str]) -> None:
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A keys folder in which northbank's key and the promotion role's are named and not kept."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Kms)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{server.server_port}")
    for name, value in {"ACCESS_KEY_ID": "a", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    keys_dir = tmp_path / "keys"
    keys_dir.mkdir()
    names = {"northbank.release": "RELEASE_KEY_NORTHBANK", "promotion": "PROMOTION_KEY"}
    for (name, variable), (key, private) in zip(names.items(), KEYS.items(), strict=True):
        (keys_dir / f"{name}.pub").write_bytes(public_pem(private.public_key()))
        monkeypatch.setenv(f"PEDIGREE_{variable}", f"awskms:{key}")
    create_keys(keys_dir, ["northbank"])
    yield keys_dir
    server.shutdown()
    server.server_close()


def test_a_kept_key_signs_a_release_that_everybody_accepts(kept: Path, tmp_path: Path) -> None:
    folder, key = tmp_path / "release", release_key(kept, "northbank")
    folder.mkdir()
    (folder / "head.json").write_text("{}")
    sign_folder(folder, key)
    (trusted,) = trusted_keys(kept).release("northbank")
    assert set(signed_files((folder / "model.sig").read_bytes(), trusted)) == {"head.json"}
    public = kept / "trusted" / "northbank.release.pub"
    signed = ["--signature", str(folder / "model.sig"), "--public_key", str(public), str(folder)]
    told = subprocess.run(
        [sys.executable, "-m", "model_signing", "verify", "key", *signed], capture_output=True, text=True
    )
    assert told.returncode == 0, told.stdout + told.stderr
    envelope = sign_statement(statement("northbank.intents@1", "0" * 64, TEST_RESULT, {"result": "PASSED"}), key)
    assert open_statement(envelope, trusted, TEST_RESULT).predicate == {"result": "PASSED"}
    assert not list(kept.glob("northbank.release.pem")) and not list(kept.glob("promotion.pem"))


def test_a_kept_key_signs_for_its_role(kept: Path) -> None:
    promotion = signer(kept, "promotion")
    signature = promotion.sign(b"what answers where")
    promotion.public_key.verify_signature(signature, b"what answers where")


def test_a_kept_key_that_cannot_sign_is_named(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    public = release_key(kept, "northbank").public_key()
    with pytest.raises(KeyRefused, match=r"awskms:gone did not sign: .*NotFound"):
        sign_statement(statement("x@1", "0" * 64, TEST_RESULT, {}), KeptKey("awskms:gone", public))
    with pytest.raises(KeyRefused, match=r"hsm:.* cannot be used"):
        KeptKey("hsm:2?label=x", public).sign(b"", None)  # type: ignore[arg-type]
    (kept / "promotion.pub").unlink()
    with pytest.raises(KeyRefused, match=r"no trusted key .*promotion\.pub"):
        signer(kept, "promotion")
