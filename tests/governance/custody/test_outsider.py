"""The page for outsiders tells the truth: its script and its command are run as they stand there."""

import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import sha256_bytes, sha256_file
from governance.custody.keys import TrustedKeys, release_key
from governance.custody.provenance import ATTESTATIONS
from governance.custody.statements import sign_statement, statement
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.live import write_live
from governance.trust.releases import publish_release

PAGE = Path(__file__).parents[3] / "docs" / "verify-a-release.md"


@pytest.fixture
def ask(tmp_path: Path, trusted: TrustedKeys) -> Callable[..., subprocess.CompletedProcess[str]]:
    script = tmp_path / "verify_release.py"
    script.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])  # type: ignore[index]

    def run(folder: Path, tenant: str = "northbank") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(script), str(folder), str(trusted.folder / f"{tenant}.release.pub")]
        return subprocess.run(command, capture_output=True, text=True)

    return run


def test_the_script_accepts_a_release_and_names_its_digest(make_release: Callable[..., Path], ask: Callable) -> None:
    folder = make_release()
    told = ask(folder)
    assert told.stdout.split() == [
        *("VERIFIED", "northbank.support-intents@1", "release", "digest"),
        sha256_file(folder / "release.json"),
    ], told.stderr
    assert "InvalidSignature" in ask(folder, "stclare").stderr


def test_the_script_refuses_what_was_tampered_with(make_release: Callable[..., Path], ask: Callable) -> None:
    folder, other = make_release(), make_release("northbank.support-intents@2", folder="second")
    harms = {
        "altered after signing: ['head.json']": lambda f: (f / "head.json").write_bytes(b"x"),
        "not part of a release: ['x.bin']": lambda f: (f / "x.bin").write_bytes(b"x"),
        "not part of a release: ['model.sig']": lambda f: (f / "model.sig").unlink(),
        "gate.json is not about this release": lambda f: shutil.copy(
            other / "attestations" / "gate.json", f / "attestations" / "gate.json"
        ),
    }
    for number, (sentence, harm) in enumerate(harms.items()):
        harmed = shutil.copytree(folder, folder.with_name(f"harmed-{number}"))
        harm(harmed)
        told = ask(harmed)
        assert told.returncode != 0
        assert sentence in told.stderr


def test_the_script_refuses_an_sbom_of_another_environment(
    make_release: Callable[..., Path], ask: Callable, keys_dir: Path, packages: dict[str, Any]
) -> None:
    folder = make_release()
    bill = packages["sbom"] | {"components": packages["sbom"]["components"][1:]}
    said = statement("northbank.support-intents@1", sha256_file(folder / "release.json"), ATTESTATIONS["sbom"], bill)
    (folder / "attestations" / "sbom.json").write_bytes(sign_statement(said, release_key(keys_dir, "northbank")))
    assert "sbom.json lists other packages" in ask(folder).stderr


def test_the_command_on_the_page_is_the_one_that_works(
    make_release: Callable[..., Path], trusted: TrustedKeys, tmp_path: Path
) -> None:
    folder = make_release()
    shutil.copy(trusted.folder / "northbank.release.pub", tmp_path)
    line = re.search(r"^model_signing verify key .*$", PAGE.read_text(), re.MULTILINE)[0]  # type: ignore[index]
    command = [sys.executable, "-m", *line.replace("FOLDER", folder.name).split()]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    assert "Verification succeeded" in told.stdout


def test_the_tuf_client_on_the_page_says_what_holds_and_what_is_live(
    store: ObjectStore, keys_dir: Path, trusted: TrustedKeys, tmp_path: Path
) -> None:
    """Over plain HTTP, from a copy of the repository's objects: the layout is TUF's own."""
    release = Release.parse("northbank.outsider@1")
    publish_release(store, keys_dir, release, b"a manifest", {})
    write_live(store, keys_dir, release, sha256_bytes(b"a manifest"), "mumbai", "first", "tests", None)
    for info in store.list(CENTRAL_BUCKET, "_trust/"):
        copy = tmp_path / info.key
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(store.read(CENTRAL_BUCKET, info.key))
    (script := tmp_path / "holds.py").write_text(re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=str(tmp_path)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_address[1]}/_trust"
    try:
        for name, said in (("outsider/1", "HOLDS"), ("outsider/2", "DOES NOT HOLD")):
            command = [sys.executable, str(script), address, str(trusted.folder / "root.json"), f"northbank/{name}"]
            told = subprocess.run([*command, "mumbai"], cwd=tmp_path, capture_output=True, text=True)
            assert told.stdout.startswith(said), told.stderr
            assert "'reason': 'first'" in told.stdout
    finally:
        server.shutdown()
