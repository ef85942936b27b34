"""A region's Triton repository on disk: how a release gets in, becomes the one that answers, and leaves.

    models/<base>/config.pbtxt, 1/model.py          the resident base, a Python backend model
    models/<tenant>.<task>/config.pbtxt             the pointer (configuration.py): which version answers
    models/<tenant>.<task>/shadow.json              a version that is tried beside it, while it is
    models/<tenant>.<task>/<N>/                     a release folder (governance/custody/verify.py)
    archive/<tenant>.<task>/<N>/                    the next older ones; the oldest keep only their metadata
    staging/                                        what is being fetched; never seen by Triton
    history/<tenant>.<task>.jsonl                   every switch, written before it is made

All on one file system, and every step is one rename, so a kill at any moment leaves the old state or the new one.
"""

import json
import os
import py_compile
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from governance.custody.canonical import sha256_file
from governance.custody.durable import replace, sync
from governance.custody.manifest import ADAPTER_FILES, MANIFEST
from governance.tenants import Release
from serving.engine.base import base_digest
from serving.triton.configuration import (
    POINTER,
    SHADOW,
    RepositoryError,
    Shadow,
    base_configuration,
    pointer,
    read_pointer,
)

LEFTOVER_SECONDS = 3600.0

Verify = Callable[[Path], object]


def prepare(region_root: Path, base_name: str, base_folder: Path, trusted_keys: Path, dtype: str = "float32") -> None:
    """Lay out the region's folders and the resident base's model.

    The weights stay where they are: the model's configuration names their folder and digest, and the folder of the
    public keys whose releases may be mounted.
    """
    for name in ("models", "staging", "archive", "history"):
        (region_root / name).mkdir(parents=True, exist_ok=True)
    model = region_root / "models" / base_name
    (model / "1").mkdir(parents=True, exist_ok=True)
    program = "from serving.triton.backend.model import TritonPythonModel  # noqa: F401\n"
    if _replace_other(model / "1" / "model.py", program):
        # Its server would write this beside it, and Triton take a folder that changed for a model that changed.
        py_compile.compile(str(model / "1" / "model.py"))
    parameters = {
        "BASE_FOLDER": str(base_folder.resolve()),
        "BASE_SHA256": base_digest(base_folder),
        "DTYPE": dtype,
        "MODELS": str((region_root / "models").resolve()),
        "TRUSTED_KEYS": str(trusted_keys.resolve()),
    }
    _replace_other(model / POINTER, base_configuration(base_name, parameters))


def release_folder(region_root: Path, release: Release) -> Path:
    """Where the release lies when it is active in this region."""
    return region_root / "models" / release.served_name / str(release.number)


def stage(region_root: Path, release: Release, fetch: Callable[[Path], object], verify: Verify | None = None) -> Path:
    """A folder outside of models/ with the release's files, what a killed run left there removed before.

    With `verify`, a copy that the region still holds is used when it passes; else `fetch(folder)` brings the files.
    """
    staging = region_root / "staging"
    staging.mkdir(parents=True, exist_ok=True)
    for leftover in staging.iterdir():
        if leftover.name == str(release) or time.time() - leftover.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
    staged = staging / str(release)
    if held := _held(region_root, release, verify):
        shutil.copytree(held, staged)
    else:
        staged.mkdir()
        fetch(staged)
    return staged


def install(region_root: Path, release: Release, staged: Path, verify: Verify, first: Verify | None = None) -> Path:
    """Move a staged release to where Triton would mount it; the model's answers do not change yet.

    Verified before the move, by `first` where what is known of the files spares a reading, and after it; what is raised
    is raised, and then nothing new is visible. A version that is there already and passes is left alone, a damaged one
    is replaced.
    """
    (first or verify)(staged)
    folder = release_folder(region_root, release)
    if folder.exists() and _passes(verify, folder):
        shutil.rmtree(staged)
        return folder
    _sync_tree(staged)
    folder.parent.mkdir(parents=True, exist_ok=True)
    discarded = staged.with_name(f"{staged.name}.discarded")
    shutil.rmtree(discarded, ignore_errors=True)
    if folder.exists():
        folder.rename(discarded)
    staged.rename(folder)
    sync(folder.parent)
    shutil.rmtree(discarded, ignore_errors=True)
    try:
        verify(folder)
    except Exception:
        folder.rename(discarded)
        shutil.rmtree(discarded, ignore_errors=True)
        raise
    shutil.rmtree(_archived(region_root, release.served_name, release.number), ignore_errors=True)
    return folder


def holds(region_root: Path, release: Release, verify: Verify) -> bool:
    """Whether the release is installed and passes."""
    folder = release_folder(region_root, release)
    return folder.is_dir() and _passes(verify, folder)


def switch(region_root: Path, release: Release) -> None:
    """Make the installed release the one that answers, recorded first. Raises RepositoryError if it is not there."""
    manifest = release_folder(region_root, release) / MANIFEST
    if not manifest.is_file():
        raise RepositoryError(f"{manifest.parent} is not installed; stage and install {release} before the switch")
    digest = sha256_file(manifest)
    _record(region_root, release, digest)
    base = json.loads(manifest.read_bytes())["base"]["name"]
    named = pointer(release.served_name, release.number, digest, base)
    replace(region_root / "models" / release.served_name / POINTER, named.encode())


