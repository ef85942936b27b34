"""/v1: ask a model, ask the base for vectors, see what is live."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

from serving.gateway.auth import require
from serving.gateway.dependencies import TheCaller, TheGateway, TheTerms
from serving.gateway.exchange import Question, exchange
from serving.gateway.problems import RESPONSES, Problem
from serving.messages import Reply

ROWS = 256
CHARACTERS = 20_000
SLUG = r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$"


def readable(text: str) -> str:
    """A text that a model can read. Raises ValueError."""
    if not text.strip():
        raise ValueError("a text is empty")
    if len(text) > CHARACTERS:
        raise ValueError(f"a text has {len(text)} characters; allowed are {CHARACTERS}")
    try:
        text.encode()
    except UnicodeEncodeError as broken:
        raise ValueError("a text is not Unicode") from broken
    return text


Text = Annotated[str, AfterValidator(readable)]
ONE = {"type": "string", "minLength": 1, "maxLength": CHARACTERS}
Texts = Annotated[
    list[Text],
    BeforeValidator(lambda given: [given] if isinstance(given, str) else given),
    Field(min_length=1, max_length=ROWS),
    WithJsonSchema({"anyOf": [ONE, {"type": "array", "items": ONE, "minItems": 1, "maxItems": ROWS}]}),
]
Slug = Annotated[str, Path(pattern=SLUG, max_length=40)]


class InferBody(BaseModel):
    """One text or many; `digest` allows that release alone to answer."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"input": "I lost my card on the train, please block it"},
                {"input": ["Where is my refund?", "My card was declined"]},
            ]
        },
    )
    input: Texts
    digest: str = Field("", pattern=r"^([0-9a-f]{64})?$")


class Result(BaseModel):
    label: str
    scores: dict[str, float]


class InferAnswer(BaseModel):
    """A result for each text, in order, and the release that said it."""

    model: str = Field(examples=["northbank/support-intents"])
    release: str = Field(examples=["northbank.support-intents@3"])
    digest: str = Field(examples=["5f" * 32])
    results: list[Result] = Field(examples=[[{"label": "card", "scores": {"card": 0.93, "loan": 0.07}}]])


class EmbeddingsBody(BaseModel):
    """As OpenAI's clients send it; `model` is not looked at, there is one resident base."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"input": ["Where is my refund?"]}]})
    input: Texts
    model: str = ""


class Embedding(BaseModel):
    object: str = "embedding"
    index: int
    embedding: list[float]


class EmbeddingsAnswer(BaseModel):
    """Vectors of length 1, in the order of the texts; `model` is the base's digest."""

    object: str = "list"
    model: str
    data: list[Embedding]


router = APIRouter(prefix="/v1", tags=["models"], responses=RESPONSES)


@router.post("/models/{tenant}/{task}/infer", response_model=InferAnswer)
async def infer(
    tenant: Slug, task: Slug, body: InferBody, gateway: TheGateway, caller: TheCaller, terms: TheTerms
) -> Response:
    """What the live release of `tenant/task` says about one text or many."""
    reply = await exchange(gateway, caller, Question(f"{tenant}.{task}", body.input, terms, body.digest))
    return as_json(reply.body, reply)


@router.post("/embeddings", response_model=EmbeddingsAnswer)
async def embeddings(body: EmbeddingsBody, gateway: TheGateway, caller: TheCaller, terms: TheTerms) -> Response:
    """The resident base's own vectors."""
    reply = await exchange(gateway, caller, Question("", body.input, terms))
    return as_json(reply.body, reply)


@router.get("/models")
async def models(gateway: TheGateway, caller: TheCaller) -> dict[str, Any]:
    """The caller's models that answer in this region, each with its release, its digest, and since when."""
    require(caller, "models")
    live = await gateway.live.models(caller.tenant)
    return {
        "region": gateway.settings.region,
        "models": [{"model": name.replace(".", "/", 1), **model} for name, model in live.items()],
    }


@router.get("/models/{tenant}/{task}")
async def model(tenant: Slug, task: Slug, gateway: TheGateway, caller: TheCaller) -> dict[str, Any]:
    """One model's live release and digest."""
    require(caller, "models")
    live = await gateway.live.models(caller.tenant)
    if found := live.get(f"{tenant}.{task}"):
        return {"region": gateway.settings.region, "model": f"{tenant}/{task}", **found}
    raise Problem(404, f"no release answers for model '{tenant}/{task}' here")


def as_json(body: bytes, reply: Reply) -> Response:
    """`body`, which came of the reply, and how long that took."""
    timing = f"queue;dur={reply.waited * 1000:.1f}, model;dur={reply.model_seconds * 1000:.1f}"
    return Response(body, media_type="application/json", headers={"Server-Timing": timing})
