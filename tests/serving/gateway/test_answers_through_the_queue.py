"""A client asks the gateway over HTTP; broker, Redis, worker and Triton are real ones in processes of their own."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import schemathesis
import tritonclient.http as kserve
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tritonclient.utils import InferenceServerException

from serving.triton import client
from tests.serving.fleet import INTENTS, NOTES, Fleet, Server, until

INFER = "/v1/models/northbank/support-intents/infer"
TEXTS = ["my card was declined", "please refund the transfer to the other account", "naïve 転送"]


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[[], Fleet], make_release: Callable[..., Path]) -> Iterator[Fleet]:
    """Two models of two tenants, one worker."""
    fleet = make_fleet()
    fleet.put(f"{INTENTS}@1", make_release(f"{INTENTS}@1", seed=1))
    fleet.put(f"{NOTES}@1", make_release(f"{NOTES}@1", seed=2))
    fleet.start("worker")
    yield fleet
    for server in fleet.servers:
        assert server.end() == 0, server.log.read_text()[-3000:]
        assert "Traceback" not in server.log.read_text()


@pytest.fixture(scope="module")
def gateway(fleet: Fleet) -> Server:
    return fleet.open(GATEWAY_BURST='{"enterprise": 1000, "free": 3}', GATEWAY_RATE='{"enterprise": 500, "free": 0.5}')


@pytest.fixture(scope="module")
def northbank(fleet: Fleet, gateway: Server) -> httpx.Client:
    client = fleet.client(gateway, "northbank")
    until(lambda: client.post(INFER, json={"input": "x"}).json().get("release") == f"{INTENTS}@1")
    return client


def problem(reply: httpx.Response, status: int) -> str:
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    said = reply.json()
    assert said["status"] == status
    assert said["retryable"] == ("retry-after" in reply.headers)
    return str(said["detail"])


def test_the_answer_is_tritons_and_names_release_and_digest(northbank: httpx.Client, fleet: Fleet) -> None:
    direct = client.ask(fleet.region.address, INTENTS, TEXTS)
    many = northbank.post(INFER, json={"input": TEXTS}).json()
    assert (many["model"], many["release"], many["digest"]) == (
        "northbank/support-intents", f"{INTENTS}@1", direct.release_digest,
    )  # fmt: skip
    assert [result["label"] for result in many["results"]] == direct.labels
    scores = [list(result["scores"].values()) for result in many["results"]]
    np.testing.assert_allclose(scores, direct.scores, atol=1e-6)
    assert list(many["results"][0]["scores"]) == direct.label_names
    one = northbank.post(INFER, json={"input": TEXTS[0], "digest": direct.release_digest})
    (alone,) = one.json()["results"]
    np.testing.assert_allclose(list(alone["scores"].values()), scores[0], atol=1e-5)
    assert {part.split(";")[0].strip() for part in one.headers["server-timing"].split(",")} == {"queue", "model"}
    problem(northbank.post(INFER, json={"input": TEXTS[0], "digest": "f" * 64}), 404)


def test_embeddings_are_the_bases_own(northbank: httpx.Client, fleet: Fleet) -> None:
    said = northbank.post("/v1/embeddings", json={"input": TEXTS}).json()
    assert said["model"] == client.status(fleet.region.address)["base"]
    vectors = [item["embedding"] for item in said["data"]]
    np.testing.assert_allclose(vectors, client.embed(fleet.region.address, TEXTS), atol=1e-5)
    assert northbank.post("/v1/embeddings", json={"input": TEXTS[1]}).json()["data"][0]["embedding"] == vectors[1]


@pytest.mark.parametrize("binary", [True, False])
def test_tritons_own_client_works_unchanged(northbank: httpx.Client, fleet: Fleet, binary: bool) -> None:
    connection = kserve.InferenceServerClient(str(northbank.base_url).removeprefix("http://"))
    headers = {"Authorization": northbank.headers["authorization"]}
    tensor = kserve.InferInput("TEXT", [3], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode() for text in TEXTS], dtype=np.object_), binary_data=binary)
    said = connection.infer(INTENTS, [tensor], headers=headers)
    direct = client.ask(fleet.region.address, INTENTS, TEXTS)
    np.testing.assert_allclose(said.as_numpy("SCORES"), direct.scores, atol=1e-6)
    assert said.as_numpy("LABEL").tolist() == direct.labels
    assert said.get_response()["model_version"] == "1"
    assert connection.is_server_live() and connection.is_server_ready()
    assert (
        connection.get_model_metadata(INTENTS, headers=headers)["parameters"]["release_digest"] == direct.release_digest
    )
    assert connection.is_model_ready(INTENTS, headers=headers)
    assert not connection.is_model_ready(NOTES, headers=headers)
    with pytest.raises(InferenceServerException):
        connection.infer(NOTES, [tensor], headers=headers)


ENDPOINTS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("POST", "/v1/models/{tenant}/{task}/infer", {"input": "x"}),
    ("GET", "/v1/models/{tenant}/{task}", None),
    ("POST", "/v2/models/{tenant}.{task}/infer",
     {"inputs": [{"name": "TEXT", "shape": [1], "datatype": "BYTES", "data": ["x"]}]}),
    ("GET", "/v2/models/{tenant}.{task}", None),
    ("GET", "/v2/models/{tenant}.{task}/ready", None),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body"), ENDPOINTS)
def test_another_tenants_model_is_as_unknown_as_none(
    northbank: httpx.Client, fleet: Fleet, gateway: Server, method: str, path: str, body: dict[str, Any] | None
) -> None:
    def ask(connection: httpx.Client, tenant: str, task: str) -> httpx.Response:
        return connection.request(method, path.format(tenant=tenant, task=task), json=body)

    assert ask(northbank, "northbank", "support-intents").status_code == 200
    theirs = problem(ask(northbank, "stclare", "triage-notes"), 404)
    nobodys = problem(ask(northbank, "stclare", "nothing-here"), 404)
    assert theirs.replace("triage-notes", "nothing-here") == nobodys
    problem(ask(northbank, "northbank", "triage-notes"), 404)
    assert ask(fleet.client(gateway, "stclare"), "stclare", "triage-notes").status_code == 200
    problem(ask(httpx.Client(base_url=gateway.url), "northbank", "support-intents"), 401)
    without = {"Authorization": f"Bearer {fleet.token('northbank', scopes=())}"}
    problem(ask(httpx.Client(base_url=gateway.url, headers=without), "northbank", "support-intents"), 403)


def test_the_list_of_models_is_the_callers_own(northbank: httpx.Client, fleet: Fleet, gateway: Server) -> None:
    mine, theirs = (
        {model["model"] for model in connection.get("/v1/models").json()["models"]}
        for connection in (northbank, fleet.client(gateway, "stclare"))
    )
    assert mine == {"northbank/support-intents"}
    assert theirs == {"stclare/triage-notes"}
    assert fleet.client(gateway, "loomworks").get("/v1/models").json()["models"] == []


def test_one_tenants_key_and_text_give_nothing_to_another(
    northbank: httpx.Client, fleet: Fleet, gateway: Server
) -> None:
    stclare, key = fleet.client(gateway, "stclare"), {"Idempotency-Key": "the-same"}
    mine = northbank.post("/v1/embeddings", json={"input": "mine"}, headers=key)
    theirs = stclare.post("/v1/embeddings", json={"input": "theirs"}, headers=key)
    assert mine.status_code == theirs.status_code == 200
    assert mine.json()["data"] != theirs.json()["data"]


def test_the_same_key_is_executed_once(northbank: httpx.Client, fleet: Fleet) -> None:
    worker = fleet.servers[0]

    def executed() -> float:
        told = httpx.get(f"{worker.url}/metrics").text.splitlines()
        return float(next(line for line in told if line.startswith("pedigree_worker_rows_sum")).split()[1])

    before, key = executed(), {"Idempotency-Key": "order-17"}
    body = {"input": f"never seen before {time.time()}"}
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: northbank.post(INFER, json=body, headers=key), range(8)))
    assert {reply.status_code for reply in replies} == {200}
    assert len({reply.content for reply in replies}) == 1
    assert executed() - before == 1
    other = problem(northbank.post(INFER, json={"input": "something else"}, headers=key), 422)
    assert "use a new key" in other


def test_a_promotion_changes_the_answer_without_a_restart(
    northbank: httpx.Client, fleet: Fleet, make_release: Callable[..., Path]
) -> None:
    before = northbank.post(INFER, json={"input": TEXTS}).json()
    fleet.put(f"{INTENTS}@2", make_release(f"{INTENTS}@2", seed=3))
    faults: list[int] = []

    def promoted() -> bool:
        reply = northbank.post(INFER, json={"input": TEXTS})
        faults.extend([reply.status_code] if reply.status_code != 200 else [])
        return bool(reply.json()["release"] == f"{INTENTS}@2")

    until(promoted)
    after = northbank.post(INFER, json={"input": TEXTS}).json()
    assert after["digest"] != before["digest"]
    assert after["results"] != before["results"], "the cache of the release before answered"
    fleet.put(f"{INTENTS}@1", make_release(f"{INTENTS}@1", seed=1))
    until(lambda: bool(northbank.post(INFER, json={"input": TEXTS}).json()["release"] == f"{INTENTS}@1"))
    assert northbank.post(INFER, json={"input": TEXTS}).json() == before
    assert faults == []


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"input": ""}, "a text is empty"),
        ({"input": ["x", "  "]}, "body.input.1"),
        ({"input": []}, "at least 1"),
        ({"input": ["x"] * 257}, "at most 256"),
        ({"input": "x" * 20_001}, "20001 characters"),
        ({"input": 7}, "body.input"),
        ({}, "body.input"),
        ({"input": "x", "model": "other"}, "body.model"),
        ({"input": "x", "digest": "short"}, "body.digest"),
    ],
)
def test_what_cannot_be_asked_is_named(northbank: httpx.Client, body: dict[str, Any], named: str) -> None:
    assert named in problem(northbank.post(INFER, json=body), 422)


def test_text_that_is_no_unicode_is_named(northbank: httpx.Client) -> None:
    reply = northbank.post(INFER, content=b'{"input": "\\ud800"}', headers={"Content-Type": "application/json"})
    assert problem(reply, 422)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models/UPPER/x/infer", 422),
        ("/v1/models/a..b/x/infer", 422),
        ("/v1/models/%2e%2e/x/infer", 422),
        ("/v9", 404),
    ],
)
def test_a_path_that_is_none_is_refused(northbank: httpx.Client, path: str, status: int) -> None:
    problem(northbank.post(path, json={"input": "x"}), status)


def test_a_body_that_is_too_large_is_not_read(northbank: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(50):
            yield b"x" * 100_000

    with suppress(httpx.WriteError):  # the gateway closed the connection while we still sent
        problem(northbank.post(INFER, content=endless(), headers={"Content-Type": "application/json"}), 413)


def test_no_answer_in_time_is_504_and_may_be_tried_again(northbank: httpx.Client) -> None:
    reply = northbank.post(INFER, json={"input": f"in a hurry {time.time()}"}, headers={"Timeout-Ms": "1"})
    assert "deadline" in problem(reply, 504)


def test_a_tenant_over_its_rate_is_told_when_to_come_back(fleet: Fleet, gateway: Server) -> None:
    free = fleet.client(gateway, "stclare", "free")
    replies = [free.post("/v1/embeddings", json={"input": "x"}) for _ in range(5)]
    assert [reply.status_code for reply in replies[:3]] == [200] * 3
    assert "rate" in problem(replies[-1], 429)
    assert 1 <= int(replies[-1].headers["retry-after"]) <= 2
    assert fleet.client(gateway, "stclare").post("/v1/embeddings", json={"input": "x"}).status_code == 200


def test_the_openapi_document_has_examples_and_problems(gateway: Server) -> None:
    said = httpx.get(f"{gateway.url}/openapi.json").json()
    infer = said["paths"]["/v1/models/{tenant}/{task}/infer"]["post"]
    assert {"200", "401", "404", "422", "429", "503", "504"} <= infer["responses"].keys()
    assert "application/problem+json" in infer["responses"]["429"]["content"]
    assert said["components"]["schemas"]["InferBody"]["examples"]
    assert said["components"]["securitySchemes"]


def test_readiness_names_each_dependency(fleet: Fleet, northbank: httpx.Client) -> None:
    worker, gateway = (httpx.get(f"{server.url}/readyz").json() for server in fleet.servers)
    assert worker == {"kafka": "ok", "redis": "ok", "triton": "ok"}
    policies = gateway.pop("policies")
    assert gateway == {"kafka": "ok", "redis": "ok", "workers": "ok", "triton": "ok"}
    assert policies == "none; `auto` is not answered"


def test_the_log_names_model_digest_and_trace_and_no_payload(
    northbank: httpx.Client, fleet: Fleet, gateway: Server
) -> None:
    secret, trace = "my password is quetzal", f"00-{'ab' * 16}-{'cd' * 8}-01"
    reply = northbank.post(INFER, json={"input": secret}, headers={"traceparent": trace})
    until(lambda: "ab" * 16 in gateway.log.read_text())  # it is written after the reply
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines() if line.startswith("{")]
    mine = next(line for line in lines if line.get("trace_id") == "ab" * 16)
    assert (mine["tenant"], mine["model"], mine["status"]) == ("northbank", INTENTS, 200)
    assert mine["digest"] == reply.json()["digest"]
    for server in fleet.servers:
        assert "quetzal" not in server.log.read_text()


def test_nothing_but_operations_and_docs_is_open(gateway: Server) -> None:
    said = httpx.get(f"{gateway.url}/openapi.json").json()
    open_to_all = {"/healthz", "/readyz", "/v2", "/v2/health/live", "/v2/health/ready"}
    closed = {path: methods for path, methods in said["paths"].items() if path not in open_to_all}
    assert len(closed) >= 7
    for path, methods in closed.items():
        for method in methods.keys() - ({"delete"} if path == "/session" else set()):  # to forget one needs none
            filled = path.format(tenant="northbank", task="support-intents", name=INTENTS)
            reply = httpx.request(method, gateway.url + filled, json={"input": "x"})
            assert reply.status_code == 401, f"{method} {path}"


def test_the_docs_bring_all_they_need(gateway: Server) -> None:
    needed = re.findall(r"(?:src|href|url)[=: ]+[\"']([^\"']+)", httpx.get(f"{gateway.url}/docs").text)
    assert {"/openapi.json"} < set(needed)
    for each in needed:
        assert httpx.get(gateway.url + each).status_code == 200, each


def test_the_page_brings_all_it_needs_and_keeps_nothing(gateway: Server) -> None:
    page, script = httpx.get(gateway.url), httpx.get(f"{gateway.url}/page.js")
    assert (page.status_code, script.status_code) == (200, 200)
    assert "'unsafe-inline'" not in page.headers["content-security-policy"].partition("script-src")[2].split(";")[0]
    assert not re.findall(r"https?://", page.text + script.text)
    assert "localStorage" not in script.text and "cookie" not in script.text and "innerHTML" not in script.text
    assert "set-cookie" not in page.headers


def test_a_browsers_session_is_a_cookie_that_no_script_and_no_other_site_can_use(
    fleet: Fleet, gateway: Server, northbank: httpx.Client
) -> None:
    page = {"Pedigree-Page": "1"}
    with httpx.Client(base_url=gateway.url) as browser:
        problem(browser.post("/session", headers={"Authorization": "Bearer nobody"}), 401)
        assert not browser.cookies
        begun = browser.post("/session", headers={"Authorization": northbank.headers["authorization"]})
        assert begun.status_code == 204
        name, *flags = begun.headers["set-cookie"].split("; ")
        assert name.startswith("__Host-pedigree=")
        assert set(flags) == {"HttpOnly", "Path=/", "SameSite=strict", "Secure"}
        cookie = {"Cookie": name}  # by hand: this client keeps a secure cookie from plain HTTP
        assert "Pedigree-Page is missing" in problem(browser.get("/v1/models", headers=cookie), 403)
        assert "Pedigree-Page is missing" in problem(browser.post(INFER, json={"input": "x"}, headers=cookie), 403)
        listed = browser.get("/v1/models", headers=cookie | page).json()["models"]
        assert [model["model"] for model in listed] == ["northbank/support-intents"]
        assert browser.post(INFER, json={"input": "x"}, headers=cookie | page).json()["release"] == f"{INTENTS}@1"
        theirs = f"/v1/models/{NOTES.replace('.', '/')}/infer"
        problem(browser.post(theirs, json={"input": "x"}, headers=cookie | page), 404)
        ended = browser.delete("/session").headers["set-cookie"]
        assert ended.startswith('__Host-pedigree=""') and "Max-Age=0" in ended


def test_whatever_the_schema_allows_is_answered_and_shows_no_other_tenant(
    fleet: Fleet, gateway: Server, northbank: httpx.Client
) -> None:
    """Every operation with made-up requests, by the token of one tenant about its own models and another's."""
    theirs = client.ask(fleet.region.address, NOTES, ["x"]).release_digest
    schema = schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) >= 14
    for operation in operations:

        @settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=[*HealthCheck])
        @given(case=operation.as_strategy(), stranger=st.booleans())
        def ask(case: schemathesis.Case, stranger: bool) -> None:
            model = NOTES if stranger else INTENTS
            about = {"tenant": model.partition(".")[0], "task": model.partition(".")[2], "name": model}
            case.path_parameters |= {name: about[name] for name in case.path_parameters if name in about}
            reply = case.call(headers={"Authorization": northbank.headers["authorization"]})
            assert reply.status_code < 500, f"{case.method} {case.path}: {reply.text}"
            assert theirs not in reply.text
            if stranger and case.path_parameters:
                assert reply.status_code in (400, 404, 422), f"{case.method} {case.path}: {reply.text}"

        ask()
