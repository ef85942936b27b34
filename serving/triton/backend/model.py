"""The resident base as a Triton model: tensors in, tensors out. models/<base>/1/model.py is one import of this.

A request gives TEXT [n] and MODEL [1] (`tenant.task`), and DIGEST [1] where only that release may answer. One that
asks for EMBEDDING alone gets the base's own vectors of TEXT; one that asks for STATUS alone gets JSON:
{"base": digest, "models": Mounts.status()}. Requests are taken in at once and answered by the threads that compute,
so the ones that wait share batches, whatever models they ask.
"""

import faulthandler
import gc
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb

from governance.custody.keys import TrustedKeys
from serving.engine import Answer, Batch, Engine, Limits, base_digest
from serving.triton.backend.catalogue import Catalogue
from serving.triton.backend.metrics import Metrics
from serving.triton.backend.mounts import ModelUnknown, Mounts
from serving.triton.backend.served import Served
from serving.triton.backend.spans import Spans
from serving.triton.server import admin_header

ROWS_LIMIT = 1024
TEXT_LIMIT = 100_000  # characters
STUCK_SECONDS = 60  # in which no thread of the backend came to run
SWITCH_SECONDS = 0.0005  # what a thread that computes waits at most for one that verifies or reads a request


class RequestRefused(ValueError):
    """A request cannot be answered as it is; the message names the fault."""


class _Asked:
    """What a request asks of a model, read once: Triton takes its tensors back. Raises RequestRefused."""

    def __init__(self, request: Any, wanted: set[str], context: str | None) -> None:
        self.began, self.wanted, self.context = time.perf_counter(), wanted, context
        self.model, self.digest = _name(request, "MODEL"), _name(request, "DIGEST", "") or None
        self.texts = _texts(request)


class Told:
    """Prometheus hears of batches and mounts, Triton's own list of what answers."""

    def __init__(self, metrics: Metrics, catalogue: Catalogue) -> None:
        self.batch, self.mount, self.mirrored = metrics.batch, metrics.mount, metrics.mirrored
        self.answers = catalogue.note


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        given = {key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()}
        folder = Path(given["BASE_FOLDER"])
        if (found := base_digest(folder)) != given["BASE_SHA256"]:
            raise pb.TritonModelException(
                f"the base in {folder} has digest {found}, configured is {given['BASE_SHA256']}; "
                "restore its files, or prepare the region again"
            )
        threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
        torch.set_num_threads(1)
        sys.setswitchinterval(SWITCH_SECONDS)
        engine = Engine(folder, given["DTYPE"], Limits(models=int(os.environ.get("PEDIGREE_TRITON_MODELS", "1024"))))
        self._base, self._metrics, self._spans = found, Metrics(engine), Spans()
        header = admin_header(Path(os.environ["PEDIGREE_TRITON_REGION"]))
        catalogue = Catalogue(os.environ["PEDIGREE_TRITON_ADDRESS"], header, _log)
        self._mounts = Mounts(
            engine,
            Path(given["MODELS"]),
            TrustedKeys(Path(given["TRUSTED_KEYS"])),
            found,
            int(os.environ.get("PEDIGREE_TRITON_THREADS", "1")),
            _log,
            Told(self._metrics, catalogue),
        )
        self._mounts.look()
        gc.collect()
        gc.freeze()  # torch's half a million objects stay: looking through them for garbage held up all for 0.2 s
        self._mounts.follow()

    def execute(self, requests: list[Any]) -> None:
        for request in requests:
            reply = partial(_send, request.get_response_sender())
            self._or_refuse(reply, partial(self._take, request, reply))

    def finalize(self) -> None:
        self._mounts.stop()
        self._spans.close()

    def _take(self, request: Any, reply: Any) -> None:
        wanted = set(request.requested_output_names())
        if wanted == {"STATUS"}:
            said = json.dumps({"base": self._base, "models": self._mounts.status()})
            reply(pb.InferenceResponse([pb.Tensor("STATUS", _strings([said]))]))
        elif wanted == {"EMBEDDING"}:
            vectors = self._mounts.embed(_texts(request))
            vectors.add_done_callback(lambda done: reply(self._when_done(done, _embedding)))
        else:
            self._ask(_Asked(request, wanted, self._spans.context(request)), reply)

    def _ask(self, asked: "_Asked", reply: Callable[[Any], None]) -> None:
        """Ask the model, or wait for its first release where that is being mounted just now."""
        answer = partial(self._answer, asked, reply)
        try:
            answer()
        except ModelUnknown:
            if not self._mounts.once_settled(asked.model, asked.texts, partial(self._or_refuse, reply, answer)):
                answer()  # it was settled in between, or there is nothing to wait for

    def _answer(self, asked: "_Asked", reply: Callable[[Any], None]) -> None:
        batches = list[Batch]()
        served, answers = self._mounts.ask(asked.model, asked.texts, asked.digest, batches.append)

        def finish(done: "Future[list[Answer]]") -> None:
            reply(self._when_done(done, partial(_answers, served, asked.wanted)))
            if not done.exception():  # told after the reply: nobody waits for a count
                self._metrics.answered(asked.model, time.perf_counter() - asked.began)
                self._spans.computed(asked.context, asked.model, served, batches)

        answers.add_done_callback(finish)
        self._mounts.note(asked.model, served, asked.texts, answers)

    def _or_refuse(self, reply: Callable[[Any], None], take: Callable[[], None]) -> None:
        try:
            take()
        except Exception as fault:  # one request's fault must not end the server for all tenants
            reply(self._refusal(fault))

    def _when_done(self, done: "Future[Any]", outputs: Any) -> Any:
        try:
            return pb.InferenceResponse(outputs(done.result()))
        except Exception as fault:
            return self._refusal(fault)

    def _refusal(self, fault: Exception) -> Any:
        known = isinstance(fault, RequestRefused | ModelUnknown)
        self._metrics.failed("refused" if known else "failed")
        if known:
            error = pb.TritonError(str(fault), pb.TritonError.INVALID_ARG)
        else:
            error = pb.TritonError(f"the request failed inside the region: {type(fault).__name__}: {fault}")
        return pb.InferenceResponse(output_tensors=[], error=error)


