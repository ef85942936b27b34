"""One trace from the client's request to the region's compute: a span here, its context in the message's `traceparent`.

Spans are sent by OTLP over HTTP where OpenTelemetry's own variable OTEL_EXPORTER_OTLP_ENDPOINT names a collector. Else
there are none, and a client's trace context is handed on as it came.
"""

import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")

_context = TraceContextTextMapPropagator()
_tracer = trace.get_tracer("pedigree")


def send_spans(service: str) -> None:
    """From now on send this process's spans, if there is a collector."""
    if not os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource({"service.name": service}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(), schedule_delay_millis=1000))
    trace.set_tracer_provider(provider)


def traced(traceparent: str) -> str:
    """The context that holds here (FastAPI traces requests by itself), else the client's, or a new one without any."""
    here: dict[str, str] = {}
    _context.inject(here)
    if "traceparent" in here:
        return here["traceparent"]
    valid = TRACEPARENT.fullmatch(traceparent)
    return traceparent if valid else f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


@contextmanager
def span(name: str, parent: str, kind: SpanKind = SpanKind.INTERNAL, **attributes: str | int) -> Iterator[str]:
    """A span under `parent`; the trace context for what happens inside of it."""
    with _tracer.start_as_current_span(name, _read(parent), kind, attributes) as started:
        carried: dict[str, str] = {}
        _context.inject(carried, trace.set_span_in_context(started))
        yield carried.get("traceparent", parent)


def past(name: str, parent: str, since: float, until: float, kind: SpanKind = SpanKind.INTERNAL) -> None:
    """A span of the past; seconds since the epoch."""
    _tracer.start_span(name, _read(parent), kind, start_time=int(since * 1e9)).end(int(until * 1e9))


def _read(traceparent: str) -> Context:
    return _context.extract({"traceparent": traceparent})
