"""A client's trace goes on through Triton's span to the compute span, which names model, digest and batch."""

from pathlib import Path

import pytest

from benchmarks import releases
from benchmarks.region import Region
from governance.tenants import Release
from serving.triton import client, repository
from tests.serving.spans import receiver

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MODEL = f"{releases.TENANT}.traced"


def test_the_compute_span_is_below_tritons_which_is_below_the_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = releases.keys(tmp_path / "keys")
    root = tmp_path / "region"
    repository.prepare(root, releases.BASE, releases.base(), trusted.folder)
    digest = releases.put(root, tmp_path / "keys", Release.parse(f"{MODEL}@1"), seed=1)
    with receiver() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Region(root, releases.BASE) as region:
            client.ask(region.address, MODEL, ["one", "two", "three"], traceparent=f"00-{TRACE}-{PARENT}-01")
            computed, *_, above = received.chain("pedigree.compute", until=PARENT)
    assert above.trace == computed.trace == TRACE
    assert above.began <= computed.began < computed.ended
    assert computed.said == {
        "pedigree.model": MODEL,
        "pedigree.release": f"{MODEL}@1",
        "pedigree.release_digest": digest,
        "pedigree.batch.rows": 3,
        "pedigree.batch.models": 1,
    }
