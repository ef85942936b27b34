"""What built this: the commit, the image, the environment, and who approves. "unknown" where nothing tells."""

import getpass
import os
import re
import subprocess
from pathlib import Path

from governance.custody.manifest import Environment
from governance.custody.sbom import installed, lock_digest

UNKNOWN = "unknown"


def environment(checkout: Path) -> Environment:
    """The code and the packages of this process. The image digest is null outside an image."""
    return Environment(
        lock_sha256=lock_digest(installed()),
        git_sha=git_sha(checkout),
        image_digest=os.environ.get("PEDIGREE_IMAGE_DIGEST") or None,
    )


def git_sha(checkout: Path) -> str:
    """The commit of `checkout`; "-dirty" behind it when tracked files differ from it; "unknown" outside a repository.

    An image carries no repository: its build sets PEDIGREE_GIT_SHA. Without a git binary the commit is read from
    `.git`, and changes cannot be seen: then "-unchecked" stands behind it.
    """
    if given := os.environ.get("PEDIGREE_GIT_SHA"):
        return given
    if not (checkout / ".git").exists():
        return UNKNOWN  # git itself would look further up, and name some other repository's commit
    command = ["git", "--no-optional-locks", "-C", str(checkout), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        told = subprocess.run([*command, "--abbrev=40"], capture_output=True, text=True, timeout=30, check=True)
        return told.stdout.strip()
    except (OSError, subprocess.SubprocessError):
        head = _head(checkout / ".git")
        return f"{head}-unchecked" if head else UNKNOWN


def approver() -> str:
    """Who answers for what this process promotes: PEDIGREE_APPROVER, else the account it runs under."""
    try:
        return os.environ.get("PEDIGREE_APPROVER") or getpass.getuser()
    except (OSError, KeyError):
        return UNKNOWN


def _head(git: Path) -> str | None:
    """The commit that HEAD names, from the files of a repository or of a worktree."""
    try:
        if git.is_file():
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        head = (git / "HEAD").read_text().strip()
        if head.startswith("ref: "):
            head = _ref(git, common, head.removeprefix("ref: "))
    except OSError:
        return None
    return head if re.fullmatch(r"[0-9a-f]{40}|[0-9a-f]{64}", head) else None


def _ref(git: Path, common: Path, name: str) -> str:
    for loose in (git / name, common / name):
        if loose.exists():
            return loose.read_text().strip()
    for line in (common / "packed-refs").read_text().splitlines():
        if line.endswith(f" {name}"):
            return line.split()[0]
    return ""
