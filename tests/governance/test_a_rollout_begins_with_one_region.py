"""A newer release goes where its leader answers with it already; back it goes at once."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from assets.deployment import promote as promotion
from assets.deployment.promote import LeaderAwaited, PromotionFailed, RegionHome, promote
from governance.custody.canonical import canonical_json, sha256_bytes
from governance.custody.keys import create_keys, private_key
from governance.trust.live import LivePointer, read_live, write_live
from governance.trust.releases import publish_release
from serving.replication.statement import RegionStatement, write_statement
from tests.governance.test_trace import Line, MakeLine, make_line

__all__ = ["make_line"]
LEADER, FOLLOWER = "mumbai", "frankfurt"
Promote = Callable[[], object]


@pytest.fixture
def line(make_line: MakeLine, keys_dir: Path) -> Line:
    """Its release is promoted in the leader, which said nothing of it yet."""
    create_keys(keys_dir, [], [LEADER, FOLLOWER])
    return make_line()


@pytest.fixture
def promoting(line: Line, keys_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Promote:
    """Promotes the line's release in the follower, whose replica never says anything."""
    monkeypatch.setattr(promotion, "LEADER_PATIENCE", 0.5)
    monkeypatch.setattr(promotion, "PATIENCE", 2.0)
    home = RegionHome(FOLLOWER, tmp_path, "http://127.0.0.1:9", "http://127.0.0.1:9", leader=LEADER)
    return lambda: promote(line.store, keys_dir, home, line.release, "why", "grace", unheard, unheard)


def unheard(_said: object) -> None:
    """Nobody logs or records here."""


def pointer(line: Line, region: str) -> LivePointer | None:
    return read_live(line.store, line.release.tenant, line.release.task, region, line.trusted)


def say(line: Line, keys_dir: Path, refused: str | None = None) -> None:
    """What the leader says of the pointer that it has."""
    led = pointer(line, LEADER)
    assert led
    answers = None if refused else led.release
    said = RegionStatement(
        region=LEADER,
        model=line.release.model,
        pointer=led.sha256,
        asked=led.release,
        release=answers,
        digest=led.digest if answers else None,
        since=led.at if answers else None,
        at=led.at,
        refused=refused,
    )
    write_statement(line.store, said, private_key(keys_dir, f"{LEADER}.region"))


def newer(line: Line, keys_dir: Path, region: str) -> LivePointer:
    """A second release of the model answers in `region`."""
    release, body = line.release.model_copy(update={"number": 2}), canonical_json({"a": "manifest"})
    publish_release(line.store, keys_dir, release, body, {})
    return write_live(
        line.store, keys_dir, release, sha256_bytes(body), region, "newer", "tests", pointer(line, region)
    )


def test_a_release_waits_for_the_leaders_word(line: Line, keys_dir: Path, promoting: Promote) -> None:
    threading.Timer(0.7, say, (line, keys_dir)).start()
    with pytest.raises(PromotionFailed, match=f"{FOLLOWER} did not say"):  # so it was asked
        promoting()


def test_a_release_that_the_leader_never_answered_with_is_not_published(line: Line, promoting: Promote) -> None:
    with pytest.raises(LeaderAwaited, match=rf"at {LEADER}\|{line.release}, then here again"):
        promoting()
    assert pointer(line, FOLLOWER) is None


def test_a_release_that_the_leader_left_again_is_not_published(line: Line, keys_dir: Path, promoting: Promote) -> None:
    say(line, keys_dir)
    newer(line, keys_dir, LEADER)
    with pytest.raises(LeaderAwaited, match=f"does not answer in {LEADER}, which comes first"):
        promoting()
    assert pointer(line, FOLLOWER) is None


def test_a_release_that_the_leader_refuses_is_not_published(line: Line, keys_dir: Path, promoting: Promote) -> None:
    say(line, keys_dir, refused="its weights were altered")
    with pytest.raises(LeaderAwaited, match=f"{LEADER}, which comes first, refuses .*: its weights were altered"):
        promoting()
    assert pointer(line, FOLLOWER) is None


def test_a_rollback_waits_for_nobody(line: Line, keys_dir: Path, promoting: Promote) -> None:
    newer(line, keys_dir, FOLLOWER)
    with pytest.raises(PromotionFailed, match=f"{FOLLOWER} did not say"):
        promoting()
