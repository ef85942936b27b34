"""A fingerprint comes back from its files as it was; bytes that are none are refused with what to do."""

import json

import numpy as np
import pytest
from safetensors.numpy import load, save

from serving.router import FingerprintRefused
from serving.router.fingerprint import FACTS, TENSORS, from_files, to_files
from tests.serving.router.routing import ELSEWHERE, HERE, fingerprint

GOOD = to_files(fingerprint(0.7, "acme.intents@1"))


def test_it_comes_back_and_the_same_one_gives_the_same_bytes() -> None:
    again = from_files(GOOD)
    assert to_files(again) == GOOD == to_files(fingerprint(0.7, "acme.intents@1"))
    expected = again.expect(HERE)
    assert (expected.right, expected.known) == (pytest.approx(0.7), 1)
    assert again.expect(ELSEWHERE).known == 0


def test_what_is_expected_stays_inside_what_the_rows_allow() -> None:
    right, known, _ = fingerprint(0.7, "acme.intents@1").expect_all(np.stack([HERE, -HERE, 100 * HERE]))
    assert ((right > 0) & (right < 1)).all() and ((known >= 0) & (known <= 1)).all()


def _facts(**change: object) -> dict[str, bytes]:
    return GOOD | {FACTS: json.dumps(json.loads(GOOD[FACTS]) | change).encode()}


def _tensors(**change: np.ndarray) -> dict[str, bytes]:
    return GOOD | {TENSORS: save(load(GOOD[TENSORS]) | change)}


BAD = {
    "cut short": GOOD | {TENSORS: GOOD[TENSORS][:40]},
    "no tensors": {FACTS: GOOD[FACTS]},
    "a tensor too few": GOOD | {TENSORS: save({"bias": np.zeros(1, np.float32)})},
    "a pickle": GOOD | {TENSORS: b"\x80\x04cos\nsystem\n."},
    "too large": GOOD | {TENSORS: b"\0" * (17 << 20)},
    "not JSON": GOOD | {FACTS: b"prior: 1"},
    "an entry too many": _facts(note="hello"),
    "another format": _facts(format="pedigree/fingerprint/v9"),
    "a prior above one": _facts(prior=1.5),
    "near below far": _facts(near=0.1, far=0.5),
    "shapes that do not fit": _tensors(local=np.zeros(3, np.float32)),
    "another width": _tensors(direction=np.zeros(5, np.float32)),
    "no centre": _tensors(centres=np.zeros((0, 8), np.float32), local=np.zeros(0, np.float32)),
    "not a number": _tensors(direction=np.full(8, np.nan, np.float32)),
    "another type": _tensors(bias=np.zeros(1, np.float64)),
}


@pytest.mark.parametrize("kind", BAD)
def test_anything_else_is_refused(kind: str) -> None:
    with pytest.raises(FingerprintRefused):
        from_files(BAD[kind])
