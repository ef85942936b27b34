"""A base is found where it was declared and pinned by what decides its answers."""

import os
from pathlib import Path

import pytest

from governance.tenants import Base
from serving.engine import BaseUnusable, base_digest, base_folder


def linked(base: Path, folder: Path) -> Path:
    """The base's files under another folder, without a copy of the weights."""
    folder.mkdir()
    for file in base.iterdir():
        if file.is_file():
            os.link(file, folder / file.name)
    return folder


def test_the_digest_is_of_the_bytes_not_of_the_place(base: Path, tmp_path: Path) -> None:
    copy = linked(base, tmp_path / "copy")
    assert base_folder(Base(path=str(copy))) == copy
    (copy / "README.md").unlink()
    assert base_digest(copy) == base_digest(base)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "vocab.txt", "model.safetensors"])
def test_a_changed_or_missing_file_changes_the_digest(base: Path, tmp_path: Path, file: str) -> None:
    copy = linked(base, tmp_path / "copy")
    (copy / file).unlink()
    without = base_digest(copy)
    (copy / file).write_bytes(b"changed")
    assert len({without, base_digest(copy), base_digest(base)}) == 3


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"package": "no_such_package"}, "'no_such_package' of a base is not installed"),
        ({"package": "yaml"}, "holds 0 folders with model.safetensors"),
        ({"path": "/no/such/folder"}, "the folder /no/such/folder of a base does not exist"),
        ({"path": "nobody/nothing"}, "neither cached nor reachable"),
    ],
)
def test_a_base_that_is_not_there_is_named(
    declared: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BaseUnusable, match=message):
        base_folder(Base(**declared))


def test_a_folder_without_weights_is_no_base(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BaseUnusable, match=r"needs config\.json and model\.safetensors"):
        base_folder(Base(path=str(tmp_path)))
