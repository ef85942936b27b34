"""From requests to replies: those of one model together to the region, each fault to its outcome."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson
import stamina

from serving.messages import Outcome, Reply, Request
from serving.triton.client import ModelUnknown, RegionDown, RequestRefused
from serving.worker.region import Said


class Model(Protocol):
    """What answers: a region's Triton."""

    async def classify(self, model: str, texts: Sequence[str], digest: str, timeout: float, trace: str) -> Said: ...

    async def embed(self, texts: Sequence[str], timeout: float, trace: str) -> list[list[float]]: ...

    async def status(self) -> dict[str, Any]: ...

    async def close(self) -> None: ...


@dataclass(frozen=True)
class Answered:
    """A reply, the rows that may be cached, and for its operators why a request cannot be answered at all."""

    reply: Reply
    rows: Sequence[bytes] = ()
    poison: str = ""


class Answers:
    """Asks the region. Knows what is live there, so that answers of the live release can be cached by its digest."""

    def __init__(self, model: Model, attempts: int) -> None:
        self._model, self._attempts = model, attempts
        self._live: dict[str, tuple[str, str]] = {}
        self._base = ""

    async def look(self) -> None:
        """Ask the region what is live. Raises RequestFailed."""
        said = await self._model.status()
        self._base = said["base"]
        self._live = {
            name: (model["release"], model["digest"]) for name, model in said["models"].items() if model["digest"]
        }

    def digest(self, request: Request) -> str:
        """The digest that will answer, empty when it is not known."""
        live = self._live.get(request.model, ("", ""))[1] if request.model else self._base
        return live if request.digest in ("", live) else ""

    def from_rows(self, request: Request, rows: Sequence[bytes]) -> Reply:
        """The reply that the release of `digest(request)` would give, from its rows."""
        release, digest = self._live[request.model] if request.model else ("", self._base)
        return _reply(request, release, digest, rows)

    async def ask(self, group: Sequence[Request], trace: str = "") -> list[Answered]:
        """What comes of each request; all are for one model and digest, and in one trace."""
        began = time.monotonic()
        try:
            answered = await self._ask_patiently(group, trace)
        except ModelUnknown as error:
            return [Answered(_fault(request, "unknown", error)) for request in group]
        except RegionDown as error:
            return [Answered(_fault(request, "unavailable", error)) for request in group]
        except Exception as error:
            if len(group) > 1:  # one of them may be at fault: each alone
                alone = await asyncio.gather(*(self.ask([request], trace) for request in group))
                return [answered for (answered,) in alone]
            if isinstance(error, RequestRefused):
                return [Answered(_fault(group[0], "refused", error))]
            return [Answered(_fault(group[0], "failed", error), poison=f"{type(error).__name__}: {error}")]
        seconds = time.monotonic() - began
        return [Answered(replace(reply, model_seconds=seconds), rows) for reply, rows in answered]

    async def _ask_patiently(self, group: Sequence[Request], trace: str) -> list[tuple[Reply, list[bytes]]]:
        """A region that is down is asked again until the deadline; another fault a bounded number of times."""
        left = max(request.deadline for request in group) - time.time()
        again = stamina.retry_context(on=RegionDown, attempts=None, timeout=left, wait_initial=0.05, wait_max=0.5)
        few = stamina.retry_context(
            on=_may_pass, attempts=self._attempts, timeout=left, wait_initial=0.05, wait_max=0.5
        )
        async for attempt in again:
            with attempt:
                async for another in few:
                    with another:
                        return await self._ask_once(group, trace)
        raise AssertionError("unreachable")

    async def _ask_once(self, group: Sequence[Request], trace: str) -> list[tuple[Reply, list[bytes]]]:
        first, texts = group[0], [text for request in group for text in request.texts]
        timeout = max(request.deadline for request in group) - time.time()
        if first.model:
            said = await self._model.classify(first.model, texts, first.digest, timeout, trace)
            self._live.setdefault(first.model, (said.release, said.digest))
            release, digest, rows = said.release, said.digest, [orjson.dumps(row) for row in said.rows]
        else:
            if not self._base:
                await self.look()
            release, digest = "", self._base
            rows = [orjson.dumps(vector) for vector in await self._model.embed(texts, timeout, trace)]
        answered, at = [], 0
        for request in group:
            own = rows[at : at + len(request.texts)]
            at += len(request.texts)
            answered.append((_reply(request, release, digest, own), own))
        return answered


def expired(request: Request) -> Reply:
    return Reply(request.id, "expired", b"the deadline passed before a worker could answer")


def _may_pass(error: Exception) -> bool:
    return not isinstance(error, RegionDown | ModelUnknown | RequestRefused)


def _fault(request: Request, outcome: Outcome, error: Exception) -> Reply:
    """The reason as the client reads it: without addresses, and without what happened inside."""
    reasons = {
        "unknown": f"no release answers for model {request.model.replace('.', '/', 1)!r} here"
        + (" with this digest" if request.digest else ""),
        "unavailable": "the region does not answer; try again",
        "failed": "the request failed in the worker; it was set aside for its operators",
    }
    reason = reasons.get(outcome) or str(error).partition(": ")[2]
    return Reply(request.id, outcome, reason.encode())


def _reply(request: Request, release: str, digest: str, rows: Sequence[bytes]) -> Reply:
    if request.model:
        head = {"model": request.model.replace(".", "/", 1), "release": release, "digest": digest}
        body = orjson.dumps(head)[:-1] + b',"results":[' + b",".join(rows) + b"]}"
    else:
        data = (b'{"object":"embedding","index":%d,"embedding":' % index + row + b"}" for index, row in enumerate(rows))
        body = orjson.dumps({"object": "list", "model": digest})[:-1] + b',"data":[' + b",".join(data) + b"]}"
    return Reply(request.id, "answered", body, digest)
