"""Browser sessions: the credentials in a cookie that no script can read and no other site can make use of.

The cookie holds what the caller gave, so each request is checked as one with the header is: a key that is revoked ends
its sessions, and a gateway keeps nothing. It is gone when the browser is closed.
"""

from typing import Annotated

from fastapi import APIRouter, Header, Response

from serving.gateway.auth import COOKIE
from serving.gateway.dependencies import TheGateway
from serving.gateway.problems import RESPONSES

router = APIRouter(prefix="/session", tags=["session"], responses=RESPONSES)


@router.post("", status_code=204)
async def begin(gateway: TheGateway, response: Response, authorization: Annotated[str, Header()] = "") -> None:
    """Keep the credentials of the `Authorization` header in a cookie."""
    gateway.authority.caller(authorization)
    kept = authorization.partition(" ")[2]
    response.set_cookie(COOKIE, kept, path="/", secure=True, httponly=True, samesite="strict")


@router.delete("", status_code=204)
async def end(response: Response) -> None:
    """Forget them."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")
