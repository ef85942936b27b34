"""What every endpoint is given: the gateway, who calls, and on which terms."""

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from serving.gateway.auth import Caller, presented
from serving.gateway.exchange import Gateway, Terms
from serving.tracing import traced

BEARER = HTTPBearer(auto_error=False, description="an OAuth2 token (JWT) or an API key")
ONCE = "the same key and request are executed once; the answer is kept an hour"


async def gateway_of(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


TheGateway = Annotated[Gateway, Depends(gateway_of)]


async def caller_of(
    request: Request, gateway: TheGateway, _: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)] = None
) -> Caller:
    return gateway.authority.caller(presented(request.headers, request.cookies))


TheCaller = Annotated[Caller, Depends(caller_of)]


async def terms_of(
    idempotency_key: Annotated[str, Header(max_length=200, description=ONCE)] = "",
    timeout_ms: Annotated[int | None, Header(ge=1, le=60_000, description="then 504 is answered")] = None,
    traceparent: Annotated[str, Header(description="W3C trace context")] = "",
) -> Terms:
    return Terms(idempotency_key, None if timeout_ms is None else timeout_ms / 1000, traced(traceparent))


TheTerms = Annotated[Terms, Depends(terms_of)]
