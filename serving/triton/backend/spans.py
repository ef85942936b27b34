"""The compute span of a request, beneath the span that Triton's OpenTelemetry mode began for it.

On where the standard variables name a receiver of OTLP over HTTP (server.tracing); off otherwise, at no cost.
"""

import json
import os
from collections.abc import Iterable
from typing import Any

from serving.engine import Batch
from serving.triton.backend.served import Served
from serving.triton.server import traces_endpoint


class Spans:
    def __init__(self) -> None:
        self._provider = _provider() if traces_endpoint(os.environ) else None
        self._tracer = self._provider.get_tracer("serving.triton") if self._provider else None

    def context(self, request: Any) -> str | None:
        """What names the span of `request`, None where it is not traced."""
        trace = request.trace() if self._tracer else None
        return trace.get_context() if trace else None

    def computed(self, context: str | None, name: str, served: Served, batches: Iterable[Batch]) -> None:
        """One span a batch that held rows of the request to model `name`."""
        if self._tracer is None or context is None:
            return
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        parent = TraceContextTextMapPropagator().extract(json.loads(context))
        for batch in batches:
            about = {
                "pedigree.model": name,
                "pedigree.release": served.release,
                "pedigree.release_digest": served.digest,
                "pedigree.batch.rows": batch.rows,
                "pedigree.batch.models": batch.models,
            }
            span = self._tracer.start_span("pedigree.compute", context=parent, attributes=about, start_time=batch.began)
            span.end(batch.ended)

    def close(self) -> None:
        """Send what is not sent yet."""
        if self._provider:
            self._provider.shutdown()


def _provider() -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "pedigree-engine"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
