"""Whatever races or is killed, each act is in the log once, under a signed checkpoint, before its append returns."""

import itertools
import json
import multiprocessing
import os
import random
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.synchronize import Event as EventType

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.audit.acts import Act
from governance.audit.checkpoint import AuditRefused, Checkpoint, signed
from governance.audit.keys import log_public
from governance.audit.log import append, read_head, read_stored
from governance.custody.keys import KeyRefused, private_pem
from governance.custody.store import ObjectInfo, ObjectStore
from tests.governance.audit.conftest import Log


def whys(log: Log) -> list[str]:
    return [read_stored(log.store, index).said["why"] for index in range(log.size())]


def test_an_entry_says_who_did_what_why_when_and_in_which_run(log: Log) -> None:
    act = Act(what="rollback", who="grace", why="recall fell", release="northbank.support-intents@1", pointer=3)
    assert append(log.store, log.keys_dir, act, run="run-7") == 0
    said = json.loads(log.read(0).split(b"\n")[0])
    assert {name: said[name] for name in ("what", "who", "why", "pointer", "index", "run")} == {
        **{"what": "rollback", "who": "grace", "why": "recall fell", "pointer": 3, "index": 0, "run": "run-7"}
    }
    assert said["at"].endswith("+00:00") and len(said["salt"]) == 32 and "subject" not in said


def test_a_log_grows_and_every_size_holds(log: Log) -> None:
    for expected in range(20):
        assert log.append() == expected
        assert log.size() == expected + 1
    verdict = log.verify()
    assert (verdict.size, verdict.pending, verdict.faults) == (20, 0, [])


def test_racing_appenders_all_end_in_the_log_once_each(log: Log) -> None:
    log.append(3)
    faults: list[Exception] = []
    start = threading.Barrier(6)

    def run(name: int) -> None:
        start.wait()
        try:
            for number in range(5):
                log.append(why=f"appender {name}, act {number}")
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=run, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    expected = [f"appender {name}, act {number}" for name in range(6) for number in range(5)]
    assert sorted(whys(log)[3:]) == sorted(expected)
    assert not log.verify().faults and log.verify().pending == 0


