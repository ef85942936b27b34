import shutil
import threading
from pathlib import Path

import pytest

from governance.custody.blobs import CENTRAL_BUCKET
from governance.trust.errors import TrustRefused
from governance.trust.live import LivePointer, PromotionConflict
from governance.trust.roles import live_path, target_key
from tests.governance.trust.conftest import Installation

ONE, TWO, THREE = (f"northbank.intents@{number}" for number in (1, 2, 3))


def test_numbers_only_grow_and_a_rollback_is_a_new_pointer(here: Installation) -> None:
    one, two = here.sign(ONE), here.sign(TWO)
    assert here.read() is None
    assert here.history() == []
    back = here.promote(ONE, here.promote(TWO, here.promote(ONE, None)))
    assert here.read() == back
    assert (back.number, back.digest, back.previous) == (3, one, two)
    assert here.history() == [(1, ONE), (2, TWO), (3, ONE)]


def test_of_two_racing_promoters_one_wins_and_the_other_is_told_who(here: Installation) -> None:
    for release in (ONE, TWO, THREE):
        here.sign(release)
    standing = here.promote(ONE, None)
    outcomes: list[LivePointer | PromotionConflict] = []
    start = threading.Barrier(2)

    def promote(release: str, by: str) -> None:
        keys = shutil.copytree(here.keys_dir, here.keys_dir.with_name(f"keys-of-{by}"))  # on a machine of its own
        start.wait()
        try:
            outcomes.append(Installation(here.store, keys).promote(release, standing, by))
        except PromotionConflict as lost:
            outcomes.append(lost)

    _together(lambda: promote(TWO, "grace"), lambda: promote(THREE, "edsger"))
    (won,) = [outcome for outcome in outcomes if isinstance(outcome, LivePointer)]
    (lost,) = [outcome for outcome in outcomes if isinstance(outcome, PromotionConflict)]
    assert won.release in str(lost)
    assert f"approved by {won.approver}" in str(lost)
    assert here.read() == won
    assert [number for number, _ in here.history()] == [1, 2]


def test_promoters_of_other_regions_and_models_do_not_lose_to_each_other(here: Installation) -> None:
    here.sign(ONE)
    here.sign("stclare.notes@1")
    moves = [(release, region) for release in (ONE, "stclare.notes@1") for region in ("mumbai", "frankfurt")]
    _together(*(lambda move=move: here.promote(move[0], None, region=move[1]) for move in moves))  # type: ignore[misc]
    for release, region in moves:
        pointer = here.read(release.partition("@")[0].replace(".", "/"), region)
        assert pointer is not None and pointer.release == release


def test_two_first_promotions_race_as_well(here: Installation) -> None:
    here.sign(ONE), here.sign(TWO)
    here.promote(ONE, None)
    with pytest.raises(PromotionConflict, match="@1 answers there"):
        here.promote(TWO, None)


def test_a_release_that_nobody_signed_is_never_pointed_to(here: Installation) -> None:
    with pytest.raises(TrustRefused, match="is not vouched for by northbank: it was never signed"):
        here.promote(ONE, None)
    assert here.read() is None


@pytest.mark.parametrize("missing", ["reason", "approver"])
def test_nothing_is_promoted_without_a_reason_and_an_approver(here: Installation, missing: str) -> None:
    from governance.tenants import Release
    from governance.trust.live import write_live

    said = {"reason": "r", "approver": "a"} | {missing: ""}
    digest = here.sign(ONE)
    with pytest.raises(ValueError, match=missing):
        write_live(here.store, here.keys_dir, Release.parse(ONE), digest, "mumbai", **said, expected=None)
    assert here.read() is None


@pytest.mark.parametrize(("harm", "message"), [("flip", "history was edited"), ("remove", "history is cut")])
def test_an_edited_history_is_noticed(here: Installation, harm: str, message: str) -> None:
    here.sign(ONE), here.sign(TWO)
    second = here.promote(TWO, here.promote(ONE, None))
    key = target_key(live_path("mumbai", "northbank/intents"), str(second.before))
    body = here.store.read(CENTRAL_BUCKET, key)
    here.store.delete(CENTRAL_BUCKET, key)
    if harm == "flip":
        here.store.put(CENTRAL_BUCKET, key, body.replace(b"a reason", b"A reason"))
    assert here.read() == second
    with pytest.raises(TrustRefused, match=message):
        here.history()


def test_a_promoter_with_the_wrong_key_publishes_nothing(here: Installation, tmp_path: Path) -> None:
    from governance.custody.keys import KeyRefused, create_keys

    here.sign(ONE), here.sign(TWO)
    first = here.promote(ONE, None)
    create_keys(tmp_path / "thief", [])
    (tmp_path / "thief" / "promotion.pem").rename(here.keys_dir / "promotion.pem")
    with pytest.raises(KeyRefused, match="'promotion' that is here is not the one that the trust repository names"):
        here.promote(TWO, first)
    assert here.read() == first


def _together(*moves) -> None:  # type: ignore[no-untyped-def]
    threads = [threading.Thread(target=move) for move in moves]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
