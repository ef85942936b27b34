"""What somebody with the store, the network, one key, or the clock can do: stop a promotion, never choose an answer.

Each row: what is harmed, what a region then says. What it knew before is what it goes on with.
"""

import itertools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tuf.api.metadata import Metadata, MetaFile, TargetFile

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.keys import TrustedKeys, create_keys
from governance.tenants import Release
from governance.trust.client import refresh
from governance.trust.errors import TrustRefused
from governance.trust.live import live_pointer
from governance.trust.releases import publish_release, read_release
from governance.trust.repository import publish
from governance.trust.roles import METADATA, live_path, release_path, target_key, tenant_role
from governance.trust.signers import signer
from tests.governance.trust.conftest import TENANTS, Installation
from tests.trusting_clock import Clock, set_clock

ONE, TWO = "northbank.intents@1", "northbank.intents@2"
Promoted = SimpleNamespace


def _promoted(here: Installation, folder: Path) -> Promoted:
    """Release 2 answers after 1; `old`: the store before it; `seen`: a region that knows it; `fresh()`: a new one."""
    here.sign(ONE), here.sign(TWO)
    first = here.promote(ONE, None)
    old = _objects(here)
    second = here.promote(TWO, first)
    seen, numbers = here.region(folder / "seen"), itertools.count()
    assert _answers(here, seen) == TWO
    return Promoted(
        here=here, old=old, second=second, seen=seen, fresh=lambda: here.region(folder / f"fresh-{next(numbers)}")
    )


@pytest.fixture
def promoted(here: Installation, tmp_path: Path) -> Promoted:
    """One to harm for good."""
    return _promoted(here, tmp_path)


@pytest.fixture(scope="module")
def healed(make_installation: Callable[[], Installation], tmp_path_factory: pytest.TempPathFactory) -> Promoted:
    """One that every test leaves as it was."""
    return _promoted(make_installation(), tmp_path_factory.mktemp("healed"))


@contextmanager
def _harmed(here: Installation, key: str, harm: Callable[[bytes], bytes] | None) -> Iterator[None]:
    body = here.store.read(CENTRAL_BUCKET, key)
    if harm:
        here.store.put(CENTRAL_BUCKET, key, harm(body))
    else:
        here.store.delete(CENTRAL_BUCKET, key)
    yield
    here.store.put(CENTRAL_BUCKET, key, body)


def _objects(here: Installation) -> dict[str, bytes]:
    return {i.key: here.store.read(CENTRAL_BUCKET, i.key) for i in here.store.list(CENTRAL_BUCKET, "_trust/")}


def _answers(here: Installation, trusted: TrustedKeys) -> str:
    pointer = live_pointer(refresh(here.store, trusted), "northbank/intents", "mumbai")
    return pointer.release if pointer else "nothing"


def _flip(body: bytes) -> bytes:
    return body[: len(body) // 2] + bytes([body[len(body) // 2] ^ 1]) + body[len(body) // 2 + 1 :]


HARMS: dict[str, Callable[[bytes], bytes]] = {
    "a flipped bit": _flip,
    "half of it": lambda body: body[: len(body) // 2],
    "more than there is": lambda body: body + b"{}",
    "nothing": lambda body: b"",
}


@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "promotion", "the pointer"])
def test_harmed_objects_are_refused_by_every_region(healed: Promoted, name: str, harm: str) -> None:
    here = healed.here
    with _harmed(here, _newest(here, name), HARMS[harm]):
        with pytest.raises(TrustRefused, match=r"trust repository (is refused|cannot be read)"):
            _answers(here, healed.fresh())
        if name in ("timestamp", "the pointer"):  # the others a region that saw them does not read again
            with pytest.raises(TrustRefused):
                _answers(here, healed.seen)
        else:
            assert _answers(here, healed.seen) == TWO


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "targets", "promotion", "the pointer"])
def test_removed_objects_are_missed(healed: Promoted, name: str) -> None:
    with _harmed(healed.here, _newest(healed.here, name), None), pytest.raises(TrustRefused, match="cannot be read"):
        _answers(healed.here, healed.fresh())


