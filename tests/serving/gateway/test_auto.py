"""`auto` and /v1/route: real models, fingerprints in a real store, a policy file as it changes; one tenant's alone."""

import json
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import yaml

from governance.custody.blobs import CENTRAL_BUCKET
from governance.custody.canonical import sha256_file
from governance.custody.records import point, publish
from governance.custody.store import ObjectStore
from governance.tenants import Release
from orchestration.settings import PREFIX
from orchestration.stack.seaweedfs import store_environment
from serving.engine import Engine
from serving.router.fingerprint import Facts, Fingerprint, to_files
from serving.router.published import STAGE
from serving.triton import client, repository
from tests.conftest import StartStack
from tests.serving.fleet import Fleet, Server, until

CARDS, LOANS, NOTES = "northbank.cards", "northbank.loans", "stclare.notes"
JUDGED = {CARDS: "my card was lost or stolen", LOANS: "the interest of my loan", NOTES: "chest pain, short breath"}
AUTO, ROUTE = "/v1/models/northbank/auto/infer", "/v1/route"
CARD, LOAN = {"input": "I lost my card, please block my card"}, {"input": "what is the interest on my loan"}
VERSIONS = count(1)


def declare(file: Path, fairness: dict[str, Any] | None = None, **default: Any) -> None:
    """`default`: the policy of that name."""
    said = {"format": "pedigree/routing/v1", "version": next(VERSIONS), "policies": {"default": default}}
    file.write_text(yaml.safe_dump(said | {"fairness": fairness or {}}))


def judge(store: ObjectStore, engine: Engine, release: str, digest: str, text: str, folder: Path) -> None:
    """Publish a fingerprint that expects nine right answers of ten about what resembles `text`."""
    facts = Facts(
        release=release, release_digest=digest, base="b" * 64, rows=100, prior=0.9, near=0.5, far=0.2, p95_ms=10,
        brier=0.1, brier_of_prior=0.2,
    )  # fmt: skip
    centre, nothing = engine.embed([text]).numpy(), np.zeros(384, np.float32)
    files = to_files(Fingerprint(facts, 0.9, nothing, centre, nothing[:1]))
    for name, body in files.items():
        (folder / name).write_bytes(body)
    named = Release.parse(release)
    point(store, named, STAGE, publish(store, named, STAGE, {}, {name: folder / name for name in files}, {}))


@pytest.fixture(scope="module")
def fleet(make_fleet: Callable[[], Fleet], make_release: Callable[..., Path]) -> Iterator[Fleet]:
    """Two models of northbank, one of stclare, one worker."""
    fleet = make_fleet()
    for seed, name in enumerate(JUDGED):
        fleet.put(f"{name}@1", make_release(f"{name}@1", seed=seed))
    fleet.start("worker")
    until(lambda: all(live(fleet, name) for name in JUDGED))
    yield fleet
    for name in JUDGED:
        repository.withdraw(fleet.region.root, name)
    for server in fleet.servers:
        server.end()
        assert "Traceback" not in server.log.read_text()


def live(fleet: Fleet, name: str) -> str | None:
    return client.status(fleet.region.address)["models"].get(name, {}).get("digest")


@pytest.fixture(scope="module")
def policies(fleet: Fleet) -> Path:
    declare(fleet.folder / "routing.yaml")
    return fleet.folder / "routing.yaml"


@pytest.fixture(scope="module")
def gateway(fleet: Fleet, policies: Path, start_stack: StartStack, engine: Engine) -> Server:
    """Every model is judged before anybody asks."""
    settings = start_stack("seaweedfs")
    store = settings.store()
    store.ensure_bucket(CENTRAL_BUCKET)
    for name, text in JUDGED.items():
        judge(store, engine, f"{name}@1", str(live(fleet, name)), text, fleet.folder)
    reach = {name.removeprefix(PREFIX): value for name, value in store_environment(settings).items()}
    return fleet.open(
        GATEWAY_ROUTING_FILE=str(policies), GATEWAY_REGION="mumbai",
        GATEWAY_BURST='{"enterprise": 1000, "free": 2}', GATEWAY_RATE='{"enterprise": 500, "free": 0.1}', **reach,
    )  # fmt: skip


@pytest.fixture
def northbank(fleet: Fleet, gateway: Server) -> httpx.Client:
    return fleet.client(gateway, "northbank")


