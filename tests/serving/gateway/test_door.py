"""Who is turned away for want of room is turned away at the door; nobody else is."""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI, Request

from serving.gateway import issue
from serving.gateway.admission import LEAST, Admission
from serving.gateway.auth import Authority
from serving.gateway.door import BODY_BYTES, Door
from serving.gateway.settings import GatewaySettings
from tests.serving.fleet import AUDIENCE, INTENTS, ISSUER, Fleet, Server

INFER = "/v1/models/northbank/support-intents/infer"
KSERVE = f"/v2/models/{INTENTS}/infer"


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[[], Fleet]) -> Iterator[Fleet]:
    """No worker: what is let in is held until its deadline."""
    fleet = make_fleet()
    yield fleet
    for server in fleet.servers:
        assert server.end() == 0, server.log.read_text()[-3000:]


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Server:
    return fleet.open(GATEWAY_IN_FLIGHT="1")


def test_a_full_gateway_says_when_to_come_back_and_still_tells_who_is_not_let_in_at_all(
    fleet: Fleet, gateway: Server
) -> None:
    with fleet.client(gateway, "northbank") as client, ThreadPoolExecutor(LEAST) as clients:
        held = [
            clients.submit(client.post, INFER, json={"input": f"text {n}"}, headers={"Timeout-Ms": "6000"})
            for n in range(LEAST)
        ]
        while _metric(gateway, 'pedigree_gateway_in_flight{tier="enterprise"}') < LEAST:
            assert not any(each.done() for each in held)
        for path in (INFER, KSERVE, "/v1/embeddings", "/v1/models/northbank/auto/infer"):
            refused = client.post(path, json={"input": "one more"})
            assert refused.status_code == 429 and "as many enterprise requests" in refused.json()["detail"]
            assert refused.headers["content-type"] == "application/problem+json" and refused.json()["retryable"]
            assert int(refused.headers["retry-after"]) >= 1
            assert httpx.post(gateway.url + path, json={"input": "x"}).status_code == 401
            assert client.post(path, content=b"x" * (BODY_BYTES + 1)).status_code == 413
        assert client.get("/v1/models").status_code == 200
        assert [each.result().status_code for each in held] == [504] * LEAST
    assert _metric(gateway, 'pedigree_gateway_requests_total{status="429",tenant="northbank",tier="enterprise"}') == 4


def test_a_request_that_is_sent_again_is_known_and_the_application_gets_it_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    issue.create_issuer(tmp_path)
    settings = GatewaySettings(jwks_file=tmp_path / "jwks.json")
    app, questions = FastAPI(), list[tuple[str, ...]]()
    app.state.gateway = SimpleNamespace(authority=Authority(settings), admission=Admission(settings))
    app.add_middleware(Door)  # type: ignore[arg-type]
    monkeypatch.setattr(Admission, "let_in", lambda _, *asked: questions.append(asked))

    @app.api_route("/{path:path}", methods=["GET", "POST"])
    async def read(request: Request) -> int:
        return len(await request.body())

    async def scenario() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door") as client:
            for tenant in ("northbank", "stclare"):
                token = issue.token(tmp_path, tenant, "free", ISSUER, AUDIENCE)
                headers = {"Authorization": f"Bearer {token}"}
                for path, body in ((INFER, b"one"), (INFER, b"one"), (INFER, b"other"), (KSERVE, b"one")):
                    assert (await client.post(path, content=body, headers=headers)).json() == len(body)
                assert (await client.post("/session", headers=headers)).json() == 0
                assert (await client.get("/v1/models", headers=headers)).json() == 0

    asyncio.run(scenario())
    assert [asked[:2] for asked in questions] == [("northbank", "free")] * 4 + [("stclare", "free")] * 4
    first, again, *others = [question for *_, question in questions]
    assert first == again and len({first, *others}) == 6


def _metric(gateway: Server, name: str) -> float:
    assert gateway.ready()  # by which the gauges are brought up to date
    lines = httpx.get(f"{gateway.url}/metrics").text.splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.startswith(name)), 0.0)
