"""One question's way through the gateway: scope, rate, then the workers; each way it can end as a status."""

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import structlog
from opentelemetry.trace import SpanKind
from prometheus_client import Counter, Gauge, Histogram

from serving.gateway.admission import Admission
from serving.gateway.auth import Authority, Caller, require
from serving.gateway.fingerprints import Fingerprints
from serving.gateway.live import Live
from serving.gateway.problems import Problem
from serving.gateway.rates import Rates
from serving.gateway.replies import Replies
from serving.gateway.settings import GatewaySettings
from serving.messages import REPLIES, Reply, Request
from serving.redis import Redis
from serving.router import PolicyFile
from serving.tracing import span

STATUS = {"unknown": 404, "refused": 422, "conflict": 422, "expired": 504, "unavailable": 503, "failed": 500}
AGAIN = {"expired": 1.0, "unavailable": 1.0, "failed": 1.0}
SECONDS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5, 5.0, 10.0)

ENDED = Counter("pedigree_gateway_requests", "Requests by tenant, tier and status", ["tenant", "tier", "status"])
TOOK = Histogram("pedigree_gateway_seconds", "From arrival to answer, by tier", ["tier"], buckets=SECONDS)
WAITED = Histogram("pedigree_gateway_queue_seconds", "From the gateway to a worker", buckets=SECONDS)
IN_MODEL = Histogram("pedigree_gateway_model_seconds", "In the model, as the worker saw it", buckets=SECONDS)
HELD = Gauge("pedigree_gateway_in_flight", "Requests held now", ["tier"])
LATE = Gauge("pedigree_gateway_late_replies", "Replies that nobody waited for any more")
LIMIT = Gauge("pedigree_gateway_limit", "How many requests may be held")

log = structlog.get_logger()


@dataclass(frozen=True)
class Gateway:
    """The parts of one gateway; without `policies` it does not choose among models."""

    settings: GatewaySettings
    authority: Authority
    admission: Admission
    redis: Redis
    rates: Rates
    replies: Replies
    live: Live
    fingerprints: Fingerprints
    policies: PolicyFile | None


@dataclass(frozen=True)
class Terms:
    """How a client wants it answered: once under its key, if any; within so many seconds; in which trace."""

    idempotency_key: str
    timeout: float | None
    traceparent: str


@dataclass(frozen=True)
class Question:
    """What a client asks: `model` tenant.task or empty for the base."""

    model: str
    texts: Sequence[str]
    terms: Terms
    digest: str = ""

    @cached_property
    def fingerprint(self) -> str:
        """The same for the same question."""
        return sha256(self.model, self.digest, *self.texts)[:32]


async def exchange(gateway: Gateway, caller: Caller, question: Question) -> Reply:
    """The workers' answer. Raises Problem for every other end."""
    began, status, digest = time.monotonic(), 500, ""
    trace = question.terms.traceparent
    try:
        require(caller, "infer")
        require_own(caller, question.model)
        await _keep_rate(gateway, caller)
        with (
            gateway.admission.held(caller.tenant, caller.tier),
            span("gateway", trace, SpanKind.SERVER, model=question.model) as here,
        ):
            reply = await gateway.replies.ask(_request(gateway, caller, question, here))
        WAITED.observe(reply.waited)
        IN_MODEL.observe(reply.model_seconds)
        if reply.outcome != "answered":
            raise Problem(STATUS[reply.outcome], reply.body.decode(), AGAIN.get(reply.outcome))
        status, digest = 200, reply.digest
        return reply
    except Problem as problem:
        status = problem.status
        raise
    finally:
        count_and_log(caller, question.model, status, began, trace, digest)


def count_and_log(caller: Caller, asked: str, status: int, began: float, trace: str, digest: str = "") -> None:
    """Count what was asked, a model or a path, and write its line in the log."""
    took = time.monotonic() - began
    ENDED.labels(caller.tenant, caller.tier, status).inc()
    TOOK.labels(caller.tier).observe(took)
    log.info(
        "request",
        tenant=caller.tenant,
        model=asked,
        digest=digest,
        status=status,
        milliseconds=round(took * 1000, 1),
        trace_id=trace.split("-")[1],
    )


def collect(gateway: Gateway) -> None:
    """Bring the gauges up to date."""
    for tier in gateway.settings.target:
        HELD.labels(tier).set(gateway.admission.in_flight[tier])
    LIMIT.set(gateway.admission.limit)
    LATE.set(gateway.replies.late)


def require_own(caller: Caller, model: str) -> None:
    """Another tenant's model is as unknown as one that does not exist. Raises Problem 404."""
    if model and model.partition(".")[0] != caller.tenant:
        raise Problem(404, f"no release answers for model {model.replace('.', '/', 1)!r} here")


async def _keep_rate(gateway: Gateway, caller: Caller) -> None:
    if wait := await gateway.rates.take(caller.tenant, caller.tier):
        rate = gateway.settings.rate[caller.tier]
        raise Problem(429, f"{caller.tenant} has used up its rate of {rate:.0f} requests a second", wait)


def _request(gateway: Gateway, caller: Caller, question: Question, trace: str) -> Request:
    identity, now, key = secrets.token_hex(16), time.time(), question.terms.idempotency_key
    wished = question.terms.timeout or gateway.settings.deadline
    return Request(
        id=identity,
        tenant=caller.tenant,
        tier=caller.tier,
        model=question.model,
        texts=list(question.texts),
        digest=question.digest,
        deadline=now + min(wished, gateway.settings.longest_deadline),
        sent=now,
        reply_topic=REPLIES,
        reply_partition=gateway.replies.partition,
        idempotency=sha256(question.model, key) if key else identity,
        fingerprint=question.fingerprint,
        traceparent=trace,
    )


def sha256(*parts: str | bytes) -> str:
    """Of the parts, each with its length, so that no two lists are one text."""
    digest = hashlib.sha256()
    for part in parts:
        body = part if isinstance(part, bytes) else part.encode(errors="surrogatepass")
        digest.update(len(body).to_bytes(8, "big") + body)
    return digest.hexdigest()