def said(reply: httpx.Response, status: int = 200) -> Any:
    assert reply.status_code == status, reply.text
    return reply.json() if status == 200 else reply.json()["detail"]


def ranked(northbank: httpx.Client, text: dict[str, str]) -> list[str]:
    return [model["model"] for model in said(northbank.post(ROUTE, json=text))["ranked"]]


def test_a_text_is_routed_to_the_model_that_was_judged_on_its_kind(
    northbank: httpx.Client, fleet: Fleet, policies: Path
) -> None:
    for text, first in ((CARD, CARDS), (LOAN, LOANS)):
        routed = said(northbank.post(ROUTE, json=text))
        best, other = routed["ranked"]
        assert (best["release"], best["digest"]) == (f"{first}@1", live(fleet, first))
        assert best["score"] > 0.8 > 0.2 > other["score"] and "expected right" in best["reasons"][0]
        assert (routed["policy"], routed["sha256"], routed["known"]) == ("default", sha256_file(policies), 1)


def test_auto_gives_the_answer_of_the_model_it_names_and_says_why(northbank: httpx.Client) -> None:
    for text, first in ((CARD, "cards"), (LOAN, "loans")):
        answer = said(northbank.post(AUTO, json=text))
        routed, in_order = answer.pop("routed"), answer.pop("ranked")
        scores = answer["results"][0]["scores"]
        assert [(each["label"], each["reason"]) for each in in_order] == [
            (label, "by score") for label in sorted(scores, key=lambda label: -scores[label])
        ]
        assert answer == said(northbank.post(f"/v1/models/northbank/{first}/infer", json=text))
        assert answer["model"] == routed["ranked"][0]["model"] == f"northbank/{first}"
        assert routed["reason"] == "the best score, weighed by expected quality" and routed["failed"] == {}


def test_labels_go_through_the_models_fairness_filter_and_leave_a_record(
    northbank: httpx.Client, gateway: Server, policies: Path
) -> None:
    def in_order() -> list[str]:
        return [each["label"] for each in said(northbank.post(AUTO, json=CARD))["ranked"]]

    plain = in_order()
    rare = {"groups": {"rare": [plain[2]]}, "at_least": {"rare": 0.5}}
    before = len(gateway.log.read_text().splitlines())
    declare(policies, fairness={"northbank/cards": rare})
    until(lambda: in_order() == [plain[0], plain[2], plain[1]])
    records = [json.loads(line) for line in gateway.log.read_text().splitlines()[before:]]
    record = next(each for each in records if each["event"] == "bias audit")
    assert (record["model"], record["about"], record["moved"]) == ("northbank/cards", live_digest(northbank), 2)
    assert record["groups"][0]["exposure_after"] > record["groups"][0]["exposure_before"]
    assert plain[2] not in json.dumps(record) and CARD["input"] not in json.dumps(record)
    declare(policies)
    until(lambda: in_order() == plain)


def live_digest(northbank: httpx.Client) -> str:
    return str(said(northbank.get("/v1/models/northbank/cards"))["digest"])


def test_its_three_requests_are_one_trace(northbank: httpx.Client, gateway: Server) -> None:
    before = len(gateway.log.read_text().splitlines())
    said(northbank.post(AUTO, json=CARD))
    lines = [json.loads(line) for line in gateway.log.read_text().splitlines()[before:]]
    traces = {line["model"]: line["trace_id"] for line in lines if line["event"] == "request"}
    assert traces.keys() == {"", CARDS, LOANS} and len(set(traces.values())) == 1


def test_only_the_callers_models_are_looked_at(northbank: httpx.Client, fleet: Fleet, gateway: Server) -> None:
    stclare = fleet.client(gateway, "stclare")
    assert "stclare" not in northbank.post(ROUTE, json={"input": JUDGED[NOTES]}).text
    assert ranked(stclare, CARD) == ["stclare/notes"]
    theirs = said(stclare.post(AUTO, json=CARD), 404)
    assert theirs == "no release answers for model 'northbank/auto' here"
    assert "none is live" in said(fleet.client(gateway, "loomworks").post(ROUTE, json=CARD), 404)
    without = {"Authorization": f"Bearer {fleet.token('northbank', scopes=('models',))}"}
    for path in (AUTO, ROUTE):
        said(httpx.post(gateway.url + path, json=CARD, headers=without), 403)


