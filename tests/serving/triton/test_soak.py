"""No error and no wrong answer while versions are switched and adapters are mounted, evicted, and come back."""

from pathlib import Path

from benchmarks import releases
from benchmarks.soak import soak
from serving.triton import repository


def test_every_reply_is_what_the_version_that_it_names_says(tmp_path: Path) -> None:
    trusted = releases.keys(tmp_path / "keys")
    repository.prepare(tmp_path / "region", releases.BASE, releases.base(), trusted.folder)
    seen = soak(tmp_path / "region", tmp_path / "keys", requests=400, connections=16, switches=12, late=8)
    assert (seen["errors"], seen["wrong"]) == (0, 0)
    assert seen["requests"] >= 400
    assert seen["mounted"] == 8
    assert seen["evictions"] > 0
