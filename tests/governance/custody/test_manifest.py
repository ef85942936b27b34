import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from governance.custody.canonical import canonical_json, sha256_bytes
from governance.custody.manifest import (
    ManifestInvalid,
    ReleaseManifest,
    build_manifest,
    parse_manifest,
    release_digest,
)
from governance.tenants import Release

MakeManifest = Callable[..., tuple[ReleaseManifest, Path]]


def test_the_same_input_gives_the_same_release_digest(make_manifest: MakeManifest) -> None:
    first, _ = make_manifest()
    again, _ = make_manifest()
    assert release_digest(first) == release_digest(again) == sha256_bytes(first.canonical)


def test_another_byte_in_any_file_gives_another_release_digest(make_manifest: MakeManifest) -> None:
    manifest, _ = make_manifest()
    for position, file in enumerate(manifest.files):
        files = list(manifest.files)
        files[position] = file.model_copy(update={"sha256": sha256_bytes(b"other")})
        assert release_digest(manifest.model_copy(update={"files": tuple(files)})) != release_digest(manifest)


def test_a_manifest_holds_no_time_and_no_run(make_manifest: MakeManifest) -> None:
    assert set(json.loads(make_manifest()[0].canonical)) == {
        "schema", "release", "model", "base", "files", "came_from", "environment"
    }  # fmt: skip


def test_a_missing_adapter_file_is_named(make_manifest: MakeManifest, tmp_path: Path) -> None:
    manifest, adapter = make_manifest()
    (adapter / "head.json").unlink()
    with pytest.raises(ManifestInvalid, match=r"lacks head\.json; materialize lora_adapter"):
        build_manifest(
            Release.parse(manifest.release), adapter, manifest.base, manifest.came_from, manifest.environment
        )


EDITS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "path separator": lambda m: m["files"][0].update(name="../../etc/passwd"),
    "added file": lambda m: m["files"].append({"name": "x.bin", "size": 1, "sha256": "0" * 64}),
    "missing file": lambda m: m["files"].pop(),
    "unsorted files": lambda m: m["files"].reverse(),
    "other model": lambda m: m.update(model="stclare/triage-notes"),
    "other spelling of the release": lambda m: m.update(release="northbank/support-intents@1"),
    "release zero": lambda m: m.update(release="northbank.support-intents@0"),
    "unknown entry": lambda m: m.update(run_id="x"),
    "digest in capitals": lambda m: m["files"][0].update(sha256="A" * 64),
    "stage left out": lambda m: m["came_from"].pop("raw_dataset"),
    "stage added": lambda m: m["came_from"].update(other=m["came_from"]["raw_dataset"]),
    "negative size": lambda m: m["files"][0].update(size=-1),
    "other schema": lambda m: m.update(schema="pedigree/release/v2"),
}


@pytest.mark.parametrize("edit", EDITS.values(), ids=EDITS.keys())
def test_a_manifest_that_contradicts_itself_is_refused(make_manifest: MakeManifest, edit: Callable[..., Any]) -> None:
    document = json.loads(make_manifest()[0].canonical)
    edit(document)
    with pytest.raises(ManifestInvalid):
        parse_manifest(canonical_json(document))


def test_only_the_canonical_bytes_are_a_manifest(make_manifest: MakeManifest) -> None:
    manifest, _ = make_manifest()
    assert parse_manifest(manifest.canonical) == manifest
    for body in (
        json.dumps(json.loads(manifest.canonical)).encode(),
        manifest.canonical + b"\n",
        manifest.canonical.replace(b'{"base"', b'{"model":"x","base"', 1),
    ):
        with pytest.raises(ManifestInvalid, match="canonical form"):
            parse_manifest(body)


@pytest.mark.parametrize("body", [b"", b"{}", b"null", b"\xff", b"[" * 100_000, b"{"])
def test_what_is_no_manifest_is_refused_and_no_crash(body: bytes) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(body)
