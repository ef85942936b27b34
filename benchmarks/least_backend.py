"""The least that a Python backend of Triton's can do with the engine: each request alone, nothing verified or counted.

What a request costs here beyond the engine is Triton's and its client's; what it costs beyond this is Pedigree's.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import triton_python_backend_utils as pb

from serving.engine import Answer, Engine


class TritonPythonModel:
    def initialize(self, args: dict[str, str]) -> None:
        given = {key: value["string_value"] for key, value in json.loads(args["model_config"])["parameters"].items()}
        torch.set_num_threads(1)
        self._engine, self._models = Engine(Path(given["BASE_FOLDER"]), given["DTYPE"]), Path(given["MODELS"])

    def execute(self, requests: list[Any]) -> list[Any]:
        return [self._reply(request) for request in requests]

    def _reply(self, request: Any) -> Any:
        if set(request.requested_output_names()) == {"STATUS"}:
            return pb.InferenceResponse([_strings("STATUS", '{"base": "", "models": {}}')])
        text, model = (pb.get_input_tensor_by_name(request, name).as_numpy()[0].decode() for name in ("TEXT", "MODEL"))
        if model not in self._engine.mounted():
            self._engine.mount(model, self._models / model / "1")
        return pb.InferenceResponse(_outputs(*self._engine.classify([text], [model])))


def _outputs(answer: Answer) -> list[Any]:
    return [
        _strings("LABEL", answer.label),
        pb.Tensor("SCORES", np.array([list(answer.scores.values())], dtype=np.float32)),
        _strings("MODEL_VERSION", "none"),
        _strings("RELEASE_DIGEST", "none"),
    ]


def _strings(output: str, value: str) -> Any:
    return pb.Tensor(output, np.array([value.encode()], dtype=np.object_))
