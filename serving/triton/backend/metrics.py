"""What a region tells Prometheus through Triton's custom metrics. Names of models are bounded in number."""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import triton_python_backend_utils as pb

from serving.engine import Batch, Engine
from serving.triton.backend.labels import bounded

MOST_MODELS = 1000  # more share the label `other`
SECONDS = [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 1.2, 2.5, 5.0]
ROWS = [1, 2, 4, 8, 16, 32]


class Metrics:
    """Requests, latency and outcome by model; size and mix of batches; what is resident.

    One call at a time: two threads at the same metric make Triton crash (2.51).
    """

    def __init__(self, engine: Engine) -> None:
        self._engine, self._lock = engine, threading.Lock()
        self._label = bounded(MOST_MODELS)
        self._requests = _family("pedigree_requests", "Requests by model and outcome", "COUNTER")
        self._seconds = _family("pedigree_request_seconds", "From arrival to answer, by model", "HISTOGRAM", SECONDS)
        self._rows = _family("pedigree_batch_rows", "Rows of a batch", "HISTOGRAM", ROWS)
        self._mix = _family("pedigree_batch_models", "Different models of a batch", "HISTOGRAM", ROWS)
        self._resident = _family("pedigree_resident_models", "Models in slots", "GAUGE")
        self._bytes = _family("pedigree_resident_bytes", "Bytes of their adapters and heads", "GAUGE")
        self._evictions = _family("pedigree_evictions", "Models that made room for others", "GAUGE")
        self._mounts = _family("pedigree_mounts", "Releases mounted and refused", "COUNTER")
        self._mirrored = _family("pedigree_mirrored", "Requests put to a version that is tried", "COUNTER")

    def answered(self, model: str, seconds: float) -> None:
        with self._lock:
            model = self._label(model)
            self._requests(model=model, outcome="answered").increment(1)
            self._seconds(model=model).observe(seconds)

    def failed(self, outcome: str) -> None:
        """`outcome`: refused or failed. What was asked for may be no model at all, so it is no label."""
        with self._lock:
            self._requests(model="", outcome=outcome).increment(1)

    def batch(self, batch: Batch) -> None:
        with self._lock:
            self._rows().observe(batch.rows)
            self._mix().observe(batch.models)

    def mount(self, outcome: str) -> None:
        """`outcome`: mounted or refused."""
        with self._lock:
            self._mounts(outcome=outcome).increment(1)
            self._evictions().set(self._engine.evictions)
            self._resident().set(len(self._engine.mounted()))
            self._bytes().set(self._engine.resident_bytes)

    def mirrored(self, model: str, outcome: str) -> None:
        """`outcome`: agreed, differed or failed."""
        with self._lock:
            self._mirrored(model=self._label(model), outcome=outcome).increment(1)


def _family(name: str, description: str, kind: str, buckets: Sequence[float] | None = None) -> Callable[..., Any]:
    """A function from labels to their metric, made when first asked for. It keeps the family, which must outlive it."""
    family = pb.MetricFamily(name=name, description=description, kind=getattr(pb.MetricFamily, kind))
    metrics: dict[tuple[tuple[str, str], ...], Any] = {}

    def metric(**labels: str) -> Any:
        key = tuple(sorted(labels.items()))
        if key not in metrics:
            given = {} if buckets is None else {"buckets": list(buckets)}
            metrics[key] = family.Metric(labels=labels, **given)
        return metrics[key]

    return metric
