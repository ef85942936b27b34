"""SIGKILL at random moments of a region's sync: is what the pointer on disk names ever torn, and does the next finish?

The sync is a process of its own, without a Triton: what would be mounted is read back and verified after each kill.
"""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from benchmarks import releases
from governance.custody.keys import TrustedKeys, private_key
from governance.custody.store import ObjectStore
from governance.custody.verify import ReleaseRefused, verify_release
from governance.tenants import Release
from serving.replication.replica import Place
from serving.triton.repository import POINTER, read_pointer

SYNC = """
import json, os, sys
from pathlib import Path
from governance.custody.keys import private_key
from governance.custody.store import ObjectStore
from serving.replication.metrics import Metrics
from serving.replication.replica import Place, Replica

region, root, keys_dir, base = sys.argv[1:]
given = (os.environ[f"PEDIGREE_S3_{name}"] for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"))
store = ObjectStore(*given, "us-east-1")
place = Place(region, Path(root), "", base, private_key(Path(keys_dir), f"{region}.region"))
replica = Replica(store, place, Metrics(), lambda line: None, ask=lambda *_: None)
print("begins", flush=True)
replica.tick()
replica.wait()
print(json.dumps(replica.status()), flush=True)
"""


@dataclass(frozen=True)
class Killed:
    torn: int
    recovered: int
    cut: int  # kills that came before the sync was done


def kill_syncs(
    store: ObjectStore, keys_dir: Path, region: str, root: Path, pair: list[tuple[Release, str]], base: str, times: int
) -> Killed:
    """Point to the two releases in turn, the other fetched anew each time, and kill each sync once at random."""
    served, place = pair[0][0].served_name, Place(region, root, "", base, private_key(keys_dir, f"{region}.region"))
    torn = recovered = cut = 0
    took, draw = 0.0, random.Random(0)
    for turn in range(times + 2):
        release, digest = pair[turn % 2]
        for place_of in ("models", "archive"):
            shutil.rmtree(root / place_of / served / str(release.number), ignore_errors=True)
        releases.point(store, keys_dir, release, digest, region)
        if turn < 2:
            took = _whole(place, keys_dir)
            continue
        cut += _killed(place, keys_dir, draw.uniform(0, took))
        torn += not _whole_on_disk(root, served, place.trusted, base)
        _whole(place, keys_dir)
        recovered += read_pointer(root / "models" / served / POINTER) == (release.number, digest)
    return Killed(torn, recovered, cut)


def _killed(place: Place, keys_dir: Path, after: float) -> bool:
    with _process(place, keys_dir) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(after)
        running = process.poll() is None
        process.send_signal(signal.SIGKILL)
        return running


def _whole(place: Place, keys_dir: Path) -> float:
    """Seconds of a sync that nobody kills."""
    with _process(place, keys_dir) as process:
        assert process.stdout is not None
        process.stdout.readline()
        began = time.monotonic()
        said = process.stdout.readline()
        took = time.monotonic() - began
    assert json.loads(said)["fault"] is None, said
    return took


def _whole_on_disk(root: Path, served: str, trusted: TrustedKeys, base: str) -> bool:
    """Whether what the pointer names is a release that passes; that is what Triton would mount."""
    pointed = read_pointer(root / "models" / served / POINTER)
    if pointed is None:
        return True
    number, digest = pointed
    try:
        verify_release(root / "models" / served / str(number), trusted, served.replace(".", "/"), digest, base)
    except ReleaseRefused:
        return False
    return True


def _process(place: Place, keys_dir: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", SYNC, place.name, str(place.root), str(keys_dir), place.base_sha256]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
