"""Starts, watches and stops local servers. What each server is stands in the file of that server.

A part outlives the command that starts it: it runs in a session of its own, and `<state_dir>/stack.json` keeps its
ports, log, pid and the moment that pid was born. A pid that was born at another moment is another process: it is
never taken for the part and never killed.
"""

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil

from orchestration.settings import CHECKOUT

LOG_TAIL = 25
NOBODY, NEVER = -1, -2  # instead of the birth of a process that is gone, of one that never was
GRACE = 15.0
SHARED_MEMORY = Path("/dev/shm")


class StackError(RuntimeError):
    """A part could not be started or stopped; the message names the part, what happened, and its log."""


@dataclass(frozen=True)
class Part:
    """One local server. `ready(started)` asks the server that was started at that time (seconds since the epoch)
    whether it does its work; it answers within seconds, and raises StackError for a fault that waiting cannot heal."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    address: str
    ready: Callable[[float], bool]
    prepare: Callable[[], None] = lambda: None  # files that must lie ready before it starts
    working_directory: Path = CHECKOUT
    patience: float = 180.0  # seconds until it must be ready
    leftovers: tuple[str, ...] = ()  # patterns of files of its own that a crash leaves outside of the state_dir


@dataclass
class Entry:
    """What stack.json keeps of a part, also while it is down."""

    ports: dict[str, int] = field(default_factory=dict)
    pid: int = 0
    born: int = NEVER
    started: float = 0.0  # seconds since the epoch
    log: str = ""
    leftovers: list[str] = field(default_factory=list)
    level: int = 0  # it and the parts it needs, counted; the higher the earlier it is stopped


def read_ledger(state_dir: Path) -> dict[str, Entry]:
    """What stack.json says, by part. Raises StackError when it cannot be read."""
    file = state_dir / "stack.json"
    if not file.exists():
        return {}
    try:
        return {name: Entry(**entry) for name, entry in json.loads(file.read_text()).items()}
    except (ValueError, TypeError) as broken:
        raise StackError(f"{file} is damaged ({broken}); stop what still runs by hand and remove the file") from broken


def write_ledger(state_dir: Path, ledger: Mapping[str, Entry]) -> None:
    file = state_dir / "stack.json"
    partial = file.with_suffix(".partial")
    partial.write_text(json.dumps({name: asdict(entry) for name, entry in ledger.items()}, indent=2))
    partial.rename(file)


@contextlib.contextmanager
def one_at_a_time(state_dir: Path) -> Iterator[None]:
    """Two commands never start or stop the same stack at once; the second waits."""
    state_dir.mkdir(parents=True, exist_ok=True)
    with (state_dir / "stack.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def running(entry: Entry) -> psutil.Process | None:
    """The part's process, if it is still the one that was started."""
    if _born(entry.pid) != entry.born:
        return None
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(entry.pid)
        return None if _ended(process) else process
    return None


def spawn(part: Part, ports: dict[str, int], log: Path) -> Entry:
    """Start the part, detached from this command; its output goes to `log`. Raises StackError."""
    part.prepare()
    log.parent.mkdir(parents=True, exist_ok=True)
    try:
        with log.open("wb") as output:
            child = subprocess.Popen(
                list(part.command),
                cwd=part.working_directory,
                env=dict(part.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )
    except OSError as refused:
        raise StackError(f"{part.name} cannot be started: {refused}; run `make install`") from refused
    child.returncode = 0  # it is meant to outlive this object: no warning, no waiting
    return Entry(ports, child.pid, _born(child.pid), time.time(), str(log), list(part.leftovers))


def is_ready(part: Part, entry: Entry) -> bool:
    """Whether the part answers by now. Raises StackError, with the tail of its log, when it died or took too long."""
    answers = part.ready(entry.started)
    if running(entry) is None:
        raise StackError(f"{part.name} ended before it was ready; its log, {entry.log}, ends:\n{_tail(entry.log)}")
    if not answers and time.time() - entry.started > part.patience:
        raise StackError(
            f"{part.name} did not answer at {part.address} within {part.patience:.0f} s; "
            f"its log, {entry.log}, ends:\n{_tail(entry.log)}"
        )
    return answers


def stop(entries: Sequence[Entry], grace: float = GRACE) -> None:
    """End these parts with all their processes: SIGTERM, then SIGKILL to what outlives `grace` seconds.

    A server is asked alone first, because it ends its own children best. Raises StackError.
    """
    family = [member for entry in entries for member in processes_of(entry)]
    shared = {file for member in family for file in _shared_memory(member)}
    roots = [member for member in family if member.pid in {entry.pid for entry in entries}]
    _signal(roots, signal.SIGTERM, grace / 3)
    _signal(family, signal.SIGTERM, grace)
    family += [member for entry in entries for member in processes_of(entry)]  # started since
    _signal(family, signal.SIGKILL, 5)
    if left := [member.pid for member in family if not _ended(member)]:
        raise StackError(f"processes {left} survived SIGKILL; the kernel holds them, look at `ps -o pid,stat,wchan`")
    patterns = {Path(pattern) for entry in entries for pattern in entry.leftovers}
    for file in shared | {file for pattern in patterns for file in pattern.parent.glob(pattern.name)}:
        file.unlink(missing_ok=True)


def processes_of(entry: Entry) -> list[psutil.Process]:
    """The part's process, its descendants, and what is left of its session after the part itself died."""
    if entry.born == NEVER or _born(entry.pid) not in (entry.born, NOBODY):
        return []  # the pid is somebody else's now: the kernel gives it away only when its session is empty
    root = running(entry)
    family = {root, *root.children(recursive=True)} if root else set()
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, ProcessLookupError):
            if os.getsid(process.pid) == entry.pid and not _ended(process):
                family.add(process)
    return list(family)


def _hear_interrupts() -> None:
    """In the child: what a shell starts in the background ignores SIGINT, and Dagster then ignores SIGTERM too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _shared_memory(process: psutil.Process) -> set[Path]:
    """Its files in /dev/shm, as the semaphores of Dagster's run launcher: who is ended by a signal leaves them.

    Found by inode: glibc renames a semaphore after it was mapped.
    """
    try:
        maps = [line.split(maxsplit=5) for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()]
        mapped = {int(fields[4]) for fields in maps if fields[-1].startswith(f"{SHARED_MEMORY}/")}
        return {Path(file.path) for file in os.scandir(SHARED_MEMORY) if file.inode() in mapped}
    except OSError:  # it ended meanwhile
        return set()


def _born(pid: int) -> int:
    """Clock ticks from the boot to the start of the process: no change of the clock moves it, as it moves a time."""
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (FileNotFoundError, ProcessLookupError):
        return NOBODY


def _signal(processes: Sequence[psutil.Process], number: int, patience: float) -> None:
    """Send the signal to those that still run, and wait up to `patience` seconds until all have ended."""
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            if not _ended(process):
                process.send_signal(number)
    until = time.monotonic() + patience
    while not all(_ended(process) for process in processes) and time.monotonic() < until:
        time.sleep(0.05)


def _ended(process: psutil.Process) -> bool:
    """A zombie without threads has ended: in a container nobody may collect it. Our own child is collected here."""
    with contextlib.suppress(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    try:
        if not process.is_running():
            return True
        return process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1
    except psutil.NoSuchProcess:
        return True


def _tail(log: str) -> str:
    return "\n".join(Path(log).read_text(errors="replace").splitlines()[-LOG_TAIL:])
