"""/v2: the KServe inference protocol for the same models, as Triton speaks it, so that its clients work unchanged.

A model's name is tenant.task. Its input TEXT may come as JSON or in the binary tensor form; outputs go out as JSON.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Header, Path, Request, Response
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from serving.gateway.auth import Caller, require
from serving.gateway.dependencies import TheCaller, TheGateway, TheTerms
from serving.gateway.exchange import Gateway, Question, exchange
from serving.gateway.infer import ROWS, Text
from serving.gateway.problems import RESPONSES, Problem

NAME = r"^[a-z0-9-]+\.[a-z0-9-]+$"
OUTPUTS = ("LABEL", "SCORES", "LABELS", "MODEL_VERSION", "RELEASE_DIGEST")
TEXTS: TypeAdapter[list[str]] = TypeAdapter(Annotated[list[Text], Field(min_length=1, max_length=ROWS)])

Name = Annotated[str, Path(pattern=NAME, max_length=81, examples=["northbank.support-intents"])]


class Tensor(BaseModel):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any] | None = None
    parameters: dict[str, Any] = {}


class Wanted(BaseModel):
    name: str
    parameters: dict[str, Any] = {}


class Inference(BaseModel):
    """The JSON part of a request."""

    id: str = ""
    inputs: list[Tensor]
    outputs: list[Wanted] = []


router = APIRouter(prefix="/v2", tags=["KServe v2"], responses=RESPONSES)


@router.get("")
async def server() -> dict[str, Any]:
    """What this server is."""
    return {"name": "pedigree", "version": "1", "extensions": ["binary_tensor_data"]}


@router.get("/health/live")
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready")
async def ready(gateway: TheGateway, response: Response) -> dict[str, bool]:
    response.status_code = 200 if gateway.replies.ready else 503
    return {"ready": gateway.replies.ready}


@router.get("/models/{name}/ready")
async def model_ready(name: Name, gateway: TheGateway, caller: TheCaller) -> dict[str, Any]:
    await _found(name, gateway, caller)
    return {"name": name, "ready": True}


@router.get("/models/{name}")
async def metadata(name: Name, gateway: TheGateway, caller: TheCaller) -> dict[str, Any]:
    """Inputs and outputs of a model, and the release that answers."""
    found = await _found(name, gateway, caller)
    texts = {"datatype": "BYTES", "shape": [-1]}
    shapes = {"SCORES": {"datatype": "FP32", "shape": [-1, -1]}}
    return {
        "name": name,
        "versions": [found["release"].rpartition("@")[2]],
        "platform": "pedigree",
        "inputs": [{"name": "TEXT", **texts}],
        "outputs": [{"name": output, **shapes.get(output, texts)} for output in OUTPUTS],
        "parameters": {"release_digest": found["digest"]},
    }


@router.post(
    "/models/{name}/infer",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": Inference.model_json_schema(),
                    "example": {
                        "inputs": [
                            {"name": "TEXT", "shape": [1], "datatype": "BYTES", "data": ["My card was declined"]}
                        ]
                    },
                }
            },
        }
    },
)
async def infer(
    name: Name,
    request: Request,
    gateway: TheGateway,
    caller: TheCaller,
    terms: TheTerms,
    inference_header_content_length: Annotated[int | None, Header(ge=0)] = None,
) -> dict[str, Any]:
    """What the live release says about the texts of the tensor TEXT."""
    asked, texts = _read(await request.body(), inference_header_content_length)
    reply = await exchange(gateway, caller, Question(name, texts, terms))
    said = orjson.loads(reply.body)
    wanted = [output.name for output in asked.outputs] or list(OUTPUTS)
    return {
        "model_name": name,
        "model_version": said["release"].rpartition("@")[2],
        "id": asked.id,
        "outputs": [_output(output, said) for output in wanted],
    }


async def _found(name: str, gateway: Gateway, caller: Caller) -> dict[str, Any]:
    require(caller, "models")
    live = await gateway.live.models(caller.tenant)
    if name not in live:
        raise Problem(404, f"no release answers for model {name.replace('.', '/', 1)!r} here")
    return dict(live[name])


def _read(body: bytes, header_length: int | None) -> tuple[Inference, list[str]]:
    """The request and its texts. Raises Problem 422."""
    try:
        asked = Inference.model_validate_json(body if header_length is None else body[:header_length])
        tensor = next((tensor for tensor in asked.inputs if tensor.name == "TEXT"), None)
        if tensor is None or tensor.datatype != "BYTES" or len(tensor.shape) != 1:
            raise Problem(422, "the input TEXT, one list of datatype BYTES, is missing")
        given = tensor.data if header_length is None else _binary(body[header_length:])
        texts = TEXTS.validate_python(given)
    except ValidationError as invalid:
        raise Problem(422, "; ".join(f"{each['loc']}: {each['msg']}" for each in invalid.errors()[:5])) from invalid
    if tensor.shape != [len(texts)]:
        raise Problem(422, f"TEXT has the shape {tensor.shape} and {len(texts)} values")
    if unknown := sorted({output.name for output in asked.outputs} - {*OUTPUTS}):
        raise Problem(422, f"no outputs {unknown}; there are {', '.join(OUTPUTS)}")
    return asked, texts


def _binary(body: bytes) -> list[str]:
    """The binary tensor form of BYTES: each value after its length, four bytes, little-endian. Raises Problem 422."""
    texts, at = [], 0
    try:
        while at < len(body):
            end = at + 4 + int.from_bytes(body[at : at + 4], "little")
            if end > len(body):
                raise Problem(422, "the binary tensor TEXT ends in the middle of a value")
            texts.append(body[at + 4 : end].decode())
            at = end
    except UnicodeDecodeError as broken:
        raise Problem(422, "the binary tensor TEXT is not UTF-8") from broken
    return texts


def _output(name: str, said: dict[str, Any]) -> dict[str, Any]:
    results = said["results"]
    labels = list(results[0]["scores"])
    if name == "SCORES":
        scores = [score for result in results for score in result["scores"].values()]
        return {"name": name, "datatype": "FP32", "shape": [len(results), len(labels)], "data": scores}
    values: dict[str, Sequence[str]] = {
        "LABEL": [result["label"] for result in results],
        "LABELS": labels,
        "MODEL_VERSION": [said["release"]],
        "RELEASE_DIGEST": [said["digest"]],
    }
    return {"name": name, "datatype": "BYTES", "shape": [len(values[name])], "data": values[name]}
