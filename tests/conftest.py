"""Real servers for the tests, one of each a session; nothing of them runs on after it."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import private_pem
from governance.custody.store import ObjectStore
from orchestration import stack
from orchestration.settings import PREFIX, Settings, load_settings, settings_file
from orchestration.stack import ports

StartStack = Callable[..., Settings]

for _name in [name for name in os.environ if name.startswith(PREFIX)]:
    del os.environ[_name]  # a developer's own installation is none of the tests' business

# A bucket has one audit log, and tests with keys of their own share the bucket: so they share the log's key.
os.environ["PEDIGREE_AUDIT_KEY"] = private_pem(ec.generate_private_key(ec.SECP256R1())).decode()

# Who is in which part of a split follows from the tenant's key: with one that is given, trainings in tests repeat.
os.environ["PEDIGREE_PRIVACY_KEY_LOOMWORKS"] = "17" * 32


def _ports_of_its_own(worker: int, workers: int) -> None:
    """Of two processes that find a port free in the same moment one would fail."""
    low, high = ports.RANGE
    width = (high - low) // workers
    ports.RANGE = (low + worker * width, low + (worker + 1) * width)


if "PYTEST_XDIST_WORKER" in os.environ:
    _ports_of_its_own(
        int(os.environ["PYTEST_XDIST_WORKER"].removeprefix("gw")), int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    )


@pytest.fixture(scope="session")
def start_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartStack]:
    """`start_stack(*parts)` starts these parts in a state_dir of their own and gives the settings to reach them.

    `own`: lines of that installation's settings.toml.
    """
    started: list[Settings] = []

    def start(*parts: str, own: str = "") -> Settings:
        state_dir = tmp_path_factory.mktemp("state")
        settings_file(state_dir).write_text(own)
        started.append(load_settings(state_dir=state_dir))
        return stack.start(started[-1], parts)

    try:
        yield start
    finally:
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(stack.stop, started))


@pytest.fixture(scope="session")
def store(start_stack: StartStack) -> ObjectStore:
    """A real SeaweedFS with the central bucket. Shared by the session: give each test a tenant or prefix of its own."""
    store = start_stack("seaweedfs").store()
    store.ensure_bucket(CENTRAL_BUCKET)
    return store


@pytest.fixture(scope="session")
def triton(start_stack: StartStack) -> Settings:
    """Settings with a real Triton of the region `mumbai`, the base resident, no release in it.

    Its address is `triton.triton["mumbai"]`, its files lie in `triton.region_root("mumbai")`, its keys in `keys_dir`.
    """
    return start_stack("triton-mumbai")