def test_what_cannot_be_routed_is_named(northbank: httpx.Client) -> None:
    assert "declared: default" in said(northbank.post(AUTO, json=CARD | {"policy": "other"}), 422)
    assert "body.input" in said(northbank.post(AUTO, json={"input": ["one", "two"]}), 422)
    said(northbank.post(AUTO, json={"input": "a text that nobody asked"}, headers={"Timeout-Ms": "1"}), 504)


def test_where_one_of_the_two_does_not_answer_the_other_does(fleet: Fleet, gateway: Server) -> None:
    free = fleet.client(gateway, "northbank", "free")  # the rate has room for the vector and for one of them
    answer = said(free.post(AUTO, json=CARD))
    (failed,) = answer["routed"]["failed"].items()
    assert {failed[0], answer["model"]} == {"northbank/cards", "northbank/loans"} and "used up its rate" in failed[1]
    assert answer["routed"]["reason"] == "the only one that answered"
    said(free.post(AUTO, json=CARD), 429)


def test_the_policies_change_without_a_restart_and_a_broken_file_changes_nothing(
    northbank: httpx.Client, gateway: Server, policies: Path
) -> None:
    declare(policies, deny=["northbank/cards"])
    until(lambda: ranked(northbank, CARD) == ["northbank/loans"])
    answer = said(northbank.post(AUTO, json=CARD))
    assert answer["model"] == "northbank/loans" and answer["routed"]["reason"] == "the only one that answered"
    assert "not admitted" in answer["routed"]["refused"]["northbank/cards"]
    policies.write_text("policies: nonsense")
    until(lambda: "stays in force" in httpx.get(f"{gateway.url}/readyz").json()["policies"])
    assert ranked(northbank, CARD) == ["northbank/loans"]
    declare(policies)
    until(lambda: ranked(northbank, CARD) == ["northbank/cards", "northbank/loans"])
    assert httpx.get(f"{gateway.url}/readyz").json()["policies"] == "ok"


def test_models_appear_and_vanish_with_the_live_pointers_and_no_request_fails(
    northbank: httpx.Client, fleet: Fleet, make_release: Callable[..., Path]
) -> None:
    def model() -> str:
        return str(said(northbank.post(AUTO, json=CARD))["model"])

    assert model() == "northbank/cards"
    repository.withdraw(fleet.region.root, CARDS)
    until(lambda: model() == "northbank/loans")
    until(lambda: ranked(northbank, CARD) == ["northbank/loans"])
    fleet.put(f"{CARDS}@1", make_release(f"{CARDS}@1"))
    until(lambda: model() == "northbank/cards")


def test_a_release_without_a_fingerprint_is_never_chosen(
    northbank: httpx.Client, fleet: Fleet, make_release: Callable[..., Path]
) -> None:
    fleet.put(f"{CARDS}@2", make_release(f"{CARDS}@2", seed=7))
    until(lambda: ranked(northbank, CARD) == ["northbank/loans"])
    routed = said(northbank.post(AUTO, json=CARD))["routed"]
    ours = {model: why for model, why in routed["refused"].items() if model in ("northbank/cards", "northbank/loans")}
    assert ours == {"northbank/cards": f"{CARDS}@2 has no fingerprint; materialize model_fingerprints for it"}
    fleet.put(f"{CARDS}@1", make_release(f"{CARDS}@1"))
    until(lambda: ranked(northbank, CARD) == ["northbank/cards", "northbank/loans"])


def test_a_gateway_without_policies_or_store_fails_closed(fleet: Fleet, gateway: Server, policies: Path) -> None:
    without = fleet.start("gateway")
    until(without.ready)
    assert "name a model" in said(fleet.client(without, "northbank").post(AUTO, json=CARD), 404)
    nowhere = {"S3_ENDPOINT": "http://127.0.0.1:9", "S3_ACCESS_KEY": "none", "S3_SECRET_KEY": "none"}
    cut_off = fleet.start("gateway", GATEWAY_ROUTING_FILE=str(policies), **nowhere)
    until(cut_off.ready)
    reply = fleet.client(cut_off, "northbank").post(AUTO, json=CARD)
    assert "fingerprints" in said(reply, 503) and reply.json()["retryable"]
