"""The resident base as a Triton model: tensors in, tensors out. models/<base>/1/model.py is one import of this.

A request gives TEXT [n] and MODEL [1] (`tenant.task`); one that gives neither and asks for the output STATUS only
gets JSON: {"base": digest, "models": Mounts.status()}. Requests are computed one by one.
"""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb

from governance.custody.keys import TrustedKeys
from serving.engine import Engine, base_digest
from serving.triton.backend.mounts import ModelUnknown, Mounts

ROWS_LIMIT = 1024
TEXT_LIMIT = 100_000  # characters


class RequestRefused(ValueError):
    """A request cannot be answered as it is; the message names the fault."""


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        given = {key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()}
        torch.set_num_threads(int(os.environ.get("PEDIGREE_TRITON_THREADS", "1")))
        folder = Path(given["BASE_FOLDER"])
        if (found := base_digest(folder)) != given["BASE_SHA256"]:
            raise pb.TritonModelException(
                f"the base in {folder} has digest {found}, configured is {given['BASE_SHA256']}; "
                "restore its files, or prepare the region again"
            )
        self._base = found
        self._count = _counter("pedigree_requests", "Requests by model and outcome")
        engine, trusted = Engine(folder), TrustedKeys(Path(given["TRUSTED_KEYS"]))
        self._mounts = Mounts(engine, Path(given["MODELS"]), trusted, found, pb.Logger.log_info)
        self._mounts.poll()
        self._mounts.follow()

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._respond(request) for request in requests]

    def finalize(self) -> None:
        self._mounts.stop()

    def _respond(self, request: Any) -> Any:
        try:
            if set(request.requested_output_names()) == {"STATUS"}:
                said = json.dumps({"base": self._base, "models": self._mounts.status()})
                return pb.InferenceResponse([_strings("STATUS", [said])])
            return pb.InferenceResponse(self._answer(_model(request), _texts(request)))
        except (RequestRefused, ModelUnknown) as refused:
            self._count("", "refused")
            return _error(str(refused), pb.TritonError.INVALID_ARG)
        except Exception as fault:  # one request's fault must not end the server for all tenants
            self._count("", "failed")
            return _error(f"the request failed inside the region: {type(fault).__name__}: {fault}", None)

    def _answer(self, model: str, texts: list[str]) -> list[Any]:
        served, answers = self._mounts.classify(model, texts)
        self._count(model, "answered")
        return [
            _strings("LABEL", [answer.label for answer in answers]),
            pb.Tensor("SCORES", np.array([list(answer.scores.values()) for answer in answers], dtype=np.float32)),
            _strings("LABELS", list(answers[0].scores)),
            _strings("MODEL_VERSION", [served.release]),
            _strings("RELEASE_DIGEST", [served.digest]),
        ]


def _model(request: Any) -> str:
    given = _input(request, "MODEL")
    if len(given) != 1:
        raise RequestRefused(f"MODEL holds {len(given)} names; a request is for one model")
    return given[0]


def _texts(request: Any) -> list[str]:
    texts = _input(request, "TEXT")
    if not 1 <= len(texts) <= ROWS_LIMIT:
        raise RequestRefused(f"TEXT holds {len(texts)} rows; allowed are 1 to {ROWS_LIMIT}")
    for row, text in enumerate(texts):
        if not text.strip():
            raise RequestRefused(f"TEXT row {row} is empty")
        if len(text) > TEXT_LIMIT:
            raise RequestRefused(f"TEXT row {row} has {len(text)} characters; allowed are {TEXT_LIMIT}")
    return texts


def _input(request: Any, name: str) -> list[str]:
    tensor = pb.get_input_tensor_by_name(request, name)
    if tensor is None:
        raise RequestRefused(f"input {name} is missing")
    values = tensor.as_numpy()
    if values.ndim != 1:
        raise RequestRefused(f"{name} has {values.ndim} dimensions; it must be one list")
    try:
        return [value.decode() for value in values.tolist()]
    except UnicodeDecodeError as broken:
        raise RequestRefused(f"{name} is not UTF-8: {broken}") from broken


def _strings(name: str, values: list[str]) -> Any:
    return pb.Tensor(name, np.array([value.encode() for value in values], dtype=np.object_))


def _error(message: str, code: Any) -> Any:
    error = pb.TritonError(message) if code is None else pb.TritonError(message, code)
    return pb.InferenceResponse(output_tensors=[], error=error)


def _counter(name: str, description: str) -> Callable[[str, str], None]:
    family = pb.MetricFamily(name=name, description=description, kind=pb.MetricFamily.COUNTER)
    metrics: dict[tuple[str, str], Any] = {}

    def count(model: str, outcome: str) -> None:
        if (model, outcome) not in metrics:
            metrics[model, outcome] = family.Metric(labels={"model": model, "outcome": outcome})
        metrics[model, outcome].increment(1)

    return count
