"""An audit log of a test's own, in a real SeaweedFS that only these tests use: there is one log in a bucket."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from governance.audit.acts import Act
from governance.audit.keys import create_audit_keys
from governance.audit.log import CHECKPOINT, PREFIX, append, entry_key
from governance.audit.verify import Verdict, verify_log
from governance.audit.witness import witness
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import TrustedKeys, trusted_keys
from governance.custody.store import ObjectStore
from tests.conftest import StartStack

NUMBERS = itertools.count(1)


@dataclass(frozen=True)
class Log:
    """A log with its keys and two regions that witness it."""

    store: ObjectStore
    keys_dir: Path
    regions: dict[str, Path]

    @property
    def trusted(self) -> TrustedKeys:
        return trusted_keys(self.keys_dir)

    def append(self, times: int = 1, why: str = "a reason") -> int:
        """The index of the last."""
        for _ in range(times):
            act = Act(what="promotion", who="the test", why=why, model="northbank/support-intents", region="mumbai")
            index = append(self.store, self.keys_dir, act, run=f"run-{next(NUMBERS)}")
        return index

    def witness(self, region: str = "mumbai") -> None:
        witness(self.store, self.trusted, region, self.regions[region])

    def verify(self) -> Verdict:
        return verify_log(self.store, self.trusted, self.regions)

    def read(self, name: int | str) -> bytes:
        return self.store.read(CENTRAL_BUCKET, self.key(name))

    def put(self, name: int | str, body: bytes) -> None:
        """Write over an object, as one could who holds the bucket."""
        self.store.put(CENTRAL_BUCKET, self.key(name), body)

    def remove(self, *names: int | str) -> None:
        for name in names:
            self.store.delete(CENTRAL_BUCKET, self.key(name), every_version=True)

    def key(self, name: int | str) -> str:
        return entry_key(name) if isinstance(name, int) else f"{PREFIX}{name}"

    def size(self) -> int:
        return int(self.store.read(CENTRAL_BUCKET, CHECKPOINT).split(b"\n")[1])


@pytest.fixture(scope="session")
def audit_store(start_stack: StartStack) -> ObjectStore:
    store = start_stack("seaweedfs").store()
    store.ensure_bucket(CENTRAL_BUCKET)
    return store


@pytest.fixture
def new_log(audit_store: ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Log]:
    """Each call gives an empty log, what was there before removed."""
    monkeypatch.delenv("PEDIGREE_AUDIT_KEY")  # its key is a file, to be stolen

    def make() -> Log:
        for info in [*audit_store.list(CENTRAL_BUCKET, PREFIX)]:
            audit_store.delete(CENTRAL_BUCKET, info.key, every_version=True)
        home = tmp_path / f"log-{next(NUMBERS)}"
        regions = {region: home / region for region in ("mumbai", "frankfurt")}
        create_audit_keys(home / "keys", regions)
        return Log(audit_store, home / "keys", regions)

    return make


@pytest.fixture
def log(new_log: Callable[[], Log]) -> Log:
    return new_log()
