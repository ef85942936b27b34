"""Errors as clients get them: application/problem+json (RFC 9457)."""

import math
from http import HTTPStatus
from typing import Any

import orjson
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """A request that gets no answer. retry_after: seconds after which the same request may succeed; None: never."""

    def __init__(self, status: int, detail: str, retry_after: float | None = None, **headers: str) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after, self.headers = status, detail, retry_after, headers


class ProblemDocument(BaseModel):
    """What an error's body says."""

    type: str = "about:blank"
    title: str = Field(examples=["Too Many Requests"])
    status: int = Field(examples=[429])
    detail: str = Field(examples=["northbank has used up its rate of 50 requests a second; try again in 2 s"])
    retryable: bool = Field(examples=[True])


CONTENT = {MEDIA_TYPE: {"schema": ProblemDocument.model_json_schema()}}
RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"description": HTTPStatus(status).phrase, "content": CONTENT}
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 504)
}


def answer(problem: Problem) -> Response:
    said = ProblemDocument(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        retryable=problem.retry_after is not None,
    )
    headers = {name.replace("_", "-"): value for name, value in problem.headers.items()}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(max(1, math.ceil(problem.retry_after)))
    return Response(orjson.dumps(said.model_dump()), problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Every error of the application in this form; none tells what happened inside."""

    @app.exception_handler(Problem)
    async def _problem(request: Request, problem: Problem) -> Response:
        return answer(problem)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        return answer(Problem(error.status_code, str(error.detail)))

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()[:5])
        return answer(Problem(422, faults))

    @app.exception_handler(Exception)
    async def _bug(request: Request, error: Exception) -> Response:
        return answer(Problem(500, "the request failed inside the gateway; its log says why", retry_after=1))
