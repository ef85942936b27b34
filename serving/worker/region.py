"""The region's Triton over gRPC, asynchronously: what a release says about texts, the base's vectors, what is live."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from serving.triton.client import RegionDown, named

if TYPE_CHECKING:
    import numpy as np

LONGEST = 60.0
# A region that starts again is found at once: gRPC itself waits longer after each failure, up to two minutes.
CHANNEL = [
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 500),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
]


@dataclass(frozen=True)
class Said:
    """rows: for each text a JSON-able {"label", "scores"}, or a vector."""

    release: str
    digest: str
    rows: list[Any]


class Region:
    """One channel, many calls at once. Raises what serving.triton.client does: RegionDown, ModelUnknown, …"""

    def __init__(self, address: str) -> None:
        self._address = address
        self._client: Any = None
        self._base = ""

    async def classify(self, model: str, texts: Sequence[str], digest: str, timeout: float, trace: str = "") -> Said:
        inputs = {"TEXT": texts, "MODEL": [model]} | ({"DIGEST": [digest]} if digest else {})
        outputs = ("LABEL", "SCORES", "LABELS", "MODEL_VERSION", "RELEASE_DIGEST")
        said = await self._infer(inputs, outputs, timeout, trace)
        names = _texts(said["LABELS"])
        rows = [
            {"label": label, "scores": dict(zip(names, scores, strict=True))}
            for label, scores in zip(_texts(said["LABEL"]), said["SCORES"].tolist(), strict=True)
        ]
        return Said(_texts(said["MODEL_VERSION"])[0], _texts(said["RELEASE_DIGEST"])[0], rows)

    async def embed(self, texts: Sequence[str], timeout: float, trace: str = "") -> list[list[float]]:
        vectors = (await self._infer({"TEXT": texts}, ("EMBEDDING",), timeout, trace))["EMBEDDING"]
        return [list(vector) for vector in vectors.tolist()]

    async def status(self, timeout: float = 2.0) -> dict[str, Any]:
        """As serving.triton.client.status."""
        said = await self._infer({}, ("STATUS",), timeout)
        return dict(json.loads(_texts(said["STATUS"])[0]))

    async def close(self) -> None:
        client, self._client = self._client, None
        if client:
            await client.close()

    async def _infer(
        self, inputs: dict[str, Sequence[str]], outputs: Sequence[str], timeout: float, trace: str = ""
    ) -> "dict[str, np.ndarray[Any, Any]]":
        from tritonclient.grpc.aio import InferenceServerClient, InferRequestedOutput
        from tritonclient.utils import InferenceServerException

        if self._client is None:
            self._client = InferenceServerClient(self._address, channel_args=CHANNEL)
        wanted = [InferRequestedOutput(name) for name in outputs]
        tensors = [_tensor(name, values) for name, values in inputs.items()]
        timeout = max(0.001, min(timeout, LONGEST))
        try:
            async with asyncio.timeout(timeout):
                if not self._base:  # the server bears the name of its resident base
                    self._base = (await self._client.get_server_metadata()).name
                headers = {"traceparent": trace} if trace else None
                said = await self._client.infer(
                    self._base, tensors, outputs=wanted, client_timeout=timeout, headers=headers
                )
        except InferenceServerException as error:
            if (error.status() or "").endswith(("UNAVAILABLE", "DEADLINE_EXCEEDED", "CANCELLED")):
                raise RegionDown(f"the region at {self._address} does not answer: {error.message()}") from error
            raise named(str(error.message()), self._address) from error
        except TimeoutError as error:
            raise RegionDown(f"the region at {self._address} did not answer within {timeout:.1f} s") from error
        return {name: said.as_numpy(name) for name in outputs}


def _tensor(name: str, values: Sequence[str]) -> Any:
    import numpy as np
    from tritonclient.grpc import InferInput

    tensor = InferInput(name, [len(values)], "BYTES")
    tensor.set_data_from_numpy(np.array([value.encode() for value in values], dtype=np.object_))
    return tensor


def _texts(values: "np.ndarray[Any, Any]") -> list[str]:
    return [value.decode() for value in values.tolist()]
