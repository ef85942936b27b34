import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import yaml

from governance.custody.keys import trusted_keys
from orchestration import stack
from orchestration.settings import Settings, load_settings
from orchestration.stack import dagster, supervisor
from orchestration.stack.ports import HOST

PEDIGREE = Path(sys.executable).parent / "pedigree"


@pytest.fixture
def settings(tmp_path: Path) -> Iterator[Settings]:
    settings = load_settings(state_dir=tmp_path)
    yield settings
    stack.stop(settings)


def entry_of(settings: Settings, part: str) -> supervisor.Entry:
    return supervisor.read_ledger(settings.state_dir)[part]


def kill(entry: supervisor.Entry) -> None:
    for process in supervisor.processes_of(entry):
        process.send_signal(signal.SIGKILL)
    while supervisor.processes_of(entry):
        time.sleep(0.05)


def shared_memory(settings: Settings) -> list[Path]:
    patterns = entry_of(settings, "triton-mumbai").leftovers
    return [file for pattern in patterns for file in Path(pattern).parent.glob(Path(pattern).name)]


def test_after_kill_9_up_brings_the_store_back_on_its_port_with_what_it_acknowledged(settings: Settings) -> None:
    settings = stack.start(settings, ["seaweedfs"])
    store, before = settings.store(), entry_of(settings, "seaweedfs")
    store.ensure_bucket("bucket")
    store.put_once("bucket", "acknowledged", b"kept")
    kill(before)
    assert not stack.health(settings)[0].healthy
    again = stack.start(settings, ["seaweedfs"])
    assert again.s3_endpoint == settings.s3_endpoint
    assert entry_of(settings, "seaweedfs").pid != before.pid
    assert again.store().read("bucket", "acknowledged") == b"kept"
    assert stack.start(settings, ["seaweedfs"]) == again
    assert len(supervisor.processes_of(entry_of(settings, "seaweedfs"))) == 1, "a second one was started"


def test_a_port_that_was_taken_while_the_stack_was_down_is_not_fought_for(settings: Settings) -> None:
    settings = stack.start(settings, ["seaweedfs"])
    settings.store().ensure_bucket("bucket")
    settings.store().put_once("bucket", "key", b"kept")
    stack.stop(settings)
    port = entry_of(settings, "seaweedfs").ports["s3"]
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind((HOST, port))
        thief.listen()
        moved = stack.start(settings, ["seaweedfs"])
        assert moved.s3_endpoint != settings.s3_endpoint
        assert moved.store().read("bucket", "key") == b"kept"


def test_two_ups_at_once_start_one_stack(settings: Settings) -> None:
    program = (
        "import sys; from pathlib import Path; from orchestration import stack; "
        "from orchestration.settings import load_settings; "
        "print(stack.start(load_settings(state_dir=Path(sys.argv[1])), ['seaweedfs']).s3_endpoint)"
    )
    command = [sys.executable, "-c", program, str(settings.state_dir)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    addresses = {process.communicate(timeout=120)[0] for process in both}
    assert len(addresses) == 1
    homes = [process.cwd() for process in psutil.process_iter() if process.name() == "weed"]
    assert homes.count(str(settings.state_dir / "seaweedfs")) == 1


def test_neither_a_crash_nor_down_leaves_a_process_or_shared_memory(settings: Settings) -> None:
    settings = stack.start(settings, ["seaweedfs", "triton-mumbai"])
    kill(entry_of(settings, "triton-mumbai"))
    crashed = {*shared_memory(settings)}
    assert crashed, "the test looks for a name that Triton does not use"
    again = stack.start(settings, ["seaweedfs", "triton-mumbai"])
    assert again.triton == settings.triton
    assert crashed.isdisjoint(shared_memory(settings))
    ledger = supervisor.read_ledger(settings.state_dir)
    family = [process for entry in ledger.values() for process in supervisor.processes_of(entry)]
    assert {"weed", "tritonserver", "triton_python_backend_stub"} <= {process.name() for process in family}
    listening = [c.laddr.ip for p in family for c in p.net_connections("tcp") if c.status == psutil.CONN_LISTEN]
    assert {address.removeprefix("::ffff:") for address in listening} == {HOST}
    assert sorted(stack.stop(settings)) == ["seaweedfs", "triton-mumbai"]
    assert not [process for process in family if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]
    assert shared_memory(settings) == []
    assert stack.stop(settings) == []


def test_a_part_that_does_not_exist_is_named_with_those_that_do(settings: Settings) -> None:
    with pytest.raises(supervisor.StackError, match="no part 'spark'; it has seaweedfs, mlflow, pages, triton-mumbai"):
        stack.start(settings, ["spark"])


def test_the_command_line_says_what_is_down_and_fails(settings: Settings) -> None:
    environment = {**os.environ, "PEDIGREE_STATE_DIR": str(settings.state_dir), "COLUMNS": "200"}

    def pedigree(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([PEDIGREE, *arguments], env=environment, capture_output=True, text=True, check=False)

    status = pedigree("status")
    assert status.returncode == 1
    assert status.stdout.count("not running") == len(stack.plans(settings))
    (settings.state_dir / "settings.toml").write_text('executor = "ray"\n')
    broken = pedigree("status")
    assert broken.returncode == 1
    assert "Traceback" not in broken.stderr
    assert "settings.toml" in broken.stderr


def test_every_key_that_the_regions_trust_is_there_before_they_start(settings: Settings) -> None:
    settings = stack.start(settings, ["seaweedfs"])
    trusted = {file.name for file in trusted_keys(settings.keys_dir).folder.iterdir()}
    assert {f"{tenant}.release.pub" for tenant in settings.company().tenants} < trusted


def test_dagster_keeps_nothing_outside_of_the_state_dir(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    dagster.write_instance(settings)
    home = dagster.dagster_home(settings)
    declared = json.dumps(yaml.safe_load((home / "dagster.yaml").read_text()))
    assert ".pedigree" not in declared
    assert declared.count(f"{settings.state_dir}/dagster") == 3
    from dagster import DagsterInstance

    monkeypatch.chdir("/")
    with DagsterInstance.from_config(str(home)) as instance:
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_settings["free_slots_after_run_end_seconds"] > 0
        assert instance.get_concurrency_config().pool_config.default_pool_limit == 1
