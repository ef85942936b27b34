"""`pedigree reidentify` gives the exact text back to who holds the keys, and refuses in words."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from governance.privacy.subject_keys import destroy_key, keys_file, keys_for, seal
from orchestration.cli import app


def test_a_record_is_read_again_until_its_key_is_destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PEDIGREE_KEYS_DIR", str(tmp_path))
    file = keys_file(tmp_path, "stclare")
    token = seal(keys_for(file, ["s-1"])["s-1"], "PERSON", "Ana Ruiz")
    run = CliRunner()
    told = run.invoke(app, ["reidentify", "stclare", "s-1"], input=f"Pt {token}\ncame.\n")
    assert (told.exit_code, told.stdout) == (0, "Pt Ana Ruiz\ncame.\n")
    destroy_key(file, "s-1")
    refused = run.invoke(app, ["reidentify", "stclare", "s-1"], input=token)
    assert refused.exit_code == 1 and "was destroyed" in refused.output and "Ana" not in refused.output
