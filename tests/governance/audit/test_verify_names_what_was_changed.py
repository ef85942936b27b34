"""Attacks on the log, by someone who holds the bucket and in the last ones the log's own key: each is named."""

import json
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.audit.checkpoint import AuditRefused, Checkpoint, signed
from governance.audit.keys import create_audit_keys, log_key, log_public
from governance.audit.log import Stored, read_head, read_stored
from governance.audit.tree import grown, leaf_hash, root
from governance.audit.verify import Verdict
from governance.audit.witness import kept_file, last_seen, witness_faults
from governance.custody.keys import private_pem
from tests.governance.audit.conftest import Log

SIZE = 11  # both regions have seen SEEN of them
SEEN = 8


@dataclass(frozen=True)
class Attack:
    """What is done to a log of SIZE entries, what `verify` says, and what a region that witnesses says (None: grew)."""

    do: Callable[[Log], None]
    said: str
    witness: str | None = None


def edit(index: int) -> Callable[[Log], None]:
    return lambda log: log.put(index, log.read(index).replace(b"a reason", b"a season"))


def swap(log: Log) -> None:
    one, other = log.read(2), log.read(6)
    log.put(2, other)
    log.put(6, one)


def close_the_gap(log: Log) -> None:
    """Entry 4 is taken out and those after it move up."""
    for index in range(4, SIZE - 1):
        log.put(index, log.read(index + 1))
    log.remove(SIZE - 1)


def close_the_gap_and_renumber(log: Log) -> None:
    for index in range(4, SIZE - 1):
        line, _, peaks = log.read(index + 1).partition(b"\n")
        moved = json.loads(line) | {"index": index}
        log.put(index, json.dumps(moved, separators=(",", ":"), sort_keys=True).encode() + b"\n" + peaks)


def cut_off(log: Log) -> None:
    log.remove(SIZE - 2, SIZE - 1)


def put_back_an_old_checkpoint(log: Log) -> None:
    """Of 5 entries; those after it are removed."""
    log.put("checkpoint", OLD[log.keys_dir])
    log.remove(*range(5, SIZE))


def only_put_back_an_old_checkpoint(log: Log) -> None:
    log.put("checkpoint", OLD[log.keys_dir])


def fork(log: Log) -> None:
    """With the log's key: everything from entry 5 on is rewritten and signed again."""
    put_back_an_old_checkpoint(log)
    log.append(SIZE - 5, why="another reason")


def rewrite_the_newest(log: Log) -> None:
    """With the log's key, what no region has seen yet: the one thing that nobody can tell."""
    log.put("checkpoint", OLD[log.keys_dir, SEEN])
    log.remove(*range(SEEN, SIZE))
    log.append(SIZE - SEEN, why="another reason")


def sign_with_another_key(log: Log) -> None:
    others = log.keys_dir.parent / "others"
    create_audit_keys(others, {})
    head = read_head(log.store, log_public(log.trusted))
    log.put("checkpoint", signed(head.checkpoint, log_key(others)).encode())


def change_peaks(log: Log) -> None:
    lines = log.read(7).split(b"\n")
    log.put(7, b"\n".join([lines[0], lines[2], lines[1], *lines[3:]]))


def rewrite_without_the_key(log: Log) -> None:
    """Entry 4 says something else, and all hashes after it are made to fit; only the signatures cannot be."""
    peaks: tuple[bytes, ...] = ()
    for index in range(SIZE):
        stored = read_stored(log.store, index)
        line = stored.line.replace(b"a reason", b"a season") if index == 4 else stored.line
        log.put(index, Stored(line, peaks, stored.note).body())
        peaks = grown(peaks, index, leaf_hash(line))


def put_ahead(log: Log) -> None:
    """The next appender must not take it along."""
    stored = read_stored(log.store, SIZE - 1)
    peaks = grown(stored.peaks, SIZE - 1, stored.leaf)
    line = stored.line.replace(b"a reason", b"approved by nobody")
    note = signed(
        Checkpoint(SIZE + 1, root(grown(peaks, SIZE, leaf_hash(line)))), ec.generate_private_key(ec.SECP256R1())
    )
    log.put(SIZE, Stored(line, peaks, note).body())
    with pytest.raises(AuditRefused, match=not_signed(SIZE)):
        log.append()


def not_signed(index: int) -> str:
    return f"entry {index} is not what was signed there"


OLD: dict[object, bytes] = {}

