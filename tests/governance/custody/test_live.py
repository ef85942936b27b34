import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import TrustedKeys, promotion_key, release_key
from governance.custody.live import (
    LIVE_POINTER,
    Live,
    LiveRefused,
    PromotionConflict,
    live_history,
    read_live,
    write_live,
)
from governance.custody.statements import open_statement, sign_statement
from governance.custody.store import Conflict, ObjectStore
from governance.tenants import Release

ONE, TWO = "1" * 64, "2" * 64


class Promoter:
    """Promotes releases of one model in mumbai, as one operator would."""

    def __init__(self, store: ObjectStore, keys_dir: Path, trusted: TrustedKeys, task: str) -> None:
        self.store, self.trusted, self.task = store, trusted, task
        self.key = promotion_key(keys_dir)
        self.live_key = f"northbank/{task}/live/mumbai.json"

    def read(self) -> Live | None:
        return read_live(self.store, "northbank", self.task, "mumbai", self.trusted)

    def write(self, number: int, digest: str, expected: Live | None, by: str = "tests", region: str = "mumbai") -> Live:
        release = Release(tenant="northbank", task=self.task, number=number)
        return write_live(self.store, release, digest, region, "a reason", by, self.key, self.trusted, expected)

    def history(self) -> list[tuple[int, str]]:
        pointers = live_history(self.store, "northbank", self.task, "mumbai", self.trusted)
        return [(pointer.number, pointer.release) for pointer in pointers]


@pytest.fixture
def promoter(store: ObjectStore, keys_dir: Path, trusted: TrustedKeys, request: pytest.FixtureRequest) -> Promoter:
    return Promoter(store, keys_dir, trusted, f"live-{request.node.name.replace('_', '-')[5:35].strip('-')}")


def test_numbers_only_grow_and_a_rollback_is_a_new_pointer(promoter: Promoter) -> None:
    assert promoter.read() is None
    first = promoter.write(1, ONE, None)
    second = promoter.write(2, TWO, first)
    back = promoter.write(1, ONE, second)
    assert promoter.read() == back
    assert (back.pointer.number, back.pointer.digest, back.pointer.previous) == (3, ONE, TWO)
    assert promoter.history() == [(n, f"northbank.{promoter.task}@{r}") for n, r in ((1, 1), (2, 2), (3, 1))]


def test_of_two_racing_promoters_one_wins_and_the_other_is_told_who(promoter: Promoter) -> None:
    standing = promoter.write(1, ONE, None)
    outcomes: list[Live | PromotionConflict] = []
    start = threading.Barrier(2)

    def promote(number: int, digest: str, by: str) -> None:
        start.wait()
        try:
            outcomes.append(promoter.write(number, digest, standing, by))
        except PromotionConflict as lost:
            outcomes.append(lost)

    threads = [threading.Thread(target=promote, args=args) for args in ((2, TWO, "grace"), (3, "3" * 64, "edsger"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, Live)]
    (lost,) = [outcome for outcome in outcomes if isinstance(outcome, PromotionConflict)]
    assert won.pointer.release in str(lost)
    assert f"approved by {won.pointer.approver}" in str(lost)
    assert promoter.read() == won
    assert [number for number, _ in promoter.history()] == [1, 2]


def test_two_first_promotions_race_as_well(promoter: Promoter) -> None:
    promoter.write(1, ONE, None)
    with pytest.raises(PromotionConflict, match="@1 answers there"):
        promoter.write(2, TWO, None)


def test_a_promoter_killed_between_its_writes_stops_nobody(promoter: Promoter) -> None:
    first = promoter.write(1, ONE, None)
    promoter.store.delete(CENTRAL_BUCKET, f"northbank/{promoter.task}/live/mumbai/1.json", every_version=True)
    assert promoter.read() == first
    promoter.write(2, TWO, promoter.read())
    assert [number for number, _ in promoter.history()] == [1, 2]


def test_an_old_pointer_put_back_is_refused(promoter: Promoter) -> None:
    first = promoter.write(1, ONE, None)
    promoter.write(2, TWO, first)
    promoter.store.put(CENTRAL_BUCKET, promoter.live_key, first.envelope)
    with pytest.raises(LiveRefused, match=r"mumbai\.json is number 1, but .*/2\.json exists: an old pointer"):
        promoter.read()


def test_a_removed_pointer_is_not_taken_for_never_promoted(promoter: Promoter) -> None:
    promoter.write(1, ONE, None)
    promoter.store.delete(CENTRAL_BUCKET, promoter.live_key, every_version=True)
    with pytest.raises(LiveRefused, match="is gone"):
        promoter.read()


def test_a_pointer_of_another_region_or_model_is_refused(promoter: Promoter) -> None:
    elsewhere = promoter.write(1, ONE, None, region="frankfurt")
    promoter.store.put(CENTRAL_BUCKET, promoter.live_key, elsewhere.envelope)
    with pytest.raises(LiveRefused, match=r"is of northbank\..* in frankfurt"):
        promoter.read()


def test_a_pointer_by_another_key_or_edited_is_refused(promoter: Promoter, keys_dir: Path) -> None:
    live = promoter.write(1, ONE, None)
    said = open_statement(live.envelope, promoter.trusted.promotion(), LIVE_POINTER)
    forged = sign_statement(said, release_key(keys_dir, "northbank"))  # a tenant's key signs releases, never promotions
    promoter.store.put(CENTRAL_BUCKET, promoter.live_key, forged)
    with pytest.raises(LiveRefused, match="another key signed it; copy the newest"):
        promoter.read()
    promoter.store.put(CENTRAL_BUCKET, promoter.live_key, live.envelope[:-9])
    with pytest.raises(LiveRefused, match="is not JSON"):
        promoter.read()


def test_a_promoter_with_the_wrong_key_changes_nothing(promoter: Promoter) -> None:
    live = promoter.write(1, ONE, None)
    promoter.key = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(LiveRefused, match="another key signed it"):
        promoter.write(2, TWO, live)
    assert promoter.read() == live


@pytest.mark.parametrize("missing", ["reason", "approver"])
def test_nothing_is_promoted_without_a_reason_and_an_approver(promoter: Promoter, missing: str) -> None:
    said = {"reason": "r", "approver": "a"} | {missing: ""}
    release = Release(tenant="northbank", task=promoter.task, number=1)
    with pytest.raises(ValueError, match=missing):
        write_live(
            promoter.store, release, ONE, "mumbai", **said, key=promoter.key, trusted=promoter.trusted, expected=None
        )
    assert promoter.read() is None


def test_the_store_itself_refuses_a_stale_etag(promoter: Promoter) -> None:
    first = promoter.write(1, ONE, None)
    promoter.write(2, TWO, first)
    with pytest.raises(Conflict):
        promoter.store.replace(CENTRAL_BUCKET, promoter.live_key, first.envelope, first.etag)
