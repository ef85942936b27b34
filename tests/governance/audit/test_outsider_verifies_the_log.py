"""The page for outsiders tells the truth: its script is run as it stands there, on good proofs and on bad ones."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from governance.audit.checkpoint import AuditRefused
from governance.audit.proofs import prove, prove_growth
from tests.governance.audit.conftest import Log

PAGE = Path(__file__).parents[3] / "docs" / "verify-the-audit-log.md"
Ask = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def ask(log: Log, tmp_path: Path) -> Ask:
    script = tmp_path / "verify_audit.py"
    script.write_text(re.search(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[1])  # type: ignore[index]

    def run(*words: str | Path, keys: tuple[str, ...] = ("audit",)) -> subprocess.CompletedProcess[str]:
        trusted = [str(log.trusted.folder / f"{key}.pub") for key in keys]
        command = [sys.executable, str(script), *map(str, words), *trusted]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    return run


def write(folder: Path, name: str, line: bytes, proof: str) -> tuple[Path, Path]:
    (folder / f"{name}.json").write_bytes(line)
    (folder / f"{name}.tlog-proof").write_text(proof)
    return folder / f"{name}.json", folder / f"{name}.tlog-proof"


@pytest.mark.parametrize(("size", "index"), [(1, 0), (7, 0), (7, 6), (12, 5)])
def test_the_script_accepts_an_entry_with_the_signatures_of_log_and_regions(
    log: Log, ask: Ask, tmp_path: Path, size: int, index: int
) -> None:
    log.append(size)
    log.witness("mumbai")
    log.witness("frankfurt")
    files = write(tmp_path, "audit", *prove(log.store, log.trusted, index))
    told = ask("entry", *files, keys=("audit", "witness-mumbai", "witness-frankfurt"))
    assert told.stdout.startswith(f"VERIFIED entry {index} of {size}: {{"), told.stderr


def test_the_script_refuses_what_is_not_in_the_log(log: Log, ask: Ask, tmp_path: Path) -> None:
    log.append(9)
    line, proof = prove(log.store, log.trusted, 4)
    other, _ = prove(log.store, log.trusted, 5)
    lines = proof.split("\n")
    for name, (body, text, said) in {
        "edited": (line.replace(b"a reason", b"a season"), proof, "REFUSED: this is not entry 4"),
        "another": (other, proof, "REFUSED: this is not entry 4"),
        "moved": (line, proof.replace("index 4", "index 3"), "REFUSED: this is not entry 3"),
        "short": (line, "\n".join([*lines[:2], *lines[3:]]), "REFUSED: the proof is too short"),
        "long": (line, "\n".join([*lines[:3], *lines[2:]]), "REFUSED: "),
        "another size": (line, proof.replace("\n9\n", "\n8\n"), "InvalidSignature"),
    }.items():
        told = ask("entry", *write(tmp_path, name, body, text))
        assert told.returncode != 0 and said in told.stderr, (name, told.stdout, told.stderr)
    told = ask("entry", *write(tmp_path, "unseen", line, proof), keys=("audit", "witness-mumbai"))
    assert "witness-mumbai.pub did not sign" in told.stderr


@pytest.mark.parametrize(("old", "new"), [(1, 6), (4, 9), (5, 9), (8, 8)])
def test_the_script_accepts_a_log_that_grew_and_refuses_another_past(
    log: Log, new_log: Callable[[], Log], ask: Ask, tmp_path: Path, old: int, new: int
) -> None:
    log.append(old)
    _, older = write(tmp_path, "older", *prove(log.store, log.trusted, 0))
    if new > old:
        log.append(new - old)
    growth = tmp_path / "audit.growth"
    growth.write_text(prove_growth(log.store, log.trusted, old))
    told = ask("growth", older, growth)
    assert told.stdout == f"VERIFIED the log of {new} entries begins with the {old} that you know\n", told.stderr
    log.remove("checkpoint", *range(new))
    log.append(new, why="another past, signed by the same key")
    growth.write_text(prove_growth(log.store, log.trusted, old))
    assert f"REFUSED: the log of {new} does not begin with the log of {old}" in ask("growth", older, growth).stderr


def test_a_proof_takes_the_checkpoint_that_most_have_signed(log: Log) -> None:
    log.append(3)
    log.witness("mumbai")
    log.witness("frankfurt")
    log.append(2)
    for index, size, signatures in ((0, 3, 3), (4, 5, 1)):
        _, proof = prove(log.store, log.trusted, index)
        assert f"\npedigree/audit\n{size}\n" in proof and proof.count("\n— ") == signatures
    log.put("witness/mumbai", log.read("witness/frankfurt"))  # not mumbai's own word any more
    _, proof = prove(log.store, log.trusted, 0)
    assert "witness/mumbai" not in proof and proof.count("\n— ") == 2


def test_no_proof_is_written_of_what_does_not_hold(log: Log) -> None:
    log.append(6)
    with pytest.raises(AuditRefused, match="no checkpoint covers an entry 6"):
        prove(log.store, log.trusted, 6)
    with pytest.raises(AuditRefused, match="the log has 6 entries, so it never grew from 7"):
        prove_growth(log.store, log.trusted, 7)
    log.put(2, log.read(2).replace(b"a reason", b"a season"))
    with pytest.raises(AuditRefused, match="entry 2 does not lead to the root of 6 entries"):
        prove(log.store, log.trusted, 2)
    with pytest.raises(AuditRefused, match="does not begin with its first 3"):
        prove_growth(log.store, log.trusted, 3)


def test_the_commands_on_the_page_are_those_that_exist() -> None:
    from orchestration.cli import app

    (group,) = [group for group in app.registered_groups if group.name == "audit"]
    commands = {command.callback.__name__ for command in group.typer_instance.registered_commands}  # type: ignore[union-attr]
    assert set(re.findall(r"`pedigree audit (\w+)", PAGE.read_text())) <= commands
