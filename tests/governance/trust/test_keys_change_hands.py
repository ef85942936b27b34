from datetime import UTC, datetime
from pathlib import Path

import pytest

from governance.custody.keys import ROLE_KEYS, ROOT_KEYS, KeyRefused, create_keys, public_pem, release_key
from governance.tenants import Release
from governance.trust.client import refresh
from governance.trust.errors import TrustRefused
from governance.trust.keys import create_anchor, establish, rotate, status
from governance.trust.live import live_pointer
from governance.trust.releases import read_release
from governance.trust.revocation import revoke_promotion_key, revoke_release, revoke_tenant_key
from governance.trust.signers import signer
from tests.governance.trust.conftest import TENANTS, Installation

ONE, TWO = "northbank.intents@1", "northbank.intents@2"


@pytest.mark.parametrize("name", [*ROLE_KEYS, "northbank.release"])
def test_every_key_can_be_rotated_under_regions_that_know_only_the_first_root(
    here: Installation, name: str, tmp_path: Path
) -> None:
    here.sign(ONE), here.sign(TWO)
    first = here.promote(ONE, None)
    seen = here.region(tmp_path / "seen")
    refresh(here.store, seen)
    before = signer(here.keys_dir, name).public_key.keyid
    rotate(here.store, here.keys_dir, name)
    assert signer(here.keys_dir, name).public_key.keyid != before
    assert before not in {keyid for role in status(here.store, here.trusted) for keyid in role.keys}
    second = here.promote(TWO, first)
    for region in (seen, here.region(tmp_path / "fresh")):
        view = refresh(here.store, region)
        assert live_pointer(view, "northbank/intents", "mumbai") == second
        assert read_release(view, Release.parse(ONE))


def test_a_lost_root_key_is_replaced_by_the_other_two(here: Installation, tmp_path: Path) -> None:
    here.sign(ONE)
    (here.keys_dir / "root-2.pem").unlink()
    rotate(here.store, here.keys_dir, "root-2")
    (root, *_) = status(here.store, here.trusted)
    assert (root.version, root.threshold, len(root.keys)) == (2, 2, 3)
    assert read_release(refresh(here.store, here.region(tmp_path / "region")), Release.parse(ONE))


def test_one_root_key_alone_rotates_nothing(here: Installation) -> None:
    for name in ROOT_KEYS[1:]:
        (here.keys_dir / f"{name}.pem").unlink()
    with pytest.raises(KeyRefused, match="2 of root-1, root-2, root-3 must sign, 1 are in"):
        rotate(here.store, here.keys_dir, "timestamp")


def test_releases_of_a_rotated_key_still_hold_and_those_of_a_revoked_one_do_not(
    here: Installation, tmp_path: Path
) -> None:
    here.sign(ONE)
    old = public_pem(release_key(here.keys_dir, "northbank").public_key())
    region = here.region(tmp_path / "region")
    rotate(here.store, here.keys_dir, "northbank.release")
    refresh(here.store, region)
    new = public_pem(release_key(here.keys_dir, "northbank").public_key())
    assert [public_pem(key) for key in region.release("northbank")] == [new, old]
    revoke_tenant_key(here.store, here.keys_dir, "northbank", "stolen", "tests")
    view = refresh(here.store, region)
    (only,) = region.release("northbank")
    assert public_pem(only) not in (old, new)
    with pytest.raises(TrustRefused, match="was revoked"):
        read_release(view, Release.parse(ONE))
    with pytest.raises(TrustRefused, match=r"was revoked \(stolen\)"):
        here.sign(ONE)


