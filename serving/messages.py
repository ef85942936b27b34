"""What gateway and worker say to each other through Kafka. Schema 1.

Who and where stands in the headers, so that a message is routed, refused or dropped without reading its value:

    requests       key tenant.task; headers schema, id, tenant, tier, model, digest, deadline, sent, reply_topic,
                   reply_partition, idempotency, fingerprint, traceparent; value {"texts": […]}
    replies        to one partition; headers schema, id, outcome, digest, waited, model_seconds; value: the answer, in
                   JSON, as the client gets it, or the reason why there is none
    dead-letters   a request as it came, and why nobody could answer it in the header `reason`

A reader refuses another schema; a new one gets topics of its own, so that old and new workers can run side by side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import orjson

SCHEMA = "1"
REQUESTS, REPLIES, DEAD_LETTERS = "pedigree.requests", "pedigree.replies", "pedigree.dead-letters"

Tier = Literal["enterprise", "free"]
Outcome = Literal["answered", "unknown", "refused", "conflict", "expired", "unavailable", "failed"]
Headers = list[tuple[str, bytes]]
TIERS, OUTCOMES = get_args(Tier), get_args(Outcome)


class Malformed(ValueError):
    """A message is not of this schema; the message names the fault."""


@dataclass(frozen=True, slots=True)
class Request:
    """One question of a tenant. `model` is tenant.task, or empty for the base's own vectors.

    deadline, sent: seconds since the epoch. idempotency: a key within the tenant; the same key is executed once, and
    `fingerprint` tells whether it really is the same request.
    """

    id: str
    tenant: str
    tier: Tier
    model: str
    texts: list[str]
    deadline: float
    sent: float
    reply_topic: str
    reply_partition: int
    idempotency: str
    fingerprint: str
    digest: str = ""
    traceparent: str = ""

    @property
    def key(self) -> bytes:
        """Requests of one model lie in one partition at a time, where they batch well."""
        return (self.model or self.tenant).encode()

    def encode(self) -> tuple[bytes, Headers]:
        said = {name: getattr(self, name) for name in (*_TEXTS, *_NUMBERS)}
        headers = [("schema", SCHEMA.encode()), *((name, str(value).encode()) for name, value in said.items())]
        return orjson.dumps({"texts": self.texts}), headers


_TEXTS = ("id", "tenant", "tier", "model", "digest", "reply_topic", "idempotency", "fingerprint", "traceparent")
_NUMBERS = ("deadline", "sent", "reply_partition")


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is JSON when the outcome is `answered`, else the reason, for people. Seconds: in Kafka, in the model."""

    id: str
    outcome: Outcome
    body: bytes
    digest: str = ""
    waited: float = 0.0
    model_seconds: float = 0.0

    def encode(self) -> tuple[bytes, Headers]:
        said = {name: getattr(self, name) for name in ("id", "outcome", "digest", "waited", "model_seconds")}
        return self.body, [("schema", SCHEMA.encode()), *((name, str(value).encode()) for name, value in said.items())]


def decode_request(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Request:
    """Raises Malformed."""
    said = _headers(headers)
    try:
        texts = orjson.loads(value or b"")["texts"]
        if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
            raise Malformed("`texts` is not a list of texts")
        if said["tier"] not in TIERS:
            raise Malformed(f"tier {said['tier'][:40]!r} is none of {', '.join(TIERS)}")
        return Request(
            **{name: said[name] for name in _TEXTS},  # type: ignore[arg-type]
            texts=texts,
            deadline=float(said["deadline"]),
            sent=float(said["sent"]),
            reply_partition=int(said["reply_partition"]),
        )
    except KeyError as missing:
        raise Malformed(f"{missing} is missing") from missing
    except (ValueError, TypeError) as broken:
        raise Malformed(str(broken)) from broken


def decode_reply(value: bytes | None, headers: Sequence[tuple[str, bytes]]) -> Reply:
    """Raises Malformed."""
    said = _headers(headers)
    try:
        if said["outcome"] not in OUTCOMES:
            raise Malformed(f"outcome {said['outcome'][:40]!r} is none of {', '.join(OUTCOMES)}")
        waited, model_seconds = float(said["waited"]), float(said["model_seconds"])
        return Reply(said["id"], said["outcome"], value or b"", said["digest"], waited, model_seconds)  # type: ignore[arg-type]
    except KeyError as missing:
        raise Malformed(f"header {missing} is missing") from missing
    except ValueError as broken:
        raise Malformed(str(broken)) from broken


def header(headers: Sequence[tuple[str, bytes]], name: str) -> str:
    """One header's value, empty where it is missing or no text."""
    return next((value.decode(errors="replace") for key, value in headers if key == name and value), "")


def _headers(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    try:
        said = {key: value.decode() if value else "" for key, value in headers}
    except UnicodeDecodeError as broken:
        raise Malformed(f"a header is not UTF-8: {broken}") from broken
    if said.get("schema") != SCHEMA:
        raise Malformed(f"schema {said.get('schema', 'none')[:40]!r}; this side reads {SCHEMA}")
    return said
