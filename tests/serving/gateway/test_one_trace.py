"""From the client's request to the region's compute it is one trace, and nothing of what was asked is in it.

With PICTURES set to a folder its picture is drawn there: docs/images/trace.svg came that way.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import releases
from benchmarks.region import Region
from governance.tenants import Release
from serving.triton import repository
from tests.serving.fleet import INTENTS, Fleet, until
from tests.serving.spans import Span, draw, receiver

TRACE, CLIENT = "12" * 16, "cd" * 8


def test_a_request_is_one_trace_from_the_client_to_the_compute(
    make_fleet: Callable[[], Fleet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, root = f"what is asked stays out of it {time.time()}", tmp_path / "region"
    repository.prepare(root, releases.BASE, releases.base(), releases.keys(tmp_path / "keys").folder)
    digest = releases.put(root, tmp_path / "keys", Release.parse(f"{INTENTS}@1"), seed=1)
    fleet = make_fleet()
    with receiver() as received:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", received.address)
        monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Region(root, releases.BASE) as fleet.region:
            gateway, _ = servers = fleet.start("gateway"), fleet.start("worker")
            until(lambda: all(server.ready() for server in servers))
            reply = fleet.client(gateway, "northbank").post(
                "/v1/models/northbank/support-intents/infer",
                json={"input": secret},
                headers={"traceparent": f"00-{TRACE}-{CLIENT}-01"},
            )
            assert reply.json()["digest"] == digest
            chain = received.chain("pedigree.compute", until=CLIENT)
            until(lambda: "queue" in named(received.spans))
            for server in servers:
                assert server.end() == 0
    mine = named(received.spans)
    assert {span.trace for span in mine.values()} == {TRACE}
    assert [mine[name].service for name in ("gateway", "queue", "worker", "pedigree.compute")] == [
        *("pedigree-gateway", "pedigree-worker"),
        *("pedigree-worker", "pedigree-engine"),
    ]
    assert mine["gateway"] in chain and mine["worker"] in chain
    assert mine["queue"].parent == mine["worker"].parent == mine["gateway"].span
    assert mine["worker"].ended <= mine["gateway"].ended
    assert chain[0].said["pedigree.release_digest"] == digest
    assert secret not in str(received.spans)
    if pictures := os.environ.get("PICTURES"):
        draw(list(mine.values()), Path(pictures) / "trace.svg")


def named(spans: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in spans if span.trace == TRACE}