def test_an_old_state_put_back_is_refused_by_who_saw_the_newer(promoted: Promoted) -> None:
    for key, body in promoted.old.items():
        promoted.here.store.put(CENTRAL_BUCKET, key, body)
    with pytest.raises(TrustRefused, match=r"New timestamp version .* must be >="):
        _answers(promoted.here, promoted.seen)
    with pytest.raises(TrustRefused, match="somebody put an old one back"):
        promoted.here.promote(ONE, promoted.second)


def test_an_old_pointer_alone_put_back_is_refused_by_a_wiped_region(promoted: Promoted) -> None:
    here = promoted.here
    key = _newest(here, "promotion")
    (old,) = [body for name, body in promoted.old.items() if name.endswith("2.promotion.json")]
    here.store.put(CENTRAL_BUCKET, key, old)
    with pytest.raises(TrustRefused, match=r"refused|exceeding the maximum"):
        _answers(here, promoted.fresh())
    assert _answers(here, promoted.seen) == TWO


def test_an_old_state_put_back_to_a_wiped_region_is_at_most_a_day_old(
    promoted: Promoted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for key, body in promoted.old.items():
        promoted.here.store.put(CENTRAL_BUCKET, key, body)
    assert _answers(promoted.here, promoted.fresh()) == ONE, "a region that knows nothing cannot know better, for a day"
    set_clock(monkeypatch, timedelta(days=1, minutes=1))
    with pytest.raises(TrustRefused, match=r"frozen: timestamp\.json is expired.*keys refresh"):
        _answers(promoted.here, promoted.fresh())


@pytest.mark.parametrize(("shift", "refused"), [(1.01, True), (0.9, False), (-1, False), (-400, False)])
def test_a_wrong_clock_stops_a_region_or_does_nothing(
    healed: Promoted, monkeypatch: pytest.MonkeyPatch, shift: float, refused: bool
) -> None:
    set_clock(monkeypatch, timedelta(days=shift))
    for region in (healed.seen, healed.fresh()):
        if refused:
            with pytest.raises(TrustRefused, match="look at the clock"):
                _answers(healed.here, region)
        else:
            assert _answers(healed.here, region) == TWO


def test_frozen_metadata_is_renewed_by_who_has_the_keys(promoted: Promoted, monkeypatch: pytest.MonkeyPatch) -> None:
    from governance.trust.keys import renew

    set_clock(monkeypatch, timedelta(days=1.01))
    monkeypatch.setattr("governance.trust.repository.datetime", Clock(timedelta(days=1.01)))
    renew(promoted.here.store, promoted.here.keys_dir)
    assert _answers(promoted.here, promoted.seen) == TWO


@pytest.mark.parametrize("name", ["timestamp", "snapshot", "promotion", "northbank.release", "targets"])
def test_one_stolen_key_and_the_store_choose_no_answer(promoted: Promoted, name: str, tmp_path: Path) -> None:
    """The thief signs what that one key can sign, over the newest object and as the next version."""
    here = promoted.here
    role = Metadata.from_bytes(here.store.read(CENTRAL_BUCKET, _newest(here, name)))
    evil = b'{"release":"northbank.intents@1"}'
    if name in ("promotion", "targets", "northbank.release"):
        path = (
            release_path(Release.parse(ONE))
            if name.startswith("northbank")
            else live_path("mumbai", "northbank/intents")
        )
        role.signed.targets[path] = TargetFile.from_data(path, evil, ["sha256"])  # type: ignore[attr-defined]
        here.store.put(CENTRAL_BUCKET, target_key(path, sha256(evil).hexdigest()), evil)
    if name == "snapshot":
        (old,) = [body for key, body in promoted.old.items() if key.endswith("2.promotion.json")]
        role.signed.meta["promotion.json"] = MetaFile(2, len(old))  # type: ignore[attr-defined]
    role.signed.version += 1
    role.sign(signer(here.keys_dir, name))
    version = "" if name == "timestamp" else f"{role.signed.version}."
    here.store.put(CENTRAL_BUCKET, f"{METADATA}{version}{name}.json", role.to_bytes())
    for region in (promoted.fresh(), promoted.seen):
        assert _answers(here, region) == TWO
    here.store.put(CENTRAL_BUCKET, _newest(here, name, role.signed.version - 1), role.to_bytes())
    for region in (here.region(tmp_path / "wiped"), promoted.seen):
        with suppress(TrustRefused):  # stopped
            assert _answers(here, region) == TWO


@pytest.mark.parametrize("signing", TENANTS)
@pytest.mark.parametrize("spoken_for", TENANTS)
def test_a_tenants_key_speaks_for_its_own_models_only(healed: Promoted, signing: str, spoken_for: str) -> None:
    """All of the matrix, by a tenant that has even got its own role published with another's release in it."""
    here = healed.here
    release = Release.parse(f"{spoken_for}.signed-by-{signing}@1")
    role, path = tenant_role(signing), release_path(release)
    publish(here.store, here.keys_dir, lambda draft: draft.put_target(role, path, b"a manifest"))
    view = refresh(here.store, healed.seen)
    if signing == spoken_for:
        assert read_release(view, release).digest == sha256(b"a manifest").hexdigest()
    else:
        with pytest.raises(TrustRefused, match=f"not vouched for by {spoken_for}"):
            read_release(view, release)


def test_another_tenants_key_cannot_sign_a_role(here: Installation) -> None:
    stolen = {tenant_role("northbank"): signer(here.keys_dir, tenant_role("stclare"))}
    with pytest.raises(Exception, match="not the one that the trust repository names"):
        publish(
            here.store,
            here.keys_dir,
            lambda draft: draft.put_target("northbank.release", "northbank/a/1.json", b"x"),
            stolen,
        )


def test_a_tenant_that_is_called_like_a_path_speaks_for_no_pointer(make_installation: Any, tmp_path: Path) -> None:
    from governance.trust.keys import establish

    here = make_installation()
    create_keys(here.keys_dir, ["live"])
    establish(here.store, here.keys_dir, ["live"])
    path = live_path("mumbai", "northbank/intents")
    publish(here.store, here.keys_dir, lambda draft: draft.put_target("live.release", path, b"{}"))
    assert refresh(here.store, here.region(tmp_path / "region")).read(path) is None


def test_a_release_is_vouched_for_once(here: Installation) -> None:
    here.sign(ONE)
    here.sign(ONE)
    with pytest.raises(TrustRefused, match="already"):
        publish_release(here.store, here.keys_dir, Release.parse(ONE), b"another manifest", {})


def test_another_installations_repository_is_refused(
    promoted: Promoted, make_installation: Callable[[], Installation]
) -> None:
    other = make_installation()
    for key, body in _objects(other).items():
        promoted.here.store.put(CENTRAL_BUCKET, key, body)
    with pytest.raises(TrustRefused, match="refused"):
        _answers(promoted.here, promoted.fresh())


def _newest(here: Installation, name: str, version: int | None = None) -> str:
    if name == "timestamp":
        return f"{METADATA}timestamp.json"
    if name == "the pointer":
        promotion = Metadata.from_bytes(here.store.read(CENTRAL_BUCKET, _newest(here, "promotion"))).signed
        ((path, target),) = promotion.targets.items()  # type: ignore[attr-defined]
        return target_key(path, target.hashes["sha256"])
    if version is None:
        keys = [info.key.removeprefix(METADATA) for info in here.store.list(CENTRAL_BUCKET, METADATA)]
        version = max(int(key.split(".")[0]) for key in keys if key.partition(".")[2] == f"{name}.json")
    return f"{METADATA}{version}.{name}.json"
