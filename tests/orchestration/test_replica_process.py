"""The replica as `pedigree up` runs it: it follows pointers when woken, outlives SIGKILL, ends on SIGTERM."""

import json
import os
import signal
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from assets.deployment.promote import PromotionFailed, RegionHome, follow
from benchmarks import releases
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import sha256_file
from governance.custody.keys import trusted_keys
from governance.tenants import Release
from governance.trust.live import read_live
from orchestration import stack
from orchestration.settings import Settings
from orchestration.stack import replica, supervisor
from serving.triton.client import ask

REGION, PART = "mumbai", "replica-mumbai"
ONE, TWO, THREE = (Release.parse(f"northbank.support-intents@{number}") for number in (1, 2, 3))


@pytest.fixture(scope="module")
def settings(start_stack: Callable[..., Settings]) -> Settings:
    return start_stack(PART)


@pytest.fixture(scope="module")
def digests(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> dict[Release, str]:
    work = tmp_path_factory.mktemp("work")
    return {
        release: releases.publish(settings.store(), settings.keys_dir, release, work / str(release), release.number)
        for release in (ONE, TWO, THREE)
    }


def home(settings: Settings) -> RegionHome:
    return RegionHome(REGION, settings.region_root(REGION), settings.triton[REGION], settings.replicas[REGION])


def get(settings: Settings, path: str) -> str:
    with urllib.request.urlopen(settings.replicas[REGION] + path, timeout=5) as reply:
        return str(reply.read().decode())


def test_a_promotion_is_followed_and_told(settings: Settings, digests: dict[Release, str]) -> None:
    pointer = releases.point(settings.store(), settings.keys_dir, ONE, digests[ONE], REGION)
    said = follow(settings.store(), settings.keys_dir, home(settings), pointer)
    assert (said.release, said.digest, said.refused) == (str(ONE), digests[ONE], None)
    assert ask(settings.triton[REGION], ONE.served_name, ["x"]).release_digest == digests[ONE]
    assert json.loads(get(settings, "/status"))["models"][ONE.model]["release"] == str(ONE)
    metrics = get(settings, "/metrics")
    assert "pedigree_replica_switches_total 1.0" in metrics
    assert f'pedigree_replica_lag_seconds{{model="{ONE.model}"}} 0.0' in metrics


def test_killed_it_is_taken_up_by_the_next_up(settings: Settings, digests: dict[Release, str]) -> None:
    pid = supervisor.read_ledger(settings.state_dir)[PART].pid
    os.kill(pid, signal.SIGKILL)
    pointer = releases.point(settings.store(), settings.keys_dir, TWO, digests[TWO], REGION)
    assert ask(settings.triton[REGION], TWO.served_name, ["x"]).release_digest == digests[ONE]
    again = stack.start(settings, [PART])
    assert follow(again.store(), again.keys_dir, home(again), pointer).release == str(TWO)
    assert ask(settings.triton[REGION], TWO.served_name, ["x"]).release_digest == digests[TWO]


def test_a_refusal_fails_the_promotion_with_the_regions_own_words(
    settings: Settings, digests: dict[Release, str], tmp_path: Path
) -> None:
    store = settings.store()
    releases.signed(tmp_path, settings.keys_dir, THREE, THREE.number)
    weights = sha256_file(tmp_path / "signed" / "adapter_model.safetensors")
    key = f"northbank/blobs/sha256/{weights[:2]}/{weights}"
    body = store.read(CENTRAL_BUCKET, key)
    store.put(CENTRAL_BUCKET, key, bytes(len(body)))
    pointer = releases.point(store, settings.keys_dir, THREE, digests[THREE], REGION)
    with pytest.raises(PromotionFailed, match=rf"mumbai refuses {THREE}: .*was altered.*{TWO} answers there"):
        follow(store, settings.keys_dir, home(settings), pointer)
    assert ask(settings.triton[REGION], TWO.served_name, ["x"]).release_digest == digests[TWO]
    standing = read_live(store, THREE.tenant, THREE.task, REGION, trusted_keys(settings.keys_dir))
    assert standing == pointer


def test_it_is_told_its_limits(settings: Settings) -> None:
    limited = settings.model_copy(update={"replication_bandwidth": 5e6, "replication_disk_reserve": 123})
    told = " ".join(replica.part(limited, REGION, {"http": 1}, "http://127.0.0.1:9").command)
    assert "--bytes-per-second 5000000.0" in told and "--disk-reserve 123" in told
    assert "--bytes-per-second" not in replica.part(settings, REGION, {"http": 1}, "http://127.0.0.1:9").command


def test_it_yields_the_processor_to_the_server(settings: Settings) -> None:
    process = psutil.Process(supervisor.read_ledger(settings.state_dir)[PART].pid)
    assert process.nice() == 10
    shared = Path(f"/proc/{process.pid}/autogroup")
    if not shared.exists():
        pytest.skip("this kernel does not share processors among sessions")
    assert shared.read_text().split()[-2:] == ["nice", "10"]


def test_it_ends_on_sigterm(settings: Settings) -> None:
    pid = supervisor.read_ledger(settings.state_dir)[PART].pid
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + 10
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, "it still runs"
        time.sleep(0.05)
