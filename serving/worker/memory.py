"""What workers remember together, in Redis: who executes which request, what came of it, what a release said.

    ?<fingerprint> <worker>                          it is being executed
    !<fingerprint> <outcome> <digest>\\n<body>        it is done

A request whose worker died is free again; one that lives keeps it. Without Redis nothing is remembered.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio.client import Pipeline

from serving.messages import Reply, Request
from serving.redis import Redis, answer_keys, claim, done_key


@dataclass(frozen=True)
class Looked:
    """What is known of a request. reply: it was done before. busy: another worker has it. rows: cached, one a text."""

    reply: Reply | None = None
    busy: bool = False
    rows: list[bytes] = field(default_factory=list)


class Memory:
    """One worker's side of it. Times in seconds."""

    def __init__(self, redis: Redis, worker: str, kept_results: float, kept_answers: float) -> None:
        self._redis, self._worker = redis, worker
        self._kept_results, self._kept_answers = kept_results, kept_answers

    async def look(self, requests: Sequence[Request], digests: Sequence[str], now: float) -> list[Looked]:
        """Take each request for this worker, unless it is done or another's; and the cached rows of its digest."""
        keys = [self._cached(request, digest) for request, digest in zip(requests, digests, strict=True)]

        def fill(pipeline: Pipeline) -> None:
            for request, cached in zip(requests, keys, strict=True):
                left = request.deadline - now + 1
                claim(pipeline, done_key(request.tenant, request.idempotency), request.fingerprint, self._worker, left)
                if cached:
                    pipeline.mget(cached)

        said = iter(await self._redis.together(fill, []))
        return [self._looked(request, next(said, None), next(said, None) if keys[i] else None)
                for i, request in enumerate(requests)]  # fmt: skip

    async def keep(self, replies: Sequence[tuple[Request, Reply]], rows: Mapping[str, bytes]) -> None:
        """Remember what was answered or refused; let the others go, for they may be tried again. rows: by key."""

        def fill(pipeline: Pipeline) -> None:
            for request, reply in replies:
                key = done_key(request.tenant, request.idempotency)
                if reply.outcome in ("answered", "refused"):
                    pipeline.set(key, _done(request, reply), px=int(self._kept_results * 1000))
                else:
                    pipeline.delete(key)
            for name, row in rows.items():
                pipeline.set(name, row, px=int(self._kept_answers * 1000))

        await self._redis.together(fill, [])

    def rows_by_key(self, request: Request, digest: str, rows: Sequence[bytes]) -> dict[str, bytes]:
        return dict(zip(self._cached(request, digest), rows, strict=False))

    def _cached(self, request: Request, digest: str) -> list[str]:
        if not digest or not self._kept_answers:
            return []
        return answer_keys(digest, [hashlib.sha256(text.encode()).hexdigest() for text in request.texts])

    def _looked(self, request: Request, claimed: Any, rows: Any) -> Looked:
        if claimed is None:
            return Looked(rows=[row for row in rows or () if row] if rows and all(rows) else [])
        state, fingerprint = claimed[:1], claimed[1:].split(b" ", 1)[0].decode()
        if fingerprint != request.fingerprint:
            reason = b"this Idempotency-Key came with another request before; use a new key"
            return Looked(reply=Reply(request.id, "conflict", reason))
        return Looked(busy=True) if state == b"?" else Looked(reply=_replayed(request, claimed))


def _done(request: Request, reply: Reply) -> bytes:
    return f"!{request.fingerprint} {reply.outcome} {reply.digest}\n".encode() + reply.body


def _replayed(request: Request, kept: bytes) -> Reply:
    head, _, body = kept.partition(b"\n")
    _, outcome, digest = head.decode().split(" ")
    return Reply(request.id, outcome, body, digest)  # type: ignore[arg-type]