def begin_shadow(region_root: Path, release: Release, share: float) -> None:
    """Let the installed release be tried, behind the replies, with this share of the model's requests."""
    folder = release_folder(region_root, release)
    wanted = Shadow(release.number, sha256_file(folder / MANIFEST), share)
    replace(folder.parent / SHADOW, json.dumps(wanted._asdict()).encode())


def end_shadow(region_root: Path, served_name: str) -> None:
    (_model_folder(region_root, served_name) / SHADOW).unlink(missing_ok=True)


def goes_back(region_root: Path, release: Release) -> bool:
    """Whether the release is older than the one that answers, and was switched to before: a rollback."""
    now = live(region_root, release.served_name)
    return now is not None and release.number < now and release.number in _history(region_root, release.served_name)


def version_before(region_root: Path, served_name: str) -> int | None:
    """The version that answered before the live one: installed, and older; a rollback does not lead back up."""
    now, used = live(region_root, served_name) or 0, list(_history(region_root, served_name))
    before = next((version for version in reversed(used) if version != now), now)
    return before if before < now and (_model_folder(region_root, served_name) / str(before)).is_dir() else None


def withdraw(region_root: Path, served_name: str) -> None:
    """Take the pointer away: no version of the model answers in this region."""
    folder = _model_folder(region_root, served_name)
    (folder / POINTER).unlink(missing_ok=True)
    if folder.is_dir():
        sync(folder)


def live(region_root: Path, served_name: str) -> int | None:
    """The version that the pointer names, None where the model has none. Raises RepositoryError on a broken pointer."""
    pointed = read_pointer(_model_folder(region_root, served_name) / POINTER)
    return pointed[0] if pointed else None


def prune(region_root: Path, served_name: str, active: int = 3, archived: int = 2) -> None:
    """Keep the `active` newest-used versions in models/ and the next `archived` in archive/.

    Of older ones only the metadata stays: manifest, signature, attestations. The live version counts as the newest.
    """
    versions = _by_last_use(region_root, served_name)
    for version in versions[active:]:
        folder = _model_folder(region_root, served_name) / str(version)
        place = _archived(region_root, served_name, version)
        if folder.is_dir():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(place, ignore_errors=True)
            folder.rename(place)
    for version in versions[active + archived :]:
        for name in ADAPTER_FILES:
            (_archived(region_root, served_name, version) / name).unlink(missing_ok=True)


def _held(region_root: Path, release: Release, verify: Verify | None) -> Path | None:
    if verify is None:
        return None
    places = (release_folder(region_root, release), _archived(region_root, release.served_name, release.number))
    return next((place for place in places if place.is_dir() and _passes(verify, place)), None)


def _passes(verify: Verify, folder: Path) -> bool:
    try:
        verify(folder)
    except Exception:  # whatever the reason, this copy is not used; the fresh one is verified with its error shown
        return False
    return True


def _model_folder(region_root: Path, served_name: str) -> Path:
    if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", served_name):
        raise RepositoryError(f"{served_name!r} is not the name of a model; the form is tenant.task")
    return region_root / "models" / served_name


def _archived(region_root: Path, served_name: str, version: int) -> Path:
    return region_root / "archive" / served_name / str(version)


def _by_last_use(region_root: Path, served_name: str) -> list[int]:
    """Every version on disk, the live one first, then by the last switch to it, then by number."""
    folders = (_model_folder(region_root, served_name), region_root / "archive" / served_name)
    found = {
        int(path.name) for folder in folders if folder.is_dir() for path in folder.iterdir() if path.name.isdigit()
    }
    used = {version: at for at, version in enumerate(_history(region_root, served_name))}
    now = live(region_root, served_name)
    return sorted(found, key=lambda version: (version == now, used.get(version, -1), version), reverse=True)


def _history(region_root: Path, served_name: str) -> Iterator[int]:
    with suppress(FileNotFoundError):
        for line in (region_root / "history" / f"{served_name}.jsonl").read_text().splitlines():
            with suppress(ValueError):  # a kill can tear the last line; the switch it announced was not made
                yield int(json.loads(line)["version"])


def _record(region_root: Path, release: Release, digest: str) -> None:
    path = region_root / "history" / f"{release.served_name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    entry = {"version": release.number, "release_digest": digest, "at": datetime.now(UTC).isoformat()}
    with path.open("ab") as file:
        torn = file.tell() > 0 and path.read_bytes()[-1:] != b"\n"
        file.write((b"\n" if torn else b"") + json.dumps(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _replace_other(path: Path, text: str) -> bool:
    """Replace the file unless it has this text already: then it keeps its time, and Triton need not load it again."""
    if path.is_file() and path.read_text() == text:
        return False
    replace(path, text.encode())
    return True


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
