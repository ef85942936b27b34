import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from orchestration.stack.ports import HOST, accepts, choose
from orchestration.stack.supervisor import (
    Entry,
    Part,
    StackError,
    is_ready,
    processes_of,
    read_ledger,
    running,
    spawn,
    stop,
    write_ledger,
)

Start = Callable[..., tuple[Part, Entry]]
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(99)"
PARENT = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {STUBBORN!r}]); time.sleep(99)"

# As Dagster does: what it does at SIGINT it does at SIGTERM.
LIKE_DAGSTER = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT)); print('up', flush=True)\n"
    "try: time.sleep(99)\n"
    "finally: print('ended well', flush=True)"
)

SHARING = (
    "import multiprocessing, signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    "lock = multiprocessing.get_context('spawn').Lock()\n"
    "print(lock._semlock.name, 'up', flush=True); time.sleep(99)"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """A part that runs some Python; it has said "up" when this returns, unless it is to fail."""
    entries: list[Entry] = []

    def start(program: str, fails: bool = False, **options: object) -> tuple[Part, Entry]:
        log = tmp_path / f"part-{len(entries)}.log"
        made = {"environment": os.environ, "address": "nowhere", "ready": lambda started: False, **options}
        part = Part(name="part", command=[sys.executable, "-c", program], **made)  # type: ignore[arg-type]
        entries.append(spawn(part, {}, log))
        if not fails:
            wait_until(lambda: "up" in log.read_text())
        return part, entries[-1]

    yield start
    stop(entries, grace=0)


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until, "waited 20 s in vain"
        time.sleep(0.02)


def test_a_process_that_ignores_sigterm_is_ended_with_its_child(start: Start) -> None:
    _, entry = start(PARENT)
    family = processes_of(entry)
    assert len(family) == 2
    stop([entry], grace=0.3)
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in family)
    assert running(entry) is None


def test_a_part_started_in_the_background_of_a_shell_still_ends_well(start: Start) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _, entry = start(LIKE_DAGSTER)
    finally:
        signal.signal(signal.SIGINT, before)
    stop([entry])
    assert "ended well" in Path(entry.log).read_text()


def test_what_a_killed_part_held_in_shared_memory_goes_with_it(start: Start) -> None:
    _, entry = start(SHARING)
    name, _ = Path(entry.log).read_text().split()
    held = Path(f"/dev/shm/sem.{name.removeprefix('/')}")
    assert held.exists()
    stop([entry], grace=0.1)
    assert not held.exists()


def test_the_orphan_of_a_killed_part_is_found_and_ended(start: Start) -> None:
    _, entry = start(PARENT)
    (child,) = (process for process in processes_of(entry) if process.pid != entry.pid)
    os.kill(entry.pid, signal.SIGKILL)
    wait_until(lambda: running(entry) is None)
    assert [process.pid for process in processes_of(entry)] == [child.pid]
    stop([entry], grace=0.3)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE


def test_a_pid_that_now_belongs_to_another_process_is_not_killed() -> None:
    stranger = subprocess.Popen(["sleep", "99"], start_new_session=True)
    try:
        stale = Entry(pid=stranger.pid, born=1)
        assert running(stale) is None
        assert processes_of(stale) == processes_of(Entry()) == []
        stop([stale], grace=0)
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_part_that_dies_at_start_shows_the_end_of_its_log(start: Start) -> None:
    part, entry = start("raise SystemExit('the disk is on fire')", fails=True)
    wait_until(lambda: running(entry) is None)
    with pytest.raises(StackError, match="part ended before it was ready") as refused:
        is_ready(part, entry)
    assert "the disk is on fire" in str(refused.value)
    assert entry.log in str(refused.value)


def test_a_part_that_never_answers_is_not_waited_for_forever(start: Start) -> None:
    part, entry = start(STUBBORN, patience=0.1)
    time.sleep(0.2)
    with pytest.raises(StackError, match="did not answer at nowhere within 0 s"):
        is_ready(part, entry)


def test_somebody_elses_answer_does_not_make_a_dead_part_ready(start: Start) -> None:
    part, entry = start("raise SystemExit(1)", fails=True, ready=lambda started: True)
    wait_until(lambda: running(entry) is None)
    with pytest.raises(StackError, match="ended before it was ready"):
        is_ready(part, entry)


def test_stop_removes_the_leftovers_of_its_part_and_nothing_else(start: Start, tmp_path: Path) -> None:
    (tmp_path / "ours-1").touch()
    (tmp_path / "theirs-1").touch()
    _, entry = start(STUBBORN, leftovers=(f"{tmp_path}/ours-*",))
    stop([entry], grace=0)
    assert not (tmp_path / "ours-1").exists()
    assert (tmp_path / "theirs-1").exists()


def test_a_damaged_ledger_is_an_error_not_an_empty_stack(tmp_path: Path) -> None:
    write_ledger(tmp_path, {"part": Entry(ports={"http": 1}, pid=2, born=3, started=4.5, log="x")})
    assert read_ledger(tmp_path) == {"part": Entry(ports={"http": 1}, pid=2, born=3, started=4.5, log="x")}
    (tmp_path / "stack.json").write_text('{"part": {"pid"')
    with pytest.raises(StackError, match="damaged"):
        read_ledger(tmp_path)


def test_ports_are_distinct_free_and_preferred_where_possible() -> None:
    import socket

    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        taken = busy.getsockname()[1]
        assert accepts(taken)
        chosen = choose({"wished": taken, **{str(number): None for number in range(200)}})
        assert taken not in chosen.values()
        assert len({*chosen.values()}) == 201
    assert choose({"wished": taken}) == {"wished": taken}
    assert choose({"wished": taken}, taken={taken}) != {"wished": taken}
