import json
import os
from datetime import time
from pathlib import Path

import pytest

from orchestration.settings import CHECKOUT, SettingsError, Window, load_settings
from orchestration.stack.local import kept_secret, write_stack_settings


def write(state_dir: Path, name: str, text: str) -> None:
    (state_dir / name).write_text(text)


def test_environment_goes_before_file_before_stack_before_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert load_settings(state_dir=tmp_path).s3_region == "us-east-1"
    write(tmp_path, "stack.toml", 's3_region = "of-the-stack"\ns3_endpoint = "http://127.0.0.1:1"\n')
    assert load_settings(state_dir=tmp_path).s3_region == "of-the-stack"
    write(tmp_path, "settings.toml", 's3_region = "of-the-file"\n')
    assert load_settings(state_dir=tmp_path).s3_region == "of-the-file"
    monkeypatch.setenv("PEDIGREE_S3_REGION", "of-the-environment")
    settings = load_settings(state_dir=tmp_path)
    assert settings.s3_region == "of-the-environment"
    assert settings.s3_endpoint == "http://127.0.0.1:1"


def test_the_state_dir_of_the_environment_decides_which_files_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "settings.toml", 's3_region = "here"\n')
    monkeypatch.setenv("PEDIGREE_STATE_DIR", str(tmp_path))
    settings = load_settings()
    assert (settings.s3_region, settings.state_dir, settings.keys_dir) == ("here", tmp_path, tmp_path / "keys")


def test_a_relative_path_means_the_same_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = load_settings(state_dir=Path("some/state"), company_file=Path("other.yaml"))
    assert settings.state_dir == CHECKOUT / "some" / "state"
    assert settings.company_file == CHECKOUT / "other.yaml"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("s3_region = ", "is not TOML"),
        ('s3_bucket = "x"', "s3_bucket"),
        ('executor = "ray"', "executor"),
        ('training_window = { start = "25:00", end = "06:00" }', "training_window.start"),
        ("s3_secret_key = 5", "s3_secret_key"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong_in_it(tmp_path: Path, text: str, named: str) -> None:
    write(tmp_path, "settings.toml", text)
    with pytest.raises(SettingsError) as refused:
        load_settings(state_dir=tmp_path)
    assert named in str(refused.value)
    assert str(tmp_path / "settings.toml") in str(refused.value)


def test_a_broken_variable_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_EXECUTOR", "ray")
    with pytest.raises(SettingsError, match="PEDIGREE_EXECUTOR"):
        load_settings(state_dir=tmp_path)
    monkeypatch.setenv("PEDIGREE_EXECUTOR", "in_process")
    monkeypatch.setenv("PEDIGREE_TRITON", "mumbai")
    with pytest.raises(SettingsError, match="JSON"):
        load_settings(state_dir=tmp_path)


def test_a_missing_store_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="pedigree up"):
        load_settings(state_dir=tmp_path).store()


def test_a_secret_is_never_printed_and_only_the_owner_can_read_it(tmp_path: Path) -> None:
    write_stack_settings(load_settings(state_dir=tmp_path), {"triton": {"mumbai": "http://127.0.0.1:1"}})
    settings = load_settings(state_dir=tmp_path)
    secret = settings.s3_secret_key.get_secret_value()
    assert len(secret) > 30
    assert secret not in f"{settings!r} {settings} {settings.model_dump_json()}"
    assert settings.triton == {"mumbai": "http://127.0.0.1:1"}
    kept = tmp_path / "of-a-part" / "key"
    assert kept_secret(kept) == kept_secret(kept)
    for file in (tmp_path / "stack.toml", kept):
        assert file.stat().st_mode & 0o777 == 0o600, file


def test_new_addresses_do_not_change_the_credentials(tmp_path: Path) -> None:
    write_stack_settings(load_settings(state_dir=tmp_path), {"s3_endpoint": "http://127.0.0.1:1"})
    before = load_settings(state_dir=tmp_path)
    write_stack_settings(before, {"s3_endpoint": "http://127.0.0.1:2"})
    after = load_settings(state_dir=tmp_path)
    assert (after.s3_access_key, after.s3_secret_key) == (before.s3_access_key, before.s3_secret_key)
    assert after.s3_endpoint == "http://127.0.0.1:2"


@pytest.mark.parametrize(
    ("start", "end", "moment", "inside"),
    [
        (time(9), time(17), time(9), True),
        (time(9), time(17), time(17), False),
        (time(22), time(6), time(23), True),
        (time(22), time(6), time(5, 59), True),
        (time(22), time(6), time(6), False),
        (time(22), time(6), time(12), False),
    ],
)
def test_a_window_over_midnight_is_not_empty(start: time, end: time, moment: time, inside: bool) -> None:
    assert Window(start=start, end=end).contains(moment) is inside


def test_a_window_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_TRAINING_WINDOW", json.dumps({"start": "22:00", "end": "06:00"}))
    assert load_settings(state_dir=tmp_path).training_window == Window(start=time(22), end=time(6))


def test_no_library_calls_home() -> None:
    assert os.environ["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert os.environ["GX_ANALYTICS_ENABLED"].lower() == "false"
    assert os.environ["HF_HUB_OFFLINE"] == "1"
    from mlflow.telemetry.utils import is_telemetry_disabled

    assert is_telemetry_disabled()
