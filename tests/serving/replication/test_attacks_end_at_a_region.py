"""What somebody with the store, a key, or the clock can do to a region that serves: stop what comes next, no more.

Release 2 answers, as 1 did before it; a pointer to 3 is published; before the region looks, the trust repository is
attacked. Each row: what the region then says. No client's request fails; metric, log, readiness, audit log and
live_model's check tell; and where what was harmed is put back, 3 answers.
"""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from assets.deployment.promote import PromotionFailed, follow
from governance.audit.acts import Act, revoking
from governance.audit.keys import create_audit_keys
from governance.audit.log import CHECKPOINT, append, entry_key, read_stored
from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import KeyRefused, trusted_keys
from governance.tenants import Release
from governance.trust.errors import TrustRefused
from governance.trust.live import PromotionConflict, read_live, write_live
from governance.trust.repository import publish
from governance.trust.revocation import revoke_promotion_key
from governance.trust.roles import METADATA, PROMOTION, live_path, release_path, target_key
from governance.trust.signers import signer
from serving.replication.replica import Replica
from tests.serving.replication.conftest import World, flip
from tests.serving.replication.told import asked_meanwhile, failed_check, home, refused_promotion
from tests.trusting_clock import set_clock

TIMESTAMP = f"{METADATA}timestamp.json"
NAMES = ("timestamp", "snapshot", "promotion", "northbank.release")  # `targets` has not changed: it is not read again


class Repository:
    """The trust repository as an attacker has it, who can put back what he harmed."""

    def __init__(self, world: World) -> None:
        self.world, self.before, self.harmed = world, dict[str, bytes](), dict[str, bytes]()
        self.seen = b""  # the timestamp that the region saw last

    def read(self, key: str) -> bytes:
        return self.world.store.read(CENTRAL_BUCKET, key)

    def newest(self, name: str) -> str:
        """The key of a role's newest metadata, or of the pointer that it names for this model."""
        keys = [info.key.removeprefix(METADATA) for info in self.world.store.list(CENTRAL_BUCKET, METADATA)]
        if name == "timestamp":
            return TIMESTAMP
        if name == "the pointer":
            path = live_path(self.world.place.name, self.world.model)
            promotion: Any = Metadata.from_bytes(self.read(self.newest(PROMOTION))).signed
            return target_key(path, promotion.targets[path].hashes["sha256"])
        version = max(int(key.split(".")[0]) for key in keys if key.partition(".")[2] == f"{name}.json")
        return f"{METADATA}{version}.{name}.json"

    def remember(self) -> None:
        """What an attacker may put back later."""
        self.before = {name: self.read(self.newest(name)) for name in (*NAMES, "the pointer")}

    def harm(self, key: str, body: bytes | None) -> None:
        self.harmed.setdefault(key, self.read(key))
        if body is None:
            self.world.store.delete(CENTRAL_BUCKET, key)
        else:
            self.world.store.put(CENTRAL_BUCKET, key, body)

    def sign(self, name: str, change: Callable[[Any], object], key: str | None = None) -> None:
        """Whoever has this key puts what it says now into the place of the role's newest metadata."""
        role = Metadata.from_bytes(self.read(self.newest(name)))
        change(role.signed)
        role.signatures.clear()
        role.sign(signer(self.world.keys_dir, key or name))
        self.harm(self.newest(name), role.to_bytes())

    def mend(self) -> None:
        for key, body in self.harmed.items():
            self.world.store.put(CENTRAL_BUCKET, key, body)


Attack = Callable[[Repository, pytest.MonkeyPatch], None]


def harmed(name: str, harm: Callable[[bytes], bytes | None]) -> Attack:
    return lambda there, _: there.harm(there.newest(name), harm(there.read(there.newest(name))))


def put_back(name: str) -> Attack:
    return lambda there, _: there.harm(there.newest(name), there.before[name])


def stolen(name: str, change: Callable[[Repository, Any], object]) -> Attack:
    """The thief of that one key lets its role say something else."""

    def attack(there: Repository, _: pytest.MonkeyPatch) -> None:
        there.sign(name, lambda signed: change(there, signed))

    return attack


def names_an_old_snapshot(there: Repository, timestamp: Any) -> None:
    old = Metadata.from_bytes(there.before["snapshot"]).signed.version
    timestamp.snapshot_meta = MetaFile(old, len(there.before["snapshot"]))
    timestamp.version += 1


def names_an_old_promotion(there: Repository, snapshot: Any) -> None:
    old = Metadata.from_bytes(there.before[PROMOTION]).signed.version
    snapshot.meta["promotion.json"] = MetaFile(old, len(there.before[PROMOTION]))


def points_to_release_1(there: Repository, promotion: Any) -> None:
    path = live_path(there.world.place.name, there.world.model)
    promotion.targets[path] = TargetFile.from_data(path, there.before["the pointer"], ["sha256"])


def vouches_for_anything(there: Repository, role: Any) -> None:
    path = release_path(Release.parse(there.world.name(3)))
    role.targets[path] = TargetFile.from_data(path, b"{}", ["sha256"])


