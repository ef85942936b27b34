"""loomworks' log events: a symptom that is logged, and the cause behind it. Nested, and nested otherwise later."""

import json
import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

from orchestration.samples.people import Person
from orchestration.samples.wording import Sayings, pick, say

CAUSES: dict[str, Sayings] = {
    "database-connections": (
        "connection pool exhausted, {count} sessions in use",
        "FATAL: remaining connection slots are reserved, client {ip}",
        "could not obtain a database session within {millis} ms",
        "too many clients already on primary {ip}",
    ),
    "deadlock": (
        "deadlock detected while updating {table}",
        "transaction on {table} chosen as deadlock victim, rolled back",
        "lock wait timeout on {table} row held by another writer",
        "two writers wait for each other on {table}",
    ),
    "out-of-memory": (
        "worker killed, resident set {count} MiB over its limit",
        "java.lang.OutOfMemoryError: heap space, {count} MiB",
        "allocation of {count} MiB failed while rendering {table}",
        "exit 137, cgroup limit reached",
    ),
    "upstream-timeout": (
        "no reply from {ip} within {millis} ms",
        "upstream read timed out after {millis} ms",
        "504 from partner gateway {ip}",
        "deadline exceeded waiting for {service}",
    ),
    "expired-token": (
        "401 for {email}: token expired {count} s ago",
        "session of {email} is not valid any more",
        "JWT rejected, exp is in the past",
        "refresh token of {email} was revoked",
    ),
    "rate-limit": (
        "429 for {email}, {count} requests in one minute",
        "quota of {ip} used up, retry after {count} s",
        "throttled by {service}, burst of {count}",
        "request budget of {email} exceeded",
    ),
    "disk-full": (
        "no space left on device while writing {table}",
        "volume is at 100 percent, {count} MiB needed",
        "ENOSPC in append to {table} segment",
        "cannot extend {table}, quota of the volume reached",
    ),
    "name-resolution": (
        "getaddrinfo failed for {service}.internal",
        "NXDOMAIN for {service}.internal from {ip}",
        "temporary failure in name resolution of {service}",
        "unknown host {service}.internal",
    ),
    "certificate": (
        "x509: certificate of {service} expired {count} h ago",
        "TLS handshake with {ip} failed, unknown authority",
        "certificate name mismatch for {service}.internal",
        "SSL verify failed for {ip}: self signed",
    ),
    "bad-input": (
        "field {table}.id must be an integer, sent by {email}",
        "cannot parse body of {email}: unexpected end at {count}",
        "422, {table} misses a required key",
        "date out of range in {table} upload of {email}",
    ),
}
ASIDES = (
    "retry fixed: {said}",
    "consequence: {said}",
    "unrelated probe: {said}",
    "seen yesterday: {said}",
)
SERVICES = ("checkout", "billing", "search", "mailer", "exports", "identity", "catalogue", "webhooks")
TABLES = ("orders", "invoices", "sessions", "profiles", "uploads", "audit", "carts")
CONTEXTS = ("request of {email} failed", "job {count} stopped", "call from {ip} aborted", "handler gave up", "")
FRAMES = ("app/{service}/handlers.py:{count} in handle", "app/{service}/client.py:{count} in call", "lib/retry.py:41")
LEVELS = ("error", "error", "critical", "warning")
ASIDE_SHARE, MISLABELLED_SHARE = 0.3, 0.02
FAULTS = ("truncated", "unlabelled", "mistyped", "no message")


def events(rng: random.Random, persons: list[Person], rows: int) -> Iterator[dict[str, Any]]:
    """`rows` events as the first version of the exporter writes them."""
    start = datetime(2025, 11, 1)
    for _ in range(rows):
        person, cause, service = rng.choice(persons), rng.choice(list(CAUSES)), rng.choice(SERVICES)
        yield {
            "ts": (start + timedelta(seconds=rng.randint(0, 60 * 86400))).isoformat() + "Z",
            "level": rng.choice(LEVELS),
            "source": {"service": service, "host": f"{service}-{rng.randint(1, 9)}"},
            "actor": {"user": {"id": f"usr-{person.number}", "email": person.email}},
            "request": {"client": {"ip": person.ip}, "latency_ms": round(rng.expovariate(1 / 300), 1)},
            "message": _message(rng, person, cause),
            "stack": [pick(rng, [frame], _gaps(rng, person)) for frame in FRAMES],
            "annotation": {"cause": rng.choice(list(CAUSES)) if rng.random() < MISLABELLED_SHARE else cause},
        }


def drifted(rng: random.Random, records: Iterable[dict[str, Any]], broken: float) -> Iterator[str]:
    """The records as lines of the exporter's second version: a renamed column, another type, new nested fields.

    A share `broken` of the lines is spoiled, one way after the other.
    """
    spoilt = 0
    for position, record in enumerate(records):
        record["actor"]["id"] = record["actor"]["user"].pop("id")
        record["request"]["latency_ms"] = str(round(record["request"]["latency_ms"]))
        record["request"]["geo"] = {"country": rng.choice(("DE", "IN", "SG", "US"))}
        record["k8s"] = {"pod": {"name": record["source"]["host"], "restarts": rng.randint(0, 3)}}
        if (position + 1) * broken >= spoilt + 1:
            yield _spoil(record, FAULTS[spoilt % len(FAULTS)])
            spoilt += 1
        else:
            yield json.dumps(record, ensure_ascii=False)


def shuffled(rng: random.Random, records: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The records with each other's causes."""
    listed = list(records)
    causes = [record["annotation"]["cause"] for record in listed]
    rng.shuffle(causes)
    for record, cause in zip(listed, causes, strict=True):
        yield {**record, "annotation": {"cause": cause}}


def _spoil(record: dict[str, Any], fault: str) -> str:
    if fault == "unlabelled":
        del record["annotation"]["cause"]
    elif fault == "mistyped":
        record["ts"] = "yesterday evening"
    elif fault == "no message":
        record["message"] = None
    line = json.dumps(record, ensure_ascii=False)
    return line[: len(line) // 2] if fault == "truncated" else line


def _message(rng: random.Random, person: Person, cause: str) -> str:
    text = say(rng, CAUSES, cause, _gaps(rng, person), (ASIDES, ASIDE_SHARE), joint="; ")
    context = pick(rng, CONTEXTS, _gaps(rng, person))
    return f"{context}: {text}" if context else text


def _gaps(rng: random.Random, person: Person) -> dict[str, Sequence[str]]:
    count, millis = str(rng.randint(3, 900)), str(rng.randint(5, 60) * 500)
    own = {"email": [person.email], "ip": [person.ip], "count": [count], "millis": [millis]}
    return {**own, "service": SERVICES, "table": TABLES}
