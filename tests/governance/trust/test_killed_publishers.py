"""A publisher that dies after any of its writes: what held still holds, and the same command then does its work."""

from collections.abc import Callable
from typing import Any

import pytest

from governance.tenants import Release
from governance.trust.keys import rotate
from governance.trust.revocation import revoke_promotion_key, revoke_release
from governance.trust.roles import expiry
from tests.governance.trust.conftest import Installation
from tests.store_apart import StoreApart

ONE, TWO = "northbank.intents@1", "northbank.intents@2"


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


class DyingStore(StoreApart):
    """Dies after n writes."""

    left = 0

    def _put(self, *arguments: Any, **condition: str) -> Any:
        if self.left == 0:
            raise Killed
        written = super()._put(*arguments, **condition)
        self.left -= 1
        return written


def promote(here: Installation) -> None:
    here.promote(TWO, here.read())


def sign(here: Installation) -> None:
    here.sign("northbank.intents@3")


def revoke(here: Installation) -> None:
    revoke_release(here.store, here.keys_dir, Release.parse(TWO), "a leak", "tests")


def revoke_promotion(here: Installation) -> None:
    from datetime import UTC, datetime

    revoke_promotion_key(here.store, here.keys_dir, datetime.now(UTC) - expiry("timestamp"), "a theft", "tests")


def rotation(name: str) -> Callable[[Installation], None]:
    def rotate_key(here: Installation) -> None:
        rotate(here.store, here.keys_dir, name)

    return rotate_key


CHANGES: dict[str, Callable[[Installation], None]] = {
    "promote": promote,
    "sign": sign,
    "revoke a release": revoke,
    "revoke the promotion key": revoke_promotion,
    **{
        f"rotate {name}": rotation(name)
        for name in ("promotion", "northbank.release", "timestamp", "targets", "root-1")
    },
}


@pytest.mark.parametrize("change", CHANGES)
def test_killed_at_any_write_and_done_again(make_installation: Callable[[], Installation], change: str) -> None:
    here = make_installation()
    here.sign(ONE), here.sign(TWO)
    here.promote(ONE, None)
    whole, dying = here.store, DyingStore(here.store, here.store.prefix)  # type: ignore[attr-defined]
    deaths = 0
    while True:
        standing = here.read()
        dying.left, here.store = deaths, dying
        try:
            CHANGES[change](here)
            break
        except Killed:
            deaths += 1
        finally:
            here.store = whole
        if not change.startswith("rotate"):
            assert here.read() == standing, "half a publication was seen"
    assert deaths, "the change wrote nothing"
    now = here.read()
    assert now is not None and now.release == (TWO if change == "promote" else ONE)
    here.promote(ONE, now)  # and publishing goes on
