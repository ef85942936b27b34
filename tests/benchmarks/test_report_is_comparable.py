"""A benchmark's JSON has what a later comparison needs, and is never half written."""

import json
import signal
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import pytest

from benchmarks.report import arguments, peak_rss_mb, publish


def test_the_document_has_the_agreed_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "out.json"
    rows: list[dict[str, object]] = [{"step": "a", "mb_s": 12_345.6}, {"step": "b", "note": "x"}]
    publish("speed", Namespace(json=target), {"mb_s": 0.00123}, rows)
    document = json.loads(target.read_text())
    assert document["benchmark"] == "speed"
    assert document["measures"] == {"mb_s": 0.00123}
    assert document["rows"] == rows
    assert document["machine"]["cores"] >= 1
    assert document["commit"]
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    shown = capsys.readouterr().out
    assert "12,346" in shown
    assert "0.00123" in shown


def test_the_flags_are_the_same_for_every_benchmark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["x", "--quick", "--json", "f.json", "--data", "d"])
    monkeypatch.setattr("signal.signal", lambda *_: None)  # this process ends as it did
    args = arguments("measures something")
    assert (args.quick, args.json, args.data) == (True, Path("f.json"), Path("d"))


def test_peak_memory_sees_what_was_held_and_let_go() -> None:
    held = bytearray(b"x" * (64 << 20))
    size = len(held)
    del held
    assert peak_rss_mb() >= size / 2**20


def test_a_benchmark_that_is_told_to_end_stops_what_it_started() -> None:
    program = """
import contextlib, time
from benchmarks.report import arguments
arguments("one")
with contextlib.ExitStack() as started:
    started.callback(print, "stopped")
    print("started", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "started\n"
        process.terminate()
        assert process.communicate(timeout=30)[0] == "stopped\n" and process.returncode == 128 + signal.SIGTERM
