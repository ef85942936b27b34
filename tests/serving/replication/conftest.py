"""A region whose replica follows a trust repository of its own, beside the session's real Triton."""

import itertools
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from governance.custody.blobs import Ref, put_file
from governance.custody.canonical import sha256_file
from governance.custody.keys import create_keys, private_key, trusted_keys
from governance.custody.manifest import MANIFEST
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.keys import create_anchor, establish
from governance.trust.live import LivePointer, read_live, write_live
from governance.trust.releases import publish_release
from serving.engine import base_digest
from serving.replication.metrics import Metrics
from serving.replication.replica import Place, Replica
from serving.replication.statement import RegionStatement, read_statement
from serving.triton.client import ask
from tests.serving.conftest import TENANTS, Region
from tests.store_apart import StoreApart

NUMBERS = itertools.count(1)
WEIGHTS = "adapter_model.safetensors"


@dataclass
class World:
    """One region, one model of its own in it, two releases of it signed."""

    store: ObjectStore
    keys_dir: Path
    place: Place
    model: str
    make_release: Callable[..., Path]
    digests: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Ref]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    def name(self, number: int) -> str:
        return f"{self.model.replace('/', '.')}@{number}"

    def sign(self, number: int, **options: Any) -> Release:
        """Sign a release, store it, let its tenant vouch for it. `options`: of make_release."""
        release = Release.parse(self.name(number))
        return self.vouch(release, self.make_release(str(release), **({"seed": self.own_seed + number} | options)))

    @property
    def own_seed(self) -> int:
        """No other test has its bytes, for they are harmed."""
        return 100 * int(self.model.rpartition("-")[2])

    def vouch(self, release: Release, folder: Path) -> Release:
        """Store what lies in `folder` as this release, and let its tenant vouch for it."""
        paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        files = {name: put_file(self.store, release.tenant, path) for name, path in paths.items()}
        publish_release(self.store, self.keys_dir, release, (folder / MANIFEST).read_bytes(), files)
        self.digests[str(release)], self.files[str(release)] = sha256_file(folder / MANIFEST), files
        return release

    def point(self, number: int) -> LivePointer:
        release, trusted = Release.parse(self.name(number)), trusted_keys(self.keys_dir)
        standing = read_live(self.store, release.tenant, release.task, self.place.name, trusted)
        digest = self.digests[str(release)]
        return write_live(self.store, self.keys_dir, release, digest, self.place.name, "a reason", "tests", standing)

    def replica(self, **options: Any) -> Replica:
        return Replica(self.store, self.place, self.metrics, self.log.append, **options)

    def look(self, replica: Replica) -> RegionStatement | None:
        """One look, worked off; what the region then says."""
        replica.tick()
        replica.wait()
        return read_statement(self.store, self.place.name, self.model, self.place.key.public_key())

    def answers(self) -> str:
        return ask(self.place.triton, self.model.replace("/", "."), ["x"]).model_version

    @property
    def folder(self) -> Path:
        return self.place.root / "models" / self.model.replace("/", ".")

    def refusals(self) -> float:
        return self.metric("pedigree_replica_refusals_total")

    def metric(self, name: str) -> float:
        samples = [s for metric in self.metrics.registry.collect() for s in metric.samples]
        return sum(s.value for s in samples if s.name == name)


@pytest.fixture(scope="session")
def trust_store(store: ObjectStore, keys_dir: Path) -> ObjectStore:
    """A trust repository of the session's keys; of the region, too."""
    create_keys(keys_dir, TENANTS, ["mumbai", "frankfurt"])
    create_anchor(keys_dir)
    apart = StoreApart(store, "replication-tests/")
    establish(apart, keys_dir, TENANTS)
    return apart


@pytest.fixture
def world(
    region: Region,
    trust_store: ObjectStore,
    keys_dir: Path,
    make_release: Callable[..., Path],
    base: Path,
    tmp_path: Path,
) -> World:
    key = private_key(keys_dir, "mumbai.region")
    (region.root / "trusted").mkdir(exist_ok=True)
    shutil.copy(trusted_keys(keys_dir).folder / "root.json", region.root / "trusted")
    shutil.rmtree(region.root / "witness", ignore_errors=True)  # of another test's region
    number = next(NUMBERS)
    place = Place(f"mumbai-{number}", region.root, region.address, base_digest(base), key)  # its pointers alone
    return World(trust_store, keys_dir, place, f"northbank/replica-{number}", make_release)


def flip(body: bytes) -> bytes:
    return body[:-9] + bytes([body[-9] ^ 1]) + body[-8:]


def edited(body: bytes, **changes: Any) -> bytes:
    return json.dumps(json.loads(body) | changes).encode()
