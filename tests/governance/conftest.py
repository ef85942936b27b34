"""Signed releases to tamper with: a folder as a region holds it, and a whole line in the object store."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from governance.audit.keys import create_audit_keys
from governance.custody.blobs import Ref, blob_ref
from governance.custody.bundle import assemble, sign_release
from governance.custody.keys import TrustedKeys, create_keys, release_key, trusted_keys
from governance.custody.manifest import ADAPTER_FILES, STAGES, BaseDigest, Environment, ReleaseManifest, build_manifest
from governance.custody.provenance import Run, gate_result, provenance
from governance.custody.sbom import installed, lock_digest, sbom
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.keys import create_anchor, establish
from tests.store_apart import StoreApart

MakeRelease = Callable[..., Path]
RELEASE = "northbank.support-intents@1"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def packages() -> dict[str, Any]:
    """The SBOM of this environment and its lock digest; a second's work, so made once."""
    return {"sbom": sbom(), "lock": lock_digest(installed())}


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder, ["northbank", "stclare"])
    create_audit_keys(folder, {})
    return folder


@pytest.fixture(scope="session")
def store(store: ObjectStore, keys_dir: Path) -> ObjectStore:
    """A store apart from the others on the session's server, with a trust repository of these keys."""
    apart = StoreApart(store, "governance-tests/")
    create_anchor(keys_dir)
    establish(apart, keys_dir, ["northbank", "stclare"])
    return apart


@pytest.fixture(scope="session")
def trusted(keys_dir: Path) -> TrustedKeys:
    return trusted_keys(keys_dir)


@pytest.fixture(scope="session")
def make_manifest(
    tmp_path_factory: pytest.TempPathFactory, packages: dict[str, Any]
) -> Callable[..., tuple[ReleaseManifest, Path]]:
    """A manifest and the folder of the adapter that it describes."""

    def make(release: str = RELEASE, came_from: dict[str, Ref] | None = None) -> tuple[ReleaseManifest, Path]:
        folder = tmp_path_factory.mktemp("adapter")
        for name in ADAPTER_FILES:
            (folder / name).write_bytes(f"{name} of {release}".encode())
        named = Release.parse(release)
        lineage = came_from or {stage: blob_ref(named.tenant, f"{i}" * 64, 100) for i, stage in enumerate(STAGES)}
        environment = Environment(lock_sha256=packages["lock"], git_sha="a" * 40, image_digest=None)
        base = BaseDigest(name="minilm", sha256="b" * 64)
        return build_manifest(named, folder, base, lineage, environment), folder

    return make


@pytest.fixture(scope="session")
def predicates(packages: dict[str, Any]) -> Callable[..., dict[str, dict[str, Any]]]:
    """The three attestations' predicates for a manifest."""

    def make(
        manifest: ReleaseManifest, report: Ref | None = None, deliveries: list[dict[str, Any]] | None = None
    ) -> dict[str, dict[str, Any]]:
        run = Run(builder="test", dagster_run_id="run-1", mlflow_run_id="mlflow-1", started=NOON, finished=NOON)
        report = report or blob_ref("northbank", "c" * 64, 100)
        return {
            "gate": gate_result(report, "d" * 64, ["f1", "accuracy", "latency", "bias"]),
            "provenance": provenance(manifest, deliveries or [], "d" * 64, run),
            "sbom": packages["sbom"],
        }

    return make


@pytest.fixture
def make_release(
    tmp_path: Path,
    keys_dir: Path,
    trusted: TrustedKeys,
    make_manifest: Callable[..., tuple[ReleaseManifest, Path]],
    predicates: Callable[..., dict[str, dict[str, Any]]],
) -> MakeRelease:
    """A signed release folder of `release`."""

    def make(release: str = RELEASE, folder: str = "release") -> Path:
        manifest, adapter = make_manifest(release)
        assemble(tmp_path / folder, adapter, manifest)
        key = release_key(keys_dir, Release.parse(release).tenant)
        sign_release(tmp_path / folder, manifest, key, predicates(manifest), trusted)
        return tmp_path / folder

    return make
