"""A policy file that cannot be used leaves the last good one in force and says why; nothing in it can hang or hurt."""

import os
import time
from pathlib import Path

import pytest

from serving.router.policy_file import PolicyFile, PolicyRefused, read_routing

GOOD = """
format: pedigree/routing/v1
version: 1
policies:
  default: { weights: { quality: 1, cost: 0.02 }, deny: [acme/old] }
  frugal: { pick: cheapest over threshold, threshold: 0.8, fallbacks: [acme/intents] }
models:
  acme/intents: { cost: 3, tier: enterprise }
  acme/*: { cost: 2 }
fairness:
  acme/intents: { groups: { loans: [loan, mortgage] }, at_least: { loans: 0.2 } }
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "routing.yaml"
    _write(path, GOOD)
    return path


def test_a_good_file_is_read_and_the_first_pattern_that_matches_holds(path: Path) -> None:
    routing = read_routing(path).routing
    assert [routing.about(name).cost for name in ("acme/intents", "acme/other", "else/one")] == [3, 2, 1]
    assert routing.policies["default"].admits("acme/intents") and not routing.policies["default"].admits("acme/old")


def test_a_change_is_taken_up_without_a_restart(path: Path) -> None:
    policies = PolicyFile(path)
    before = policies.current()
    _write(path, GOOD.replace("version: 1", "version: 2").replace("cost: 0.02", "cost: 0.5"))
    now = policies.current()
    assert (now.routing.version, now.routing.policies["default"].weights.cost) == (2, 0.5)
    assert now.sha256 != before.sha256 and policies.fault is None


BAD = {
    "not YAML": ("{", "line 1"),
    "not a mapping": ("- a\n", "valid dictionary"),
    "empty": ("", "valid dictionary"),
    "no default": (GOOD.replace("default:", "usual:"), "needs a policy named `default`"),
    "unknown entry": (GOOD.replace("deny:", "denied:"), "policies.default.denied: Extra inputs"),
    "a weight below zero": (GOOD.replace("cost: 0.02", "cost: -1"), "policies.default.weights.cost"),
    "a weight that is no number": (GOOD.replace("cost: 0.02", "cost: .nan"), "finite number"),
    "a weight without end": (GOOD.replace("cost: 0.02", "cost: .inf"), "policies.default.weights.cost"),
    "threshold without its pick": (GOOD.replace("pick: cheapest over threshold, ", ""), "`threshold` goes with"),
    "a denied fallback": (GOOD.replace("deny: [acme/old]", "deny: ['*'], fallbacks: [acme/old]"), "are denied"),
    "a path for a pattern": (GOOD.replace("acme/old", "../../etc"), "String should match pattern"),
    "code": (GOOD.replace("[acme/old]", "!!python/object/apply:os.system ['true']"), "could not determine a construct"),
    "a key twice": (GOOD.replace("deny: [acme/old]", "deny: [acme/old], deny: []"), "deny is declared twice"),
    "a list for a key": (GOOD.replace("deny:", "? [a, {b: c}]\n  :"), "line"),
    "aliases that unfold": (GOOD + "x: &x [a]\ny: [*x, *x]\n", "aliases are not allowed"),
    "nesting": (GOOD + "x: " + "[" * 5000 + "]" * 5000, "nested deeper"),
    "a huge file": (GOOD + "#" * (300 << 10), "larger than 256 KiB"),
    "an older version": (GOOD.replace("version: 1", "version: 0"), "greater than 0"),
    "a change without a new version": (GOOD + "# changed\n", "needs a larger version"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_leaves_the_last_good_one_in_force(path: Path, kind: str) -> None:
    policies = PolicyFile(path)
    before = policies.current()
    body, fault = BAD[kind]
    _write(path, body)
    assert policies.current() == before
    assert policies.fault and str(path) in policies.fault and fault in policies.fault, policies.fault
    _write(path, GOOD.replace("version: 1", "version: 7"))
    assert policies.current().routing.version == 7 and policies.fault is None


def test_bytes_that_are_no_text_a_folder_a_pipe_and_nothing_at_all(path: Path, tmp_path: Path) -> None:
    policies = PolicyFile(path)
    _write(path, b"\xff\xfe\x00")
    assert policies.current().routing.version == 1 and policies.fault and "decode" in policies.fault
    path.unlink()
    assert policies.current().routing.version == 1 and policies.fault and "put the policy file there" in policies.fault
    path.mkdir()
    _age(path)
    assert policies.current().routing.version == 1 and policies.fault and "no plain file" in policies.fault
    pipe = tmp_path / "pipe.yaml"
    os.mkfifo(pipe)
    with pytest.raises(PolicyRefused, match="no plain file"):
        read_routing(pipe)


def test_at_the_start_there_is_no_good_one_to_keep(tmp_path: Path) -> None:
    with pytest.raises(PolicyRefused, match="put the policy file there"):
        PolicyFile(tmp_path / "absent.yaml")


def test_half_a_file_is_waited_for(path: Path) -> None:
    policies = PolicyFile(path)
    whole = GOOD.replace("version: 1", "version: 2")
    path.write_text(whole.partition(", deny")[0] + " }")  # its writer is still at it
    assert policies.current().routing.version == 1 and policies.fault is None
    _write(path, whole)
    assert policies.current().routing.policies["default"].deny == ("acme/old",)


def _write(path: Path, body: str | bytes) -> None:
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    _age(path)


def _age(path: Path) -> None:
    os.utime(path, ns=(0, time.time_ns() - 2_000_000_000))
