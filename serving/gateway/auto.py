"""The model `auto`: of the caller's live models the one answers that the policy picks; /v1/route says which would.

Prompts become vectors through the workers, as every answer is made; ranking is arithmetic on this side.
"""

import asyncio
import time
from dataclasses import replace
from typing import Any

import orjson
import structlog
from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from serving.gateway.auth import Caller
from serving.gateway.dependencies import TheCaller, TheGateway, TheTerms
from serving.gateway.exchange import Gateway, Question, Terms, exchange, require_own
from serving.gateway.infer import InferAnswer, Slug, Text, as_json
from serving.gateway.problems import RESPONSES, Problem
from serving.messages import Reply
from serving.router import (
    ASKED,
    Candidate,
    Choice,
    Declaration,
    LiveModel,
    NothingToChoose,
    UnknownPolicy,
    pick,
    prompt_head,
    ranked_labels,
    route,
)

log = structlog.get_logger()


class RouteBody(BaseModel):
    """One text, and which of the declared policies decides."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"input": "Where is my refund?"}]})
    input: Text
    policy: str = Field("default", max_length=40)


class Considered(BaseModel):
    """A model at its place. `score`: what it is worth under the policy, and `reasons` what that is made of."""

    model_config = ConfigDict(from_attributes=True)
    model: str = Field(validation_alias="name", examples=["northbank/support-intents"])
    release: str
    digest: str
    score: float
    quality: float
    cost: float
    reasons: list[str] = Field(examples=[["expected right 0.912: +0.9120"]])


class Routed(BaseModel):
    """`ranked`: best first. `refused`: model → why not. `known`: how familiar the text is, 0 to 1.

    policy, version, sha256: by which declaration it was decided.
    """

    model_config = ConfigDict(from_attributes=True)
    policy: str
    version: int
    sha256: str
    known: float
    ranked: list[Considered]
    refused: dict[str, str]


class Picked(Routed):
    """`reason`: why it is this model's answer. `failed`: models that were asked → why they gave none."""

    reason: str
    failed: dict[str, str]


class RankedLabel(BaseModel):
    """A label at its place; `before` is its place by score alone, `reason` why it stands here."""

    model_config = ConfigDict(from_attributes=True)
    label: str = Field(validation_alias="name")
    score: float
    before: int
    reason: str = Field(examples=["by score"])


class AutoAnswer(InferAnswer):
    """As of any model; its labels in the order in which to show them; and why of this model."""

    ranked: list[RankedLabel]
    routed: Picked


router = APIRouter(prefix="/v1", tags=["models"], responses=RESPONSES)


@router.post("/route")
async def ranking(body: RouteBody, gateway: TheGateway, caller: TheCaller, terms: TheTerms) -> Routed:
    """Which of the caller's live models should answer a text, best first, and why."""
    return Routed.model_validate(await _choose(gateway, caller, body, _declared(gateway), terms))


@router.post("/models/{tenant}/auto/infer", response_model=AutoAnswer)
async def infer(tenant: Slug, body: RouteBody, gateway: TheGateway, caller: TheCaller, terms: TheTerms) -> Response:
    """What one of the caller's live models says about a text: the two best ranked are asked, the policy picks."""
    require_own(caller, f"{tenant}.auto")
    until, declared = time.monotonic() + (terms.timeout or gateway.settings.deadline), _declared(gateway)
    choice = await _choose(gateway, caller, body, declared, terms)
    terms = replace(terms, timeout=max(0.001, until - time.monotonic()))
    asked = [model.name for model in choice.ranked[:ASKED]]
    said = await asyncio.gather(*(_ask(gateway, caller, model, body.input, terms) for model in asked))
    replies = {model: reply for model, reply in zip(asked, said, strict=True) if isinstance(reply, Reply)}
    failed = {model: problem for model, problem in zip(asked, said, strict=True) if isinstance(problem, Problem)}
    if not replies:
        raise failed[asked[0]]
    answers = {model: orjson.loads(reply.body) for model, reply in replies.items()}
    heard = {model: _likeliest(**answer["results"][0]) for model, answer in answers.items()}
    picked = pick(choice, heard, declared.routing.policy(body.policy))
    model, reason = picked.model.name, picked.reason
    log.info("routed", tenant=tenant, model=model, digest=replies[model].digest, policy=choice.policy, reason=reason)
    why = {"reason": reason, "failed": {name: problem.detail for name, problem in failed.items()}}
    routed = Routed.model_validate(choice).model_dump() | why
    ranked = _in_order(answers[model]["results"][0]["scores"], model, replies[model].digest, declared)
    return as_json(orjson.dumps(answers[model] | {"ranked": ranked, "routed": routed}), replies[model])


def _in_order(scores: dict[str, float], model: str, digest: str, declared: Declaration) -> list[dict[str, Any]]:
    """The labels through the model's fairness filter, whose record goes into the log."""
    placed, audit = ranked_labels(scores, model, digest, declared)
    if audit:
        log.info("bias audit", model=model, **audit.model_dump(mode="json"))
    return [RankedLabel.model_validate(each).model_dump() for each in placed]


async def _choose(gateway: Gateway, caller: Caller, body: RouteBody, declared: Declaration, terms: Terms) -> Choice:
    """The caller's live models, ranked for the text. Raises Problem."""
    import numpy as np

    embedded = await exchange(gateway, caller, Question("", [prompt_head(body.input)], terms))
    vector = np.array(orjson.loads(embedded.body)["data"][0]["embedding"], np.float32)
    models = await _live(gateway, caller.tenant)
    try:
        return route(vector, models, declared, body.policy, gateway.settings.region, caller.tier)
    except UnknownPolicy as unknown:
        raise Problem(422, str(unknown)) from unknown
    except NothingToChoose as nothing:
        raise Problem(404, str(nothing)) from nothing


async def _live(gateway: Gateway, tenant: str) -> list[LiveModel]:
    """The tenant's models as the region tells them now, each with its release's fingerprint. Raises Problem 503."""
    live, here = await gateway.live.models(tenant), frozenset({gateway.settings.region})
    found = await asyncio.gather(
        *(gateway.fingerprints.of(model["release"], model["digest"]) for model in live.values())
    )
    return [
        LiveModel(name.replace(".", "/", 1), release["release"], release["digest"], here, fingerprint)
        for (name, release), fingerprint in zip(live.items(), found, strict=True)
    ]


async def _ask(gateway: Gateway, caller: Caller, model: str, text: str, terms: Terms) -> Reply | Problem:
    """Whatever answers for the model now: who was promoted since the ranking is not kept waiting for it."""
    try:
        return await exchange(gateway, caller, Question(model.replace("/", ".", 1), [text], terms))
    except Problem as problem:
        return problem


def _declared(gateway: Gateway) -> Declaration:
    if gateway.policies is None:
        raise Problem(404, "this gateway has no routing policies; name a model")
    return gateway.policies.current()


def _likeliest(label: str, scores: dict[str, float]) -> Candidate:
    return Candidate(label, scores[label])
