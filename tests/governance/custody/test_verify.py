"""Every way to tamper with a release folder is refused by name; and the reference implementation agrees."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import model_signing
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.bundle import assemble, sign_release
from governance.custody.canonical import sha256_file
from governance.custody.keys import TrustedKeys, create_keys, release_key, trusted_keys
from governance.custody.manifest import parse_manifest
from governance.custody.signature import sign_folder
from governance.custody.statements import sign_statement, statement
from governance.custody.verify import RELEASE_FILES, ReleaseRefused, verify_release

MakeRelease = Callable[..., Path]
MODEL = "northbank/support-intents"
TAMPERED = ("adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors", "release.json")


def reference_accepts(folder: Path, public: Path) -> bool:
    """The verdict of OpenSSF Model Signing's own library."""
    config = model_signing.verifying.Config().use_elliptic_key_verifier(public_key=public)
    try:
        config.verify(folder, folder / "model.sig")
    except Exception:  # it raises many kinds, and each of them is a refusal
        return False
    return True


def command_line(folder: Path, public: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "model_signing", "verify", "key", folder]
    options = ["--signature", folder / "model.sig", "--public_key", public]
    return subprocess.run([*map(str, [*command, *options])], capture_output=True, text=True)


def public_key(trusted: TrustedKeys, tenant: str = "northbank") -> Path:
    return trusted.folder / f"{tenant}.release.pub"


def flip(path: Path, position: int) -> None:
    body = bytearray(path.read_bytes())
    body[position] ^= 1
    path.write_bytes(body)


