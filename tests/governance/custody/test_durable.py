"""Files that are whole or not there."""

import threading
from pathlib import Path

import pytest

from governance.custody.durable import create_once, replace


def test_a_file_is_replaced_with_its_mode_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    file = tmp_path / "a"
    replace(file, b"first")
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"first", 0o644)
    replace(file, b"second", 0o600)
    assert (file.read_bytes(), file.stat().st_mode & 0o777) == (b"second", 0o600)
    assert list(tmp_path.iterdir()) == [file]


def test_of_those_who_create_at_once_one_wins_and_the_file_is_its(tmp_path: Path) -> None:
    file, won = tmp_path / "key", list[bytes]()
    together = threading.Barrier(8)

    def create(body: bytes) -> None:
        together.wait()
        if create_once(file, body, 0o600):
            won.append(body)

    threads = [threading.Thread(target=create, args=(bytes([i]) * 10_000,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won == [file.read_bytes()]
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a"
    replace(file, b"first")

    def full(_descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        replace(file, b"second")
    assert file.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [file]