ATTACKS = {
    "the first entry is edited": Attack(edit(0), not_signed(0)),
    "an entry in the middle is edited": Attack(edit(5), not_signed(5)),
    "the last entry is edited": Attack(edit(SIZE - 1), not_signed(SIZE - 1), "does not begin with"),
    "an entry is no entry any more": Attack(
        lambda log: log.put(3, b"nothing\n"), f"{not_signed(3)}.*nothing that an entry says"
    ),
    "an entry is removed": Attack(lambda log: log.remove(4), "entry 4 is gone"),
    "two entries change places": Attack(swap, f"{not_signed(2)}.*it says: entry 6, promotion of northbank"),
    "an entry is removed and the others move up": Attack(
        close_the_gap, f"entry {SIZE - 1} is gone.*{not_signed(4)}.*it says: entry 5", "is gone"
    ),
    "and are renumbered": Attack(close_the_gap_and_renumber, not_signed(4), "does not begin"),
    "everything is rewritten without the key": Attack(rewrite_without_the_key, not_signed(4)),
    "an entry is put where the next one goes": Attack(put_ahead, not_signed(SIZE)),
    "objects are put beyond the end": Attack(
        lambda log: (log.put(SIZE + 9, log.read(1)), log.put("entries/x", b"")),  # type: ignore[arg-type,return-value]
        f"{SIZE + 9:010} lies beyond the end of the log.*entries/x lies beyond",
    ),
    "the last entries are cut off": Attack(cut_off, f"entry {SIZE - 2} is gone", "is gone"),
    "an old checkpoint is put back, the rest cut off": Attack(
        put_back_an_old_checkpoint, "countersigned 8 entries, the checkpoint covers 5: entries 5 to 7 were cut off",
        "countersigned 8 entries and the checkpoint covers 5",
    ),
    "an old checkpoint is put back": Attack(
        only_put_back_an_old_checkpoint, "or an old checkpoint was put back", "the checkpoint covers 5"
    ),
    "the checkpoint is removed": Attack(lambda log: log.remove("checkpoint"), "checkpoint is gone", "is gone"),
    "the checkpoint is edited": Attack(
        lambda log: log.put("checkpoint", log.read("checkpoint").replace(b"\n11\n", b"\n10\n")),
        "not signed by pedigree/audit: it was edited", "it was edited",
    ),
    "another key signs the checkpoint": Attack(sign_with_another_key, "another key signed it", "another key signed it"),
    "peaks are changed": Attack(change_peaks, "the peaks stored with entry 7 were changed; the entry itself is whole"),
    "a witness's copy is edited": Attack(
        lambda log: log.put("witness/mumbai", log.read("witness/mumbai").replace(b"\n8\n", b"\n9\n")),
        "what mumbai countersigned .* cannot be trusted",
    ),
    "with the log's key: a fork": Attack(
        fork,
        "the 8 entries that mumbai countersigned had another root: one of the entries 0 to 7 was rewritten .* a fork",
        "does not begin with the 8 that mumbai countersigned",
    ),
}  # fmt: skip


@pytest.fixture
def seen(log: Log) -> Log:
    log.append(5)
    OLD[log.keys_dir] = log.read("checkpoint")
    log.append(SEEN - 5)
    OLD[log.keys_dir, SEEN] = log.read("checkpoint")
    log.witness("mumbai")
    log.witness("frankfurt")
    log.append(SIZE - SEEN)
    return log


def test_the_log_before_any_attack_holds(seen: Log) -> None:
    assert seen.verify() == Verdict(SIZE, 0, {"mumbai": SEEN, "frankfurt": SEEN}, [])
    assert witness_faults(seen.store, seen.trusted, "mumbai", seen.regions["mumbai"]) == []


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_an_attack_is_found_and_named(seen: Log, attack: Attack) -> None:
    attack.do(seen)
    faults = seen.verify().faults
    assert re.search(attack.said, "; ".join(faults)), faults
    kept = kept_file(seen.regions["mumbai"]).read_bytes()
    told = witness_faults(seen.store, seen.trusted, "mumbai", seen.regions["mumbai"])
    if attack.witness:
        assert re.search(attack.witness, "; ".join(told)), told
        assert kept_file(seen.regions["mumbai"]).read_bytes() == kept, "a witness gave up what it had seen"


def test_a_fork_is_narrowed_down_by_what_the_other_region_saw(seen: Log) -> None:
    """One region saw 8 entries, the other 11; the fork keeps the first 8."""
    seen.witness("frankfurt")
    rewrite_the_newest(seen)
    (fault,) = seen.verify().faults
    assert "frankfurt countersigned had another root: one of the entries 8 to 10 was rewritten" in fault
    with pytest.raises(AuditRefused, match="the 11 that frankfurt countersigned"):
        seen.witness("frankfurt")
    seen.witness("mumbai")


def test_what_no_region_saw_before_it_was_rewritten_is_the_limit_of_the_log(seen: Log) -> None:
    """Stated, not hidden: between an append and the next look of any region, the holder of the log's key can lie."""
    rewrite_the_newest(seen)
    assert seen.verify().faults == []


def test_a_wiped_region_still_knows_what_it_published(seen: Log) -> None:
    kept_file(seen.regions["mumbai"]).unlink()
    fork(seen)
    with pytest.raises(AuditRefused, match="the 8 that mumbai countersigned"):
        seen.witness("mumbai")


def test_a_region_that_lost_its_key_is_not_believed_until_a_person_says_so(seen: Log) -> None:
    root = seen.regions["mumbai"]
    (root / "witness" / "witness-mumbai.pem").write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    create_audit_keys(seen.keys_dir, seen.regions)
    (told,) = witness_faults(seen.store, seen.trusted, "mumbai", root)
    assert "nobody trusts" in told and "witness-mumbai.pub" in told


def test_a_witness_that_is_up_to_date_writes_nothing(seen: Log) -> None:
    seen.witness("mumbai")
    kept = kept_file(seen.regions["mumbai"])
    before, published = kept.stat().st_mtime_ns, seen.read("witness/mumbai")
    seen.witness("mumbai")
    assert kept.stat().st_mtime_ns == before and seen.read("witness/mumbai") == published


def test_a_region_that_looks_many_times_at_once_never_goes_back(seen: Log) -> None:
    sizes = []

    def look() -> None:
        for _ in range(3):
            seen.append()
            seen.witness("mumbai")
            sizes.append(last_seen(seen.store, seen.trusted, "mumbai", seen.regions["mumbai"]).size)  # type: ignore[union-attr]

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen.verify() == Verdict(SIZE + 12, 0, {"mumbai": max(sizes), "frankfurt": SEEN}, [])
    assert max(sizes) == SIZE + 12


def test_a_log_without_entries_has_nothing_to_witness(log: Log) -> None:
    log.witness("mumbai")
    assert not kept_file(log.regions["mumbai"]).exists()
    assert log.verify() == Verdict(0, 0, {"mumbai": 0, "frankfurt": 0}, [])