def test_the_first_appenders_race_as_well(log: Log) -> None:
    threads = [threading.Thread(target=log.append) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.size() == 4 and not log.verify().faults


class Killed(BaseException):
    """No `except` of ours catches it."""


class DyingStore:
    """The real store, until the process would be killed: before or after its n-th write."""

    def __init__(self, store: ObjectStore, writes: int, after: bool) -> None:
        self.store, self.left, self.after = store, writes, after

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def put_once(self, *args: object) -> ObjectInfo:
        return self._write(self.store.put_once, *args)

    def replace(self, *args: object) -> ObjectInfo:
        return self._write(self.store.replace, *args)

    def _write(self, write: Callable[..., ObjectInfo], *args: object) -> ObjectInfo:
        self.left -= 1
        if self.left or self.after:
            info = write(*args)
        if not self.left:
            raise Killed
        return info


@pytest.mark.parametrize("before", [0, 1, 5])
@pytest.mark.parametrize(("writes", "after"), [(1, False), (1, True), (2, False), (2, True)])
def test_a_kill_at_any_write_leaves_a_log_that_the_next_append_completes(
    log: Log, before: int, writes: int, after: bool
) -> None:
    if before:
        log.append(before)
    dying = DyingStore(log.store, writes, after)
    with pytest.raises(Killed):
        append(dying, log.keys_dir, Act(what="promotion", who="a", why="killed"))  # type: ignore[arg-type]
    written = (writes, after) != (1, False)
    covered = (writes, after) == (2, True)
    if before or covered:
        verdict = log.verify()
        assert (verdict.size, verdict.pending) == (before + covered, written and not covered)
        assert not verdict.faults
    log.append(why="the next")
    assert whys(log)[before:] == (["killed"] if written else []) + ["the next"]
    assert not log.verify().faults and log.verify().pending == 0


def test_processes_killed_at_random_moments_leave_a_whole_log(log: Log) -> None:
    """SIGKILL from outside, as a machine would do it; the next append finds the log as it is and goes on."""
    forks, draw = multiprocessing.get_context("fork"), random.Random(9)
    endpoint, secrets = log.store.client.meta.endpoint_url, log.store.client._request_signer._credentials
    for _ in range(12):
        begun = forks.Event()
        store = (endpoint, secrets.access_key, secrets.secret_key, "us-east-1")
        process = forks.Process(target=append_for_ever, args=(log, store, begun))
        process.start()
        assert begun.wait(60)
        time.sleep(draw.uniform(0, 0.06))
        process.kill()
        process.join()
    assert not log.verify().faults
    log.append(why="the last")
    said = whys(log)
    assert said[-1] == "the last" and len(said) > 12
    runs = [read_stored(log.store, index).said.get("run") for index in range(log.size() - 1)]
    assert len(runs) == len(set(runs)), "an act is in the log twice"
    assert log.verify().pending == 0 and not log.verify().faults


def append_for_ever(log: Log, store: tuple[str, str, str, str], begun: EventType) -> None:
    own = ObjectStore(*store)
    for number in itertools.count():
        append(own, log.keys_dir, Act(what="approval", who="a", why="again"), run=f"{os.getpid()}-{number}")
        begun.set()


def test_an_appender_whose_answer_was_lost_does_not_write_twice(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The client library asks again after a lost answer, and is then told that the key is taken: by itself."""
    put_once = ObjectStore.put_once

    def twice(*args: object) -> ObjectInfo:
        put_once(*args)  # type: ignore[arg-type]
        return put_once(*args)  # type: ignore[arg-type]

    log.append(2)
    monkeypatch.setattr(ObjectStore, "put_once", twice)
    assert log.append() == 2
    assert log.size() == 3


def test_nothing_is_appended_to_a_log_that_is_not_what_was_signed(log: Log) -> None:
    log.append(4)
    good, checkpoint = log.read(3), log.read("checkpoint")
    log.put(3, good.replace(b"a reason", b"a season"))
    with pytest.raises(AuditRefused, match="entry 3 does not give the root"):
        log.append()
    log.remove(3)
    with pytest.raises(AuditRefused, match="entry 3 is gone; restore"):
        log.append()
    log.put(3, good)
    log.put("checkpoint", checkpoint.replace(b"\n4\n", b"\n3\n"))
    with pytest.raises(AuditRefused, match="checkpoint cannot be trusted: it is not signed by pedigree/audit"):
        log.append()
    log.put("checkpoint", checkpoint)
    log.witness()
    log.remove("checkpoint")
    with pytest.raises(AuditRefused, match="is gone, but regions have countersigned one"):
        log.append()


def test_an_appender_with_another_key_changes_nothing(log: Log) -> None:
    log.append(2)
    before = log.read("checkpoint")
    (log.keys_dir / "audit.pem").write_bytes(private_pem(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(KeyRefused, match="is not the one that is trusted"):
        log.append()
    assert log.read("checkpoint") == before


def test_an_appender_that_loses_the_checkpoint_signs_only_over_a_larger_log(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between its entry and its checkpoint another appender came and went; its larger checkpoint must stay."""
    log.append(2)
    replace = ObjectStore.replace
    came: Iterator[None] = iter([None])

    def after_another(store: ObjectStore, *args: object) -> ObjectInfo:
        for _ in came:
            log.append(why="the other")
        return replace(store, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(ObjectStore, "replace", after_another)
    assert log.append(why="ours") == 2
    assert whys(log)[2:] == ["ours", "the other"]


def test_identifiers_in_a_reason_never_reach_the_log(log: Log) -> None:
    log.append(why="asked by jane.doe@example.com, SSN 123-45-6789,\n call +44 20 7946 0958")
    line = log.read(0)
    assert b"[EMAIL]" in line and b"[SSN]" in line and b"[PHONE]" in line
    for part in (b"jane", b"6789", b"7946"):
        assert part not in line


def test_two_equal_acts_have_leaves_that_nobody_can_guess(log: Log) -> None:
    log.append(2)
    salts = {read_stored(log.store, index).said["salt"] for index in range(2)}
    assert len(salts) == 2


@pytest.mark.parametrize("missing", ["who", "why"])
def test_no_act_without_who_and_why(missing: str) -> None:
    with pytest.raises(ValueError, match=missing):
        Act(what="promotion", **({"who": "a", "why": "b"} | {missing: ""}))


def test_a_head_is_of_this_log_only(log: Log) -> None:
    log.append()
    key = ec.generate_private_key(ec.SECP256R1())
    log.put("checkpoint", signed(Checkpoint(1, b"1" * 32), key).encode())
    with pytest.raises(AuditRefused, match="not signed by"):
        read_head(log.store, log_public(log.trusted))
