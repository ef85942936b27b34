"""`pedigree keys …` as an operator types it, on a real store."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from governance.custody.canonical import sha256_bytes
from governance.custody.keys import trusted_keys
from governance.tenants import Release
from governance.trust.live import read_live, write_live
from governance.trust.releases import publish_release
from orchestration import cli
from orchestration.cli import keys as command
from orchestration.settings import Settings


@pytest.fixture
def settings(start_stack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch) -> Settings:
    settings = start_stack("seaweedfs")
    monkeypatch.setenv("PEDIGREE_STATE_DIR", str(settings.state_dir))
    monkeypatch.setattr(command, "console", Console(width=200, highlight=False))
    return settings


def keys(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["keys", *words])


def test_status_rotation_and_revocation(settings: Settings) -> None:
    store, keys_dir = settings.store(), settings.keys_dir
    shown = keys("status")
    assert shown.exit_code == 0
    roles = ("root", "timestamp", "snapshot", "targets", "promotion", "northbank.release", "stclare.release")
    assert all(role in shown.output for role in roles)
    assert keys("init").exit_code == 0
    for name in ("timestamp", "root-1", "northbank.release"):
        assert keys("rotate", name).exit_code == 0
    refused = keys("rotate", "nobody")
    assert refused.exit_code == 1 and "there is no key 'nobody'" in refused.output

    one, two = (Release.parse(f"northbank.support-intents@{number}") for number in (1, 2))
    standing = None
    for release in (one, two):
        publish_release(store, keys_dir, release, str(release).encode(), {})
        digest = sha256_bytes(str(release).encode())
        standing = write_live(store, keys_dir, release, digest, "mumbai", "a reason", "tests", standing)
    why = ("--reason", "a leak", "--approver", "tests")
    revoked = keys("revoke", str(two), *why)
    assert revoked.exit_code == 0, revoked.output
    assert f"northbank/support-intents in mumbai: back to {one}" in revoked.output
    now = read_live(store, "northbank", "support-intents", "mumbai", trusted_keys(keys_dir))
    assert now is not None and now.release == str(one)
    unclear = keys("revoke", "promotion", *why)
    assert unclear.exit_code == 1 and "give `since`" in unclear.output
    assert keys("revoke", "promotion", "--since", "2026-01-01", *why).exit_code == 0
    assert keys("refresh").exit_code == 0


def test_a_region_is_given_the_first_root_and_no_key(settings: Settings) -> None:
    for region in settings.company().regions:
        given = {path.name for path in (settings.region_root(region) / "trusted").iterdir()}
        assert given == {"root.json"}
    assert Path(settings.keys_dir / "mumbai.region.pem").exists()


def test_a_key_is_changed_and_trust_reported_by_materialization(settings: Settings) -> None:
    from orchestration.definitions import build_defs

    defs = build_defs()
    with dg.DagsterInstance.ephemeral() as instance:
        wanted = {"rotate": "promotion", "reason": "habit", "approver": "tests"}
        changed = defs.resolve_job_def("change_keys").execute_in_process(
            instance=instance, run_config={"ops": {"key_change": {"config": wanted}}}
        )
        assert changed.success
        reported = defs.resolve_job_def("refresh_trust").execute_in_process(instance=instance)
        (check,) = reported.get_asset_check_evaluations()
        assert check.passed