def _end_with(server: int) -> None:
    """A backend whose server was killed waits for it in the middle of a metric or a reply, for ever.

    Where it does so with the interpreter's lock held this thread never wakes, and faulthandler's own one ends it.
    """
    while os.getppid() == server:
        faulthandler.dump_traceback_later(STUCK_SECONDS, exit=True)
        time.sleep(0.5)
    os._exit(1)


def _log(sentence: str) -> None:
    """Into the server's log. Triton's own logger waits, with the interpreter's lock, even for a server that is gone."""
    print(sentence, file=sys.stderr, flush=True)


def _send(sender: Any, response: Any) -> None:
    sender.send(response, flags=pb.TRITONSERVER_RESPONSE_COMPLETE_FINAL)


def _answers(served: Served, wanted: set[str], answers: Sequence[Answer]) -> list[Any]:
    made: dict[str, Callable[[], Any]] = {
        "LABEL": lambda: _strings([answer.label for answer in answers]),
        "SCORES": lambda: np.array([list(answer.scores.values()) for answer in answers], dtype=np.float32),
        "LABELS": lambda: _strings(list(answers[0].scores)),
        "MODEL_VERSION": lambda: _strings([served.release]),
        "RELEASE_DIGEST": lambda: _strings([served.digest]),
    }
    return [pb.Tensor(name, make()) for name, make in made.items() if name in wanted]


def _embedding(vectors: torch.Tensor) -> list[Any]:
    return [pb.Tensor("EMBEDDING", vectors.numpy())]


def _name(request: Any, name: str, otherwise: str | None = None) -> str:
    given = _input(request, name, otherwise)
    if len(given) != 1:
        raise RequestRefused(f"{name} holds {len(given)} names; a request is for one model")
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


def _input(request: Any, name: str, otherwise: str | None = None) -> list[str]:
    tensor = pb.get_input_tensor_by_name(request, name)
    if tensor is None:
        if otherwise is not None:
            return [otherwise]
        raise RequestRefused(f"input {name} is missing")
    values = tensor.as_numpy()
    if values.ndim != 1:
        raise RequestRefused(f"{name} has {values.ndim} dimensions; it must be one list")
    try:
        return [value.decode() for value in values.tolist()]
    except UnicodeDecodeError as broken:
        raise RequestRefused(f"{name} is not UTF-8: {broken}") from broken


def _strings(values: list[str]) -> Any:
    return np.array([value.encode() for value in values], dtype=np.object_)
