"""A client's trace goes on through Triton's span to the compute span, which names model, digest and batch."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import releases
from benchmarks.region import Region
from governance.tenants import Release
from serving.triton import client, repository

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
MODEL = f"{releases.TENANT}.traced"


@dataclass
class Span:
    name: str
    trace: str
    span: str
    parent: str
    began: int
    ended: int
    said: dict[str, str | int]


def read(kind: str, body: bytes) -> list[Span]:
    """The spans of one export: Triton sends JSON, where ids are hexadecimal, our backend protobuf."""
    if kind == "application/json":
        found = [span for r in json.loads(body)["resourceSpans"] for s in r["scopeSpans"] for span in s["spans"]]
        times = [(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])) for span in found]
        ids = [(span["traceId"], span["spanId"], span.get("parentSpanId", "")) for span in found]
        return [Span(span["name"], *id, *time, {}) for span, id, time in zip(found, ids, times, strict=True)]
    export = ExportTraceServiceRequest.FromString(body)
    return [
        Span(
            span.name,
            *(each.hex() for each in (span.trace_id, span.span_id, span.parent_span_id)),
            span.start_time_unix_nano,
            span.end_time_unix_nano,
            {each.key: each.value.string_value or each.value.int_value for each in span.attributes},
        )
        for resource in export.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Span]]:
    """The spans that come to a receiver of OTLP over HTTP, which the standard variable names."""
    spans: list[Span] = []

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            spans.extend(read(self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
    yield spans
    server.shutdown()
    server.server_close()


def test_the_compute_span_is_below_tritons_which_is_below_the_clients(received: list[Span], tmp_path: Path) -> None:
    trusted = releases.keys(tmp_path / "keys")
    root = tmp_path / "region"
    repository.prepare(root, releases.BASE, releases.base(), trusted.folder)
    digest = releases.put(root, tmp_path / "keys", Release.parse(f"{MODEL}@1"), seed=1)
    with Region(root, releases.BASE) as region:
        client.ask(region.address, MODEL, ["one", "two", "three"], traceparent=f"00-{TRACE}-{PARENT}-01")
        deadline = time.monotonic() + 20
        while not outermost(received):
            assert time.monotonic() < deadline, received
            time.sleep(0.05)
    (computed,) = [span for span in received if span.name == "pedigree.compute"]
    above = outermost(received)
    assert above is not None and above.trace == computed.trace == TRACE
    assert above.began <= computed.began < computed.ended
    assert computed.said == {
        "pedigree.model": MODEL,
        "pedigree.release": f"{MODEL}@1",
        "pedigree.release_digest": digest,
        "pedigree.batch.rows": 3,
        "pedigree.batch.models": 1,
    }


def outermost(spans: list[Span]) -> Span | None:
    """The span below the client's and above the compute span, None while one in between is missing."""
    known = {each.span: each for each in spans}
    span = next((each for each in spans if each.name == "pedigree.compute"), None)
    while span and span.parent != PARENT:
        span = known.get(span.parent)
    return span