def test_a_release_is_accepted_and_so_by_the_openssf_command(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    folder = make_release()
    digest = sha256_file(folder / "release.json")
    assert verify_release(folder, trusted, MODEL, digest, "b" * 64).model == MODEL
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == RELEASE_FILES
    accepted = command_line(folder, public_key(trusted))
    assert accepted.returncode == 0, accepted.stderr
    assert command_line(folder, public_key(trusted, "stclare")).returncode != 0


@pytest.mark.parametrize("name", TAMPERED)
def test_a_flipped_bit_is_refused_and_the_file_is_named(
    make_release: MakeRelease, trusted: TrustedKeys, name: str
) -> None:
    folder = make_release()
    for position in (0, (folder / name).stat().st_size // 2, -1):
        altered = shutil.copytree(folder, folder.with_name(f"{name}{position}"))
        flip(altered / name, position)
        with pytest.raises(ReleaseRefused, match=name.replace(".", r"\.")):
            verify_release(altered, trusted)
        assert not reference_accepts(altered, public_key(trusted))


def test_an_altered_signature_is_refused(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    folder = make_release()
    body = (folder / "model.sig").read_bytes()
    accepted = 0
    for position in range(0, len(body), 97):
        (folder / "model.sig").write_bytes(body)
        flip(folder / "model.sig", position)
        try:
            verify_release(folder, trusted)
        except ReleaseRefused as refused:
            assert "model.sig" in str(refused)
        else:
            accepted += 1  # a bit that says nothing, such as one of the keyid that DSSE does not sign
            assert reference_accepts(folder, public_key(trusted))
    assert accepted < 3


@pytest.mark.parametrize("name", ["gate", "provenance", "sbom"])
def test_an_edited_attestation_is_refused_and_named(make_release: MakeRelease, trusted: TrustedKeys, name: str) -> None:
    folder = make_release()
    flip(folder / "attestations" / f"{name}.json", 100)
    with pytest.raises(ReleaseRefused, match=rf"attestations/{name}\.json"):
        verify_release(folder, trusted)


@pytest.mark.parametrize("name", ["model.bin", ".gitignore", "attestations/extra.json", "head.json.bak", "re\nlease"])
def test_an_added_file_is_refused_and_named(make_release: MakeRelease, trusted: TrustedKeys, name: str) -> None:
    folder = make_release()
    (folder / name).write_bytes(b"x")
    with pytest.raises(ReleaseRefused) as refused:
        verify_release(folder, trusted)
    assert repr(name) in str(refused.value)


@pytest.mark.parametrize("name", sorted(RELEASE_FILES))
def test_a_missing_file_is_refused_and_named(make_release: MakeRelease, trusted: TrustedKeys, name: str) -> None:
    folder = make_release()
    (folder / name).unlink()
    with pytest.raises(ReleaseRefused, match=rf"{name} is missing"):
        verify_release(folder, trusted)


def test_links_folders_and_pipes_are_refused(make_release: MakeRelease, trusted: TrustedKeys, tmp_path: Path) -> None:
    folder = make_release()
    elsewhere = tmp_path / "elsewhere"
    shutil.move(folder / "head.json", elsewhere)
    (folder / "head.json").symlink_to(elsewhere)
    with pytest.raises(ReleaseRefused, match=r"'head\.json' is a symlink"):
        verify_release(folder, trusted)
    (folder / "head.json").unlink()
    os.mkfifo(folder / "head.json")
    with pytest.raises(ReleaseRefused, match="neither a file nor a folder"):
        verify_release(folder, trusted)
    (folder / "head.json").unlink()
    shutil.move(elsewhere, folder / "head.json")
    (folder / "1").mkdir()
    with pytest.raises(ReleaseRefused, match="'1' is a folder"):
        verify_release(folder, trusted)
    (folder / "1").rmdir()
    shutil.move(folder / "attestations", elsewhere)
    (folder / "attestations").symlink_to(elsewhere)
    with pytest.raises(ReleaseRefused, match="'attestations' is a symlink"):
        verify_release(folder, trusted)
    (tmp_path / "link").symlink_to(folder)
    for place in (tmp_path / "link", tmp_path / "nowhere", folder / "release.json"):
        with pytest.raises(ReleaseRefused, match="not a folder"):
            verify_release(place, trusted)


def test_a_signature_by_another_key_is_refused(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    folder = make_release()
    sign_folder(folder, ec.generate_private_key(ec.SECP256R1()))
    assert not reference_accepts(folder, public_key(trusted))
    with pytest.raises(ReleaseRefused, match=r"model\.sig was made with another key"):
        verify_release(folder, trusted)


def test_a_forged_key_hint_does_not_help(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    folder = make_release()
    hint = json.loads((folder / "model.sig").read_bytes())["verificationMaterial"]["publicKey"]["hint"]
    sign_folder(folder, ec.generate_private_key(ec.SECP256R1()))
    bundle = json.loads((folder / "model.sig").read_bytes())
    bundle["verificationMaterial"]["publicKey"]["hint"] = hint
    (folder / "model.sig").write_text(json.dumps(bundle))
    with pytest.raises(ReleaseRefused, match="not signed by key"):
        verify_release(folder, trusted)


def test_another_tenants_release_under_this_models_name_is_refused(
    make_release: MakeRelease, trusted: TrustedKeys
) -> None:
    folder = make_release("stclare.triage-notes@1")
    verify_release(folder, trusted, "stclare/triage-notes")
    with pytest.raises(ReleaseRefused, match="a release of stclare/triage-notes, not of northbank/support-intents"):
        verify_release(folder, trusted, MODEL)


def test_a_tenant_cannot_sign_in_the_name_of_another(
    make_manifest: Callable[..., Any],
    predicates: Callable[..., Any],
    keys_dir: Path,
    trusted: TrustedKeys,
    tmp_path: Path,
) -> None:
    manifest, adapter = make_manifest()
    assemble(tmp_path / "forged", adapter, manifest)
    with pytest.raises(ReleaseRefused, match="another key"):
        sign_release(tmp_path / "forged", manifest, release_key(keys_dir, "stclare"), predicates(manifest), trusted)


def test_a_tenant_whose_key_is_not_trusted_is_refused(make_release: MakeRelease, tmp_path: Path) -> None:
    folder = make_release()
    create_keys(tmp_path / "others", ["stclare"])
    with pytest.raises(ReleaseRefused, match=r"no trusted key .*northbank\.release\.pub"):
        verify_release(folder, trusted_keys(tmp_path / "others"))


def test_another_release_of_the_same_model_is_refused_by_digest(
    make_release: MakeRelease, trusted: TrustedKeys
) -> None:
    first, second = make_release(), make_release("northbank.support-intents@2", folder="second")
    with pytest.raises(ReleaseRefused, match="it is not the one asked for"):
        verify_release(second, trusted, MODEL, sha256_file(first / "release.json"))


def test_an_adapter_of_another_base_is_refused(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    with pytest.raises(ReleaseRefused, match=r"trained on base minilm b+…, resident is c+…"):
        verify_release(make_release(), trusted, MODEL, None, "c" * 64)


def test_attestations_of_another_release_are_refused(make_release: MakeRelease, trusted: TrustedKeys) -> None:
    first, second = make_release(), make_release("northbank.support-intents@2", folder="second")
    shutil.copy(first / "attestations" / "gate.json", second / "attestations" / "gate.json")
    with pytest.raises(ReleaseRefused, match=r"gate\.json is about northbank\.support-intents@1, not about"):
        verify_release(second, trusted)
    shutil.copy(second / "attestations" / "sbom.json", second / "attestations" / "gate.json")
    with pytest.raises(ReleaseRefused, match=r"gate\.json says https://cyclonedx\.org/bom"):
        verify_release(second, trusted)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        ({"result": "FAILED", "failedTests": ["f1"]}, r"FAILED, not PASSED \(failed: f1\)"),
        ({"result": "PASSED", "failedTests": ["f1"]}, "not PASSED"),
        ({"result": "WARNED"}, "not PASSED"),
        ({}, "None, not PASSED"),
        ({"result": "PASSED", "report": {}}, "names no report"),
    ],
)
def test_a_gate_that_did_not_pass_is_refused_even_when_signed(
    make_release: MakeRelease, trusted: TrustedKeys, keys_dir: Path, said: dict[str, Any], reason: str
) -> None:
    folder = make_release()
    manifest = parse_manifest((folder / "release.json").read_bytes())
    digest = sha256_file(folder / "release.json")
    forged = statement(manifest.release, digest, "https://in-toto.io/attestation/test-result/v0.1", said)
    (folder / "attestations" / "gate.json").write_bytes(sign_statement(forged, release_key(keys_dir, "northbank")))
    with pytest.raises(ReleaseRefused, match=reason):
        verify_release(folder, trusted)


@pytest.mark.parametrize("harm", ["another version", "a dependency missing", "one more", "no list"])
def test_an_sbom_of_another_environment_is_refused_even_when_signed(
    make_release: MakeRelease, trusted: TrustedKeys, keys_dir: Path, packages: dict[str, Any], harm: str
) -> None:
    folder = make_release()
    listed = [dict(component) for component in packages["sbom"]["components"]]
    if harm == "another version":
        listed[3]["version"] = "0.0.1"
    bills = {
        "a dependency missing": listed[1:],
        "one more": [*listed, {"name": "left-pad", "version": "1"}],
        "no list": 7,
    }
    bill = packages["sbom"] | {"components": bills.get(harm, listed)}
    digest = sha256_file(folder / "release.json")
    forged = statement("northbank.support-intents@1", digest, "https://cyclonedx.org/bom", bill)
    (folder / "attestations" / "sbom.json").write_bytes(sign_statement(forged, release_key(keys_dir, "northbank")))
    with pytest.raises(ReleaseRefused, match=r"sbom\.json lists other packages"):
        verify_release(folder, trusted)


def test_signed_files_that_the_manifest_does_not_list_are_refused(
    make_release: MakeRelease, keys_dir: Path, trusted: TrustedKeys
) -> None:
    folder = make_release()
    flip(folder / "head.safetensors", 0)
    (folder / "model.sig").unlink()
    attestations = shutil.move(folder / "attestations", folder.with_name("aside"))
    sign_folder(folder, release_key(keys_dir, "northbank"))
    shutil.move(attestations, folder / "attestations")
    assert reference_accepts(folder, public_key(trusted)), "the reference signature alone does not see it"
    with pytest.raises(ReleaseRefused, match="lists other files"):
        verify_release(folder, trusted)


def test_verification_is_light_enough_for_every_mount() -> None:
    """Triton's Python environment has another numpy, and a second's import would be a second's wait at each start."""
    heavy = ["numpy", "dagster", "boto3", "model_signing", "pyarrow", "torch", "cyclonedx", "securesystemslib"]
    program = f"import sys, governance.custody.verify; print([m for m in {heavy} if m in sys.modules])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
