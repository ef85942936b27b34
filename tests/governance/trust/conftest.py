"""An installation with keys and a trust repository of its own, to promote in, to attack, to kill."""

import itertools
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.custody.canonical import sha256_bytes
from governance.custody.keys import TrustedKeys, create_keys, trusted_keys
from governance.custody.store import ObjectStore
from governance.tenants import Release
from governance.trust.keys import create_anchor, establish
from governance.trust.live import LivePointer, live_history, read_live, write_live
from governance.trust.releases import publish_release
from tests.store_apart import StoreApart

TENANTS = ("northbank", "stclare", "loomworks")
NUMBERS = itertools.count(1)


@dataclass
class Installation:
    store: ObjectStore
    keys_dir: Path

    @property
    def trusted(self) -> TrustedKeys:
        return trusted_keys(self.keys_dir)

    def sign(self, release: str) -> str:
        """Let the tenant vouch for a release; its digest."""
        manifest = f"manifest of {release}".encode()
        publish_release(self.store, self.keys_dir, Release.parse(release), manifest, {})
        return sha256_bytes(manifest)

    def read(self, model: str = "northbank/intents", region: str = "mumbai") -> LivePointer | None:
        return read_live(self.store, *model.split("/"), region, self.trusted)

    def promote(
        self, release: str, expected: LivePointer | None, by: str = "tests", region: str = "mumbai"
    ) -> LivePointer:
        digest, named = sha256_bytes(f"manifest of {release}".encode()), Release.parse(release)
        return write_live(self.store, self.keys_dir, named, digest, region, "a reason", by, expected)

    def history(self, model: str = "northbank/intents", region: str = "mumbai") -> list[tuple[int, str]]:
        found = live_history(self.store, *model.split("/"), region, self.trusted)
        return [(pointer.number, pointer.release) for pointer in found]

    def region(self, folder: Path) -> TrustedKeys:
        """What a fresh region is given: the first root, and nothing else."""
        folder.mkdir(parents=True)
        shutil.copy(self.trusted.folder / "root.json", folder)
        return TrustedKeys(folder)


@pytest.fixture(scope="session")
def make_installation(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Installation]:
    def make() -> Installation:
        apart, keys_dir = StoreApart(store, f"installation-{next(NUMBERS)}/"), tmp_path_factory.mktemp("keys")
        create_keys(keys_dir, TENANTS)
        create_anchor(keys_dir)
        establish(apart, keys_dir, TENANTS)
        return Installation(apart, keys_dir)

    return make


@pytest.fixture
def here(make_installation: Callable[[], Installation]) -> Installation:
    return make_installation()
