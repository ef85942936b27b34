"""The key that signs the log is replaced by another: the log goes on, and the former key signs nothing new in it."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.audit import rotation
from governance.audit.acts import Act
from governance.audit.checkpoint import AuditRefused, Checkpoint, signed
from governance.audit.keys import log_public
from governance.audit.log import Stored, append, read_head, read_stored
from governance.audit.proofs import prove
from governance.audit.rotation import rotate_key
from governance.audit.tree import grown, leaf_hash, root
from governance.custody.keys import KeyRefused, key_id, private_key
from tests.governance.audit.conftest import Log


class Cut(BaseException):
    """The process ends here."""


def rotate(log: Log) -> None:
    rotate_key(log.store, log.keys_dir, "audit", "the test", "a reason")


def rotations(log: Log) -> list[dict[str, str]]:
    said = [read_stored(log.store, index).said for index in range(log.size())]
    return [dict(each["digests"]) for each in said if each["what"] == "key rotation"]


@pytest.fixture
def stolen(log: Log, tmp_path: Path) -> Path:
    """A copy of the keys as they are before the key changes."""
    log.append(3)
    log.witness("mumbai")
    return Path(shutil.copytree(log.keys_dir, tmp_path / "stolen"))


def test_the_log_goes_on_under_the_new_key_and_says_so(log: Log, stolen: Path) -> None:
    before = log_public(log.trusted)
    rotate(log)
    now = log_public(log.trusted)
    assert rotations(log) == [{"former": key_id(before), "key": key_id(now)}] and now != before
    prove(log.store, log.trusted, 0)
    log.append(2)
    log.witness("mumbai")
    log.witness("frankfurt")
    verdict = log.verify()
    assert not verdict.faults and verdict.size == 6
    rotate(log)
    log.append()
    assert not log.verify().faults and len(rotations(log)) == 2


def test_what_the_former_key_signed_is_still_held_against_it(log: Log, stolen: Path) -> None:
    rotate(log)
    log.append(2)
    log.put(1, log.read(1).replace(b"a reason", b"a season"))
    assert any("entry 1 is not what was signed there" in fault for fault in log.verify().faults)


def test_a_former_key_that_cannot_be_read_is_a_fault_of_the_log(log: Log, stolen: Path) -> None:
    rotate(log)
    (former,) = log.trusted.folder.glob("audit.*.pub")
    former.write_text("no key")
    assert any(former.name in fault for fault in log.verify().faults)


def test_the_former_key_signs_nothing_new(log: Log, stolen: Path) -> None:
    rotate(log)
    act = Act(what="refusal", who="a thief", why="a reason")
    with pytest.raises(KeyRefused, match="hands it to another key"):
        append(log.store, stolen, act)
    log.append()
    with pytest.raises(AuditRefused, match="another key signed it"):
        append(log.store, stolen, act)


def test_an_entry_forged_with_the_former_key_is_named(log: Log, stolen: Path) -> None:
    rotate(log)
    head, size = read_head(log.store, log_public(log.trusted)).checkpoint, log.size()
    last = read_stored(log.store, size - 1)
    line, peaks = b'{"what":"promotion"}', grown(last.peaks, size - 1, last.leaf)
    forged = Checkpoint(head.size + 1, root(grown(peaks, size, leaf_hash(line))))
    log.put(size, Stored(line, peaks, signed(forged, private_key(stolen, "audit"))).body())
    assert any(f"entry {size} is not what was signed there" in fault for fault in log.verify().faults)
    with pytest.raises(AuditRefused, match=f"entry {size} is not what was signed"):
        log.append()


@pytest.mark.parametrize("step", ["append", "trust_instead", "take_next"])
@pytest.mark.parametrize("done", [False, True], ids=["before it", "after it"])
def test_cut_off_at_any_step_the_same_command_goes_on(
    log: Log, stolen: Path, monkeypatch: pytest.MonkeyPatch, step: str, done: bool
) -> None:
    real: Callable[..., object] = getattr(rotation, step)

    def cut(*given: object, **named: object) -> None:
        if done:
            real(*given, **named)
        raise Cut

    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(rotation, step, cut)
        rotate(log)
    rotate(log)
    log.append()
    assert not log.verify().faults
    assert len(rotations(log)) == (2 if (step, done) == ("take_next", True) else 1)  # there it was complete


def test_cut_off_between_the_entry_and_the_checkpoint(log: Log, stolen: Path) -> None:
    old = log.read("checkpoint")
    with pytest.MonkeyPatch.context() as patched, pytest.raises(Cut):
        patched.setattr(type(log.store), "replace", _cut)
        rotate(log)
    assert log.read("checkpoint") == old
    rotate(log)
    log.append()
    assert not log.verify().faults and len(rotations(log)) == 1


def test_a_key_that_is_kept_elsewhere_is_not_rotated_here(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_AUDIT_KEY", str(log.keys_dir / "audit.pem"))
    with pytest.raises(KeyRefused, match="is not rotated here"):
        rotate(log)


def test_a_key_that_nobody_knows_leaves_no_entry(log: Log) -> None:
    log.append()
    with pytest.raises(KeyRefused, match="there is no key 'promotoin'"):
        rotate_key(log.store, log.keys_dir, "promotoin", "the test", "a reason")
    assert log.size() == 1


def _cut(*_given: object, **_named: object) -> None:
    raise Cut