def by_another_tenants_key(there: Repository, _: pytest.MonkeyPatch) -> None:
    there.sign("northbank.release", lambda role: vouches_for_anything(there, role), key="stclare.release")


def frozen(there: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing newer is let through, until what the region saw last has expired."""
    there.harm(TIMESTAMP, there.seen)
    set_clock(monkeypatch, timedelta(days=1.01))


def a_day_ahead(_: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    set_clock(monkeypatch, timedelta(days=1.01))


ATTACKS: dict[str, tuple[Attack, str]] = {
    **{f"a bit of {name} flipped": (harmed(name, flip), "is refused") for name in (*NAMES, "the pointer")},
    **{f"half of {name}": (harmed(name, lambda b: b[: len(b) // 2]), "is refused") for name in NAMES},
    **{f"{name} removed": (harmed(name, lambda _: None), "cannot be read") for name in (*NAMES, "the pointer")},
    "an old timestamp put back": (put_back("timestamp"), "New timestamp version"),
    "an old snapshot put back": (put_back("snapshot"), "is refused"),
    "an old promotion put back": (put_back(PROMOTION), "is refused"),
    "an old pointer put back": (put_back("the pointer"), "is refused"),
    "frozen past its expiry": (frozen, "is frozen: timestamp.json is expired"),
    "the region's clock a day ahead": (a_day_ahead, "look at the clock here"),
    "the timestamp key stolen": (stolen("timestamp", names_an_old_snapshot), "is refused"),
    "the snapshot key stolen": (stolen("snapshot", names_an_old_promotion), "is refused"),
    "the promotion key stolen": (stolen(PROMOTION, points_to_release_1), "is refused"),
    "the tenant's key stolen": (stolen("northbank.release", vouches_for_anything), "is refused"),
    "another tenant's key over the tenant's role": (by_another_tenants_key, "is refused"),
}


@pytest.fixture
def attacked(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Release 2 answers, and whoever attacks remembers what was before it."""
    for number in (1, 2, 3):
        world.sign(number)
    there = Repository(world)
    world.point(1)
    world.look(world.replica())
    there.remember()
    world.point(2)
    said = world.look(world.replica())
    assert said is not None and said.refused is None and world.answers() == world.name(2)
    there.seen = there.read(TIMESTAMP)
    yield there
    there.mend()


def why_nothing_new(replica: Replica, world: World) -> str:
    """What the replica says of all its models, else what it says of this one."""
    status: Any = replica.status()
    return str(status["fault"] or status["models"][world.model]["refused"])


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_stops_what_comes_next_and_nothing_else(
    attacked: Repository, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    attack, message = ATTACKS[name]
    world, replica = attacked.world, attacked.world.replica()
    world.sign(4)  # so the tenant's role is one that the region has not seen
    world.point(3)
    with monkeypatch.context() as patched, asked_meanwhile(world) as answered:
        attack(attacked, patched)
        replica.tick()
        replica.wait()
        assert message in why_nothing_new(replica, world)
        assert any(message in line for line in world.log)
        assert world.refusals() >= 1
        assert message in (failed_check(world, replica) or "it passed")
        with refused_promotion(world, world.name(4), TrustRefused) as entry:
            world.point(4)
        assert entry["what"] == "refusal" and re.search(r"trust repository|\.json", entry["why"])
    assert len(answered) > 1 and set(answered) == {world.name(2)}
    attacked.mend()
    world.look(replica)
    assert (replica.fault, world.answers()) == (None, world.name(3))
    assert failed_check(world, replica) is None


@pytest.mark.parametrize("days", [-1, -400])
def test_a_clock_that_is_behind_stops_nothing(
    attacked: Repository, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    world, replica = attacked.world, attacked.world.replica()
    set_clock(monkeypatch, timedelta(days=days))
    world.point(3)
    with asked_meanwhile(world) as answered:
        said = world.look(replica)
    assert said is not None and (said.refused, replica.fault) == (None, None)
    assert set(answered) <= {world.name(2), world.name(3)} and world.answers() == world.name(3)
    assert failed_check(world, replica) is None


def test_with_all_online_keys_a_thief_still_points_to_nothing_that_its_tenant_did_not_sign(
    attacked: Repository,
) -> None:
    world, replica = attacked.world, attacked.world.replica()
    standing = read_live(world.store, *world.model.split("/"), world.place.name, trusted_keys(world.keys_dir))
    assert standing
    invented = standing.model_copy(update={"release": world.name(9), "digest": "9" * 64, "number": 3})
    path = live_path(world.place.name, world.model)
    publish(world.store, world.keys_dir, lambda draft: draft.put_target(PROMOTION, path, invented.body))
    with asked_meanwhile(world) as answered:
        said = world.look(replica)
    assert said is not None and "is not vouched for by northbank" in str(said.refused)
    assert set(answered) == {world.name(2)} == {world.answers()}
    assert world.refusals() >= 1 and any("is not vouched for" in line for line in world.log)
    assert "is not vouched for" in (failed_check(world, replica) or "it passed")
    with refused_promotion(world, world.name(9), PromotionFailed) as entry:
        follow(world.store, world.keys_dir, home(world), invented)
    assert "is not vouched for" in entry["why"]


def test_where_a_stolen_promotion_key_is_revoked_the_region_returns_to_what_was_before_the_thief(
    attacked: Repository,
) -> None:
    world, replica = attacked.world, attacked.world.replica()
    create_audit_keys(world.keys_dir, {})
    stolen_key, since = (world.keys_dir / "promotion.pem").read_bytes(), datetime.now(UTC)
    with asked_meanwhile(world) as answered:
        world.point(1)  # an old release, gated and signed: there is nothing else to point to
        world.look(replica)
        assert world.answers() == world.name(1)
        act = revoking("promotion", "stolen", "grace")
        entry = read_stored(world.store, append(world.store, world.keys_dir, act)).said
        revoke_promotion_key(world.store, world.keys_dir, since, "stolen", "grace")
        said = world.look(replica)
    assert said is not None and (said.refused, said.release) == (None, world.name(2))
    assert world.answers() == world.name(2) and set(answered) == {world.name(1), world.name(2)}
    assert (entry["what"], entry["key"]) == ("key revocation", "promotion")
    assert failed_check(world, replica) is None
    fresh_key = (world.keys_dir / "promotion.pem").read_bytes()
    (world.keys_dir / "promotion.pem").write_bytes(stolen_key)
    try:
        with refused_promotion(world, world.name(1), KeyRefused) as entry:
            world.point(1)
        assert "is not the one that the trust repository names" in entry["why"]
    finally:
        (world.keys_dir / "promotion.pem").write_bytes(fresh_key)
    world.look(replica)
    assert world.answers() == world.name(2)


def test_of_two_promoters_one_wins_and_the_loser_is_in_the_log(attacked: Repository) -> None:
    world, replica = attacked.world, attacked.world.replica()
    standing = read_live(world.store, *world.model.split("/"), world.place.name, trusted_keys(world.keys_dir))
    won, slower = world.point(3), Release.parse(world.name(1))
    with asked_meanwhile(world) as answered:
        with refused_promotion(world, str(slower), PromotionConflict) as entry:
            digest = world.digests[str(slower)]
            write_live(world.store, world.keys_dir, slower, digest, world.place.name, "why", "edsger", standing)
        world.look(replica)
    assert "somebody else promoted first" in entry["why"] and won.release in entry["why"]
    assert set(answered) <= {world.name(2), world.name(3)} and world.answers() == world.name(3)
    assert failed_check(world, replica) is None


# The audit log: what is done to it, and what the region then says, which countersigned it before.


def cut_off(there: Repository, size: int) -> None:
    """The newest entries are removed and the checkpoint before them put back."""
    there.harm(CHECKPOINT, there.before["checkpoint"])
    for index in range(entries(there.before["checkpoint"]), size):
        there.harm(entry_key(index), None)


def edited(there: Repository, size: int) -> None:
    key = entry_key(size - 1)
    there.harm(key, there.read(key).replace(b"a reason", b"a season"))


def forked(there: Repository, size: int) -> None:
    """With the log's own key: as many others in the place of the newest entries."""
    cut_off(there, size)
    for _ in range(entries(there.before["checkpoint"]), size):
        act = Act(what="approval", who="the thief", why="another reason")
        append(there.world.store, there.world.keys_dir, act)


def entries(checkpoint: bytes) -> int:
    return int(checkpoint.split(b"\n")[1])


LOG_ATTACKS: dict[str, tuple[Callable[[Repository, int], None], str]] = {
    "truncated": (cut_off, "were cut off, or an old checkpoint was put back"),
    "edited": (edited, "does not begin with"),
    "forked": (forked, "does not begin with"),
}


@pytest.mark.parametrize("name", LOG_ATTACKS)
def test_an_attack_on_the_audit_log_is_told_by_the_region_and_changes_no_answer(
    attacked: Repository, name: str
) -> None:
    attack, message = LOG_ATTACKS[name]
    world, replica = attacked.world, attacked.world.replica()
    create_audit_keys(world.keys_dir, {})
    world.look(replica)
    for number in range(5):
        append(world.store, world.keys_dir, Act(what="approval", who="tests", why=f"a reason, {number}"))
        if number == 0:
            attacked.before["checkpoint"] = attacked.read(CHECKPOINT)
        if number == 2:
            assert failed_check(world, replica) is None  # so the region countersigns them
    with asked_meanwhile(world) as answered:
        attack(attacked, entries(attacked.read(CHECKPOINT)))
        assert message in (failed_check(world, replica) or "it passed")
        replica.tick()
        replica.wait()
    assert set(answered) == {world.name(2)}
    assert world.metric("pedigree_replica_audit_log_refused") == 1
    assert any(message in line for line in world.log) and message in str(replica.status()["witness"])
    attacked.mend()
    assert failed_check(world, replica) is None
    world.look(replica)
    assert world.metric("pedigree_replica_audit_log_refused") == 0
