"""The audit log: what an entry adds to a promotion, what a proof and a whole verification cost, in the local S3.

Baseline of an append is `put_once` of the same bytes, one request after the other in the same run: an append is that,
two reads and the checkpoint. The log of 10,000 entries is laid out at once, as appends would have left it.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.report import arguments, publish
from governance.audit.acts import Act, entry
from governance.audit.checkpoint import Checkpoint, signed
from governance.audit.keys import create_audit_keys, log_key
from governance.audit.log import CHECKPOINT, PREFIX, Stored, append, entry_key
from governance.audit.proofs import prove, prove_growth
from governance.audit.tree import Hash, grown, leaf_hash, root
from governance.audit.verify import verify_log
from governance.audit.witness import witness
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import trusted_keys
from governance.custody.store import ObjectStore
from orchestration import stack
from orchestration.settings import load_settings

LARGE, QUICK = 10_000, 200
TIMES = 40
ACT = Act(
    what="promotion",
    who="the benchmark",
    why="recall of refunds rose by two points",
    tenant="northbank",
    model="northbank/support-intents",
    release="northbank.support-intents@7",
    region="mumbai",
    pointer=12,
    digests={"release": "a" * 64},
)


def main() -> None:
    args = arguments(__doc__ or "")
    with tempfile.TemporaryDirectory() as folder:
        settings = stack.start(load_settings(state_dir=Path(folder)), ["seaweedfs"])
        try:
            rows = measure(settings.store(), settings.keys_dir, settings.region_root("mumbai"), bool(args.quick))
        finally:
            stack.stop(settings)
    by_name = {(row["step"], row["entries"]): row for row in rows}
    large = QUICK if args.quick else LARGE
    measures = {
        "append_ms": by_name["append", large]["median_ms"],
        "append_ms_10": by_name["append", 10]["median_ms"],
        "put_once_ms": by_name["put_once, the baseline", large]["median_ms"],
        "append_ratio": by_name["append", large]["median_ms"] / by_name["put_once, the baseline", large]["median_ms"],
        "prove_ms": by_name["prove", large]["median_ms"],
        f"verify_s_{large}": by_name["verify", large]["median_ms"] / 1000,
    }
    publish("audit", args, measures, rows)


def measure(store: ObjectStore, keys_dir: Path, region_root: Path, quick: bool) -> list[dict[str, Any]]:
    """A row for each step at 10 entries and at many: median and 95th percentile, ms."""
    create_audit_keys(keys_dir, {"mumbai": region_root})
    rows = measure_at(10, store, keys_dir, region_root)
    (region_root / "witness" / "checkpoint").unlink()  # the larger log did not grow from this one
    return rows + measure_at(QUICK if quick else LARGE, store, keys_dir, region_root)


def measure_at(size: int, store: ObjectStore, keys_dir: Path, region_root: Path) -> list[dict[str, Any]]:
    lay_out(store, keys_dir, size)
    trusted, regions = trusted_keys(keys_dir), {"mumbai": region_root}
    body = entry(ACT, size, datetime.now(UTC), "run", "0" * 32)
    names = iter(range(TIMES))

    def add() -> object:
        return append(store, keys_dir, ACT, "run")

    def witnessed() -> object:
        return witness(store, trusted, "mumbai", region_root)

    return [
        timed("put_once, the baseline", size, lambda: store.put_once(CENTRAL_BUCKET, f"plain/{next(names)}", body)),
        timed("append", size, add),
        timed("prove", size, lambda: prove(store, trusted, size // 3)),
        timed("prove growth", size, lambda: prove_growth(store, trusted, size // 3)),
        timed("witness a new entry", size, witnessed, prepare=add),
        timed("verify", size, lambda: verify_log(store, trusted, regions), times=1),
    ]


def lay_out(store: ObjectStore, keys_dir: Path, size: int) -> None:
    """A log of `size` entries in the place of what is there."""
    for info in [*store.list(CENTRAL_BUCKET, PREFIX), *store.list(CENTRAL_BUCKET, "plain/")]:
        store.delete(CENTRAL_BUCKET, info.key, every_version=True)
    key, bodies = log_key(keys_dir), list[tuple[str, bytes]]()
    peaks: tuple[Hash, ...] = ()
    for index in range(size):
        line = entry(ACT, index, datetime.now(UTC), "run", f"{index:032}")
        before, peaks = peaks, grown(peaks, index, leaf_hash(line))
        note = signed(Checkpoint(index + 1, root(peaks)), key)
        bodies.append((entry_key(index), Stored(line, before, note).body()))
    with ThreadPoolExecutor(8) as writers:
        list(
            writers.map(lambda each: store.client.put_object(Bucket=CENTRAL_BUCKET, Key=each[0], Body=each[1]), bodies)
        )
    store.put(CENTRAL_BUCKET, CHECKPOINT, note.encode())


def timed(
    step: str, entries: int, do: Callable[[], object], times: int = TIMES, prepare: Callable[[], object] = lambda: None
) -> dict[str, Any]:
    took = []
    for _ in range(times):
        prepare()
        began = time.perf_counter()
        do()
        took.append((time.perf_counter() - began) * 1000)
    p95 = sorted(took)[int(len(took) * 0.95)]
    return {"step": step, "entries": entries, "times": times, "median_ms": statistics.median(took), "p95_ms": p95}


if __name__ == "__main__":
    main()