def test_a_revoked_release_leads_back_to_the_last_that_holds(here: Installation) -> None:
    for release in (ONE, TWO, "northbank.intents@3"):
        here.sign(release)
    pointer = None
    for release in (ONE, TWO, "northbank.intents@3"):
        pointer = here.promote(release, pointer)
    here.promote("northbank.intents@3", None, region="frankfurt")
    revoke_release(here.store, here.keys_dir, Release.parse(TWO), "first", "tests")
    now = here.read()
    assert now == pointer, "what answers is not touched"
    said = revoke_release(here.store, here.keys_dir, Release.parse("northbank.intents@3"), "a leak", "grace")
    assert said == [
        "northbank/intents in frankfurt: no earlier release holds, so none answers",
        f"northbank/intents in mumbai: back to {ONE}",
    ]
    now = here.read()
    assert now is not None
    assert (now.release, now.reason, now.approver) == (ONE, "northbank.intents@3 was revoked: a leak", "grace")
    with pytest.raises(TrustRefused, match="nothing to revoke"):
        revoke_release(here.store, here.keys_dir, Release.parse("northbank.intents@3"), "again", "tests")


def test_a_stolen_promotion_key_is_revoked_and_regions_return_to_what_was_before(
    here: Installation, tmp_path: Path
) -> None:
    here.sign(ONE), here.sign(TWO)
    here.sign("stclare.notes@1")
    first = here.promote(ONE, None)
    since = datetime.now(UTC)
    here.promote(TWO, first, by="the thief")
    here.promote("stclare.notes@1", None, by="the thief")
    stolen = (here.keys_dir / "promotion.pem").read_bytes()
    said = revoke_promotion_key(here.store, here.keys_dir, since, "stolen", "grace")
    assert said == [
        f"northbank/intents in mumbai: back to {ONE}",
        "stclare/notes in mumbai: no earlier release holds, so none answers",
    ]
    now = here.read()
    assert now is not None and (now.release, now.number) == (ONE, 3)
    (here.keys_dir / "promotion.pem").write_bytes(stolen)
    with pytest.raises(KeyRefused, match="nothing was published"):
        here.promote(TWO, now)
    assert live_pointer(refresh(here.store, here.region(tmp_path / "fresh")), "northbank/intents", "mumbai") == now


def test_new_tenants_get_a_role_and_nothing_else_changes(here: Installation) -> None:
    before = {role.role: role.keys for role in status(here.store, here.trusted)}
    create_keys(here.keys_dir, [*TENANTS, "acme"])
    for _ in range(2):
        establish(here.store, here.keys_dir, [*TENANTS, "acme"])
    after = {role.role: role.keys for role in status(here.store, here.trusted)}
    assert after.keys() - before.keys() == {"acme.release"}
    assert {role: after[role] for role in before} == before
    here.sign("acme.intents@1")


def test_a_trusted_key_that_has_no_role_stays(here: Installation) -> None:
    create_keys(here.keys_dir, ["detector"])
    rotate(here.store, here.keys_dir, "northbank.release")
    assert here.trusted.release("detector")


def test_a_lost_anchor_is_not_replaced_by_whatever_the_store_says(here: Installation) -> None:
    (here.trusted.folder / "root.json").unlink()
    with pytest.raises(TrustRefused, match=r"root\.json is missing; restore the keys"):
        establish(here.store, here.keys_dir, TENANTS)
    create_anchor(here.keys_dir)
    with pytest.raises(TrustRefused, match="a trust repository of another root"):
        establish(here.store, here.keys_dir, TENANTS)


def test_a_key_may_live_in_a_kms(here: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    """The URI is securesystemslib's; here one of a file stands for those that need an account."""
    promotion = signer(here.keys_dir, "promotion")
    public = here.keys_dir / "promotion.pub"
    public.write_text(promotion.public_key.keyval["public"])
    away = here.keys_dir.with_name("kms.pem")
    (here.keys_dir / "promotion.pem").rename(away)
    monkeypatch.setenv("PEDIGREE_PROMOTION_KEY", f"file2:{away}")
    here.sign(ONE)
    assert here.promote(ONE, None) == here.read()
    public.unlink()
    with pytest.raises(KeyRefused, match=r"promotion\.pub"):
        here.promote(ONE, here.read())
