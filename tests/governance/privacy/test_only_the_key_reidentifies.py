"""What is encrypted is read again exactly, by the subject's key alone, until that key is destroyed."""

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.audit.acts import Act
from governance.privacy.erasure import forget
from governance.privacy.residue import find_residue
from governance.privacy.subject_keys import (
    SEALED,
    SubjectKeyError,
    destroy_key,
    existing_key,
    keys_file,
    keys_for,
    reidentify,
    seal,
)

KEY, OTHER = b"1" * 32, b"2" * 32


@given(text=st.text(), entity=st.sampled_from(["PERSON", "EMAIL", "DATE"]))
def test_the_exact_text_comes_back(text: str, entity: str) -> None:
    token = seal(KEY, entity, text)
    assert SEALED.fullmatch(token) and find_residue([f"MRN {token} 12"], [[]]) == []
    assert reidentify(KEY, f"a {token} b {token}") == f"a {text} b {text}"
    assert token == seal(KEY, entity, text), "a scrub is repeatable"


def test_no_other_key_opens_it_and_no_change_goes_unnoticed() -> None:
    token = seal(KEY, "PERSON", "Ana Ruiz")
    assert reidentify(OTHER, token) == token
    for changed in (token.replace("PERSON", "EMAIL"), token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]):
        assert reidentify(KEY, changed) == changed
    assert "Ana" not in token and seal(OTHER, "PERSON", "Ana Ruiz") != token


def test_a_key_is_made_once_for_each_subject_and_kept_private(tmp_path: Path) -> None:
    file = tmp_path / "acme.subjects.sqlite3"
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: keys_for(file, ["a", "b"]), range(8)))
    assert all(keys == made[0] for keys in made) and made[0]["a"] != made[0]["b"]
    assert existing_key(file, "a") == made[0]["a"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_destroyed_key_is_gone_and_never_made_again(tmp_path: Path) -> None:
    file = tmp_path / "acme.subjects.sqlite3"
    key = keys_for(file, ["a", "b"])["a"]
    destroy_key(file, "a")
    assert list(keys_for(file, ["a", "b"])) == ["b"]
    with pytest.raises(SubjectKeyError, match="destroyed"):
        existing_key(file, "a")
    assert not [p for p in tmp_path.iterdir() if key in p.read_bytes()], "nothing of it is left in any file"


def test_a_missing_shared_or_torn_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "acme.subjects.sqlite3"
    with pytest.raises(SubjectKeyError, match="does not exist"):
        existing_key(file, "a")
    keys_for(file, ["a"])
    with pytest.raises(SubjectKeyError, match="subject b has no key"):
        existing_key(file, "b")
    file.chmod(0o644)
    with pytest.raises(SubjectKeyError, match="chmod 600"):
        keys_for(file, ["a"])
    file.chmod(0o600)
    file.write_bytes(b"torn" * 500)
    with pytest.raises(SubjectKeyError, match="restore it"):
        keys_for(file, ["a"])


def test_who_is_forgotten_is_in_the_log_before_the_key_goes(tmp_path: Path) -> None:
    subject, file = uuid4(), keys_file(tmp_path, "stclare")
    key = keys_for(file, [str(subject)])[str(subject)]

    def unwritable(_: Act) -> None:
        raise OSError("the log cannot be written")

    with pytest.raises(OSError, match="log cannot be written"):
        forget(tmp_path, "stclare", subject, "the test", "asked", unwritable)
    assert existing_key(file, str(subject)) == key
    acts: list[Act] = []
    for _ in range(2):
        forget(tmp_path, "stclare", subject, "the test", "asked", acts.append)
    assert [act.subject for act in acts] == [subject, subject]
    with pytest.raises(SubjectKeyError, match="was destroyed"):
        existing_key(file, str(subject))
    assert keys_for(file, [str(subject)]) == {}
