import subprocess
from pathlib import Path

import pytest

from orchestration.attribution import UNKNOWN, approver, environment, git_sha


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("PEDIGREE_GIT_SHA", raising=False)
    git(tmp_path, "init", "--quiet", "--initial-branch=main")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "-m", "one")
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    told = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True)
    return told.stdout.strip()


def test_a_changed_checkout_is_not_passed_off_as_its_commit(checkout: Path) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    assert git_sha(checkout) == commit
    (checkout / "file").write_text("two")
    assert git_sha(checkout) == f"{commit}-dirty"


def test_without_a_git_binary_the_commit_is_read_and_said_to_be_unchecked(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = git(checkout, "rev-parse", "HEAD")
    git(checkout, "worktree", "add", "--quiet", "--detach", str(checkout / "other"))
    git(checkout, "tag", "a-tag-without-meaning")
    monkeypatch.setenv("PATH", "")
    assert git_sha(checkout) == f"{commit}-unchecked"
    assert git_sha(checkout / "other") == f"{commit}-unchecked"
    monkeypatch.undo()
    git(checkout, "pack-refs", "--all")
    monkeypatch.setenv("PATH", "")
    assert git_sha(checkout) == f"{commit}-unchecked"


def test_outside_a_repository_the_commit_is_unknown(checkout: Path, tmp_path: Path) -> None:
    inside = checkout / "site-packages"
    inside.mkdir()
    assert git_sha(inside) == UNKNOWN, "some other repository's commit was taken for ours"


def test_an_image_says_what_it_was_built_from(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert environment(checkout).image_digest is None
    monkeypatch.setenv("PEDIGREE_IMAGE_DIGEST", "sha256:" + "a" * 64)
    monkeypatch.setenv("PEDIGREE_GIT_SHA", "b" * 40)
    told = environment(checkout)
    assert (told.image_digest, told.git_sha) == ("sha256:" + "a" * 64, "b" * 40)


def test_somebody_always_answers_for_a_promotion(monkeypatch: pytest.MonkeyPatch) -> None:
    assert approver()
    monkeypatch.setenv("PEDIGREE_APPROVER", "release manager")
    assert approver() == "release manager"
