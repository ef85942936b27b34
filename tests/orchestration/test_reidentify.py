"""`pedigree reidentify` gives the exact text back until `pedigree forget`; both refuse in words."""

from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner

from governance.audit.find import newest
from governance.audit.keys import log_public
from governance.audit.log import read_head
from governance.custody.keys import trusted_keys
from governance.privacy.subject_keys import destroy_key, keys_file, keys_for, seal
from orchestration.cli import app
from orchestration.settings import Settings


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


def test_who_is_forgotten_cannot_be_read_again(
    start_stack: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = start_stack("seaweedfs")
    monkeypatch.setenv("PEDIGREE_STATE_DIR", str(settings.state_dir))
    file, gone, other = keys_file(settings.keys_dir, "stclare"), str(uuid4()), str(uuid4())
    keys = keys_for(file, [gone, other])
    tokens = {subject: seal(keys[subject], "PERSON", "Ana Ruiz") for subject in (gone, other)}
    run = CliRunner()
    why = ("--reason", "asked to be erased", "--approver", "tests")
    unknown = run.invoke(app, ["forget", "stclaire", gone, *why])
    assert unknown.exit_code == 1 and not keys_file(settings.keys_dir, "stclaire").exists()
    forgotten = run.invoke(app, ["forget", "stclare", gone, *why])
    assert forgotten.exit_code == 0, forgotten.output
    refused = run.invoke(app, ["reidentify", "stclare", gone], input=tokens[gone])
    assert refused.exit_code == 1 and "was destroyed" in refused.output and "Ana" not in refused.output
    assert keys[gone] not in file.read_bytes() and keys[other] in file.read_bytes()
    assert run.invoke(app, ["reidentify", "stclare", other], input=tokens[other]).stdout == "Ana Ruiz"
    store = settings.store()
    head = read_head(store, log_public(trusted_keys(settings.keys_dir)))
    said = newest(store, head.checkpoint.size, 1)[0]
    assert (said["what"], said["tenant"], said["subject"]) == ("erasure", "stclare", gone)
