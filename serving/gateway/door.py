"""The door of the gateway: how large a request may be, and whether there is room for it, before it costs anything else.

Where more is asked than can be answered most requests end here, so they take no routing and no validation.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request

from serving.gateway.auth import presented
from serving.gateway.exchange import Gateway, count_and_log, sha256
from serving.gateway.problems import Problem, answer
from serving.tracing import traced

BODY_BYTES = 2 << 20
ASKING = ("/v1/", "/v2/")  # what is posted there goes to the workers

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Door:
    """ASGI middleware. The application gets the body in one piece."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Any) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            body = await _read(receive)
            if body is None:
                return
            if scope["method"] == "POST" and scope["path"].startswith(ASKING):
                _let_in(scope, body)
        except Problem as problem:
            await answer(problem)(scope, receive, send)
            return
        given = [{"type": "http.request", "body": body}]

        async def again() -> dict[str, Any]:
            return given.pop() if given else await receive()

        await self._app(scope, again, send)


async def _read(receive: Receive) -> bytes | None:
    """The body, None where the client went away. Raises Problem 413 before all of one that is too large is read."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_BYTES:
            raise Problem(413, f"the request has more than {BODY_BYTES} bytes; send its texts in parts")
    return bytes(body)


def _let_in(scope: Scope, body: bytes) -> None:
    """Raises Problem 429. Whose credentials are not valid is told so by the application."""
    gateway: Gateway = scope["app"].state.gateway
    request = Request(scope)
    try:
        caller = gateway.authority.caller(presented(request.headers, request.cookies))
    except Problem:
        return
    began = time.monotonic()
    try:
        gateway.admission.let_in(caller.tenant, caller.tier, sha256(caller.tenant, scope["path"], body))
    except Problem as problem:
        trace = traced(request.headers.get("traceparent", ""))
        count_and_log(caller, scope["path"], problem.status, began, trace)
        raise
