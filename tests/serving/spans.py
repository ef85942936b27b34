"""A receiver of traces (OTLP over HTTP) for a test, and the picture of one trace."""

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


@dataclass
class Span:
    service: str
    name: str
    trace: str
    span: str
    parent: str
    began: int
    ended: int
    said: dict[str, str | int]


@dataclass
class Received:
    """What came to `address` so far."""

    address: str = ""
    spans: list[Span] = field(default_factory=list)

    def chain(self, name: str, until: str, seconds: float = 30) -> list[Span]:
        """The span of that name and those above it, up to the one below span id `until`. Waits for them to come."""
        deadline = time.monotonic() + seconds
        while True:
            known = {each.span: each for each in self.spans}
            chain = [each for each in self.spans if each.name == name][:1]
            while chain and chain[-1].parent in known:
                chain.append(known[chain[-1].parent])
            if chain and chain[-1].parent == until:
                return chain
            assert time.monotonic() < deadline, self.spans
            time.sleep(0.05)


@contextmanager
def receiver() -> Iterator[Received]:
    received = Received()

    class Receiver(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/v1/traces"
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            received.spans += list(_read(self.headers["Content-Type"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    received.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()


def _read(kind: str, body: bytes) -> Iterator[Span]:
    """The spans of one export: Triton sends JSON, where ids are hexadecimal, the others protobuf."""
    if kind == "application/json":
        for resource in json.loads(body)["resourceSpans"]:
            for span in (span for scope in resource["scopeSpans"] for span in scope["spans"]):
                ids = span["traceId"], span["spanId"], span.get("parentSpanId", "")
                times = int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"])
                yield Span("pedigree-triton", span["name"], *ids, *times, {})
        return
    for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
        (service,) = (_value(each) for each in resource.resource.attributes if each.key == "service.name")
        for span in (span for scope in resource.scope_spans for span in scope.spans):
            ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
            times = span.start_time_unix_nano, span.end_time_unix_nano
            yield Span(service, span.name, *ids, *times, {each.key: _value(each) for each in span.attributes})


def _value(attribute: Any) -> Any:
    return attribute.value.string_value or attribute.value.int_value


def draw(spans: list[Span], file: Path) -> None:
    """A bar a span, in the order in which they began, over the milliseconds since the first did."""
    from matplotlib.figure import Figure

    ordered = sorted(spans, key=lambda span: (span.began, -span.ended))
    services = sorted({span.service for span in ordered})
    figure = Figure(figsize=(10, 0.45 * len(ordered) + 1))
    axes = figure.subplots()
    for row, span in enumerate(ordered):
        start, end = ((at - ordered[0].began) / 1e6 for at in (span.began, span.ended))
        axes.barh(row, end - start, left=start, height=0.4, color=f"C{services.index(span.service)}")
        axes.text(start, row - 0.4, f"{span.service}: {span.name}", fontsize=8, va="center")
    axes.set(ylim=(len(ordered) - 0.5, -1), yticks=[], xlabel="milliseconds")
    axes.spines[["left", "right", "top"]].set_visible(False)
    figure.savefig(file, bbox_inches="tight")
