"""Asking a region's Triton over HTTP. Every way it can fail is a named error."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPException
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import numpy as np

TIMEOUT = 10.0


class RequestFailed(RuntimeError):
    """A region gave no answer; the message is its reason."""


class RegionDown(RequestFailed):
    """Nobody answers at the region's address, or not in time."""


class ModelUnknown(RequestFailed):
    """The region answers, but no release of this model does."""


class RequestRefused(RequestFailed):
    """The region names a fault of the request."""


@dataclass(frozen=True)
class Reply:
    """labels: the likeliest label of each text. scores: float32 [texts, label_names]. model_version: tenant.task@N."""

    labels: list[str]
    scores: "np.ndarray[Any, Any]"
    label_names: list[str]
    model_version: str
    release_digest: str


def ask(
    address: str,
    model: str,
    texts: Sequence[str],
    timeout: float = TIMEOUT,
    digest: str | None = None,
    traceparent: str | None = None,
) -> Reply:
    """What model `tenant.task` says about `texts` in the region at `address` (http://host:port).

    With `digest` only the release of that digest answers. `traceparent` (W3C) makes the region's spans its children.
    Raises RegionDown, ModelUnknown, RequestRefused, RequestFailed.
    """
    outputs = ("LABEL", "SCORES", "LABELS", "MODEL_VERSION", "RELEASE_DIGEST")
    strict = {} if digest is None else {"DIGEST": [digest]}
    said = _infer(address, {"TEXT": texts, "MODEL": [model], **strict}, outputs, timeout, traceparent)
    return Reply(
        labels=_texts(said["LABEL"]),
        scores=said["SCORES"],
        label_names=_texts(said["LABELS"]),
        model_version=_texts(said["MODEL_VERSION"])[0],
        release_digest=_texts(said["RELEASE_DIGEST"])[0],
    )


def embed(address: str, texts: Sequence[str], timeout: float = TIMEOUT) -> "np.ndarray[Any, Any]":
    """The resident base's own vectors of `texts`, each of length 1: float32 [texts, hidden]. Raises as `ask`."""
    return _infer(address, {"TEXT": texts}, ("EMBEDDING",), timeout)["EMBEDDING"]


def status(address: str, timeout: float = TIMEOUT) -> dict[str, Any]:
    """{"base": digest, "models": {tenant.task: {release, digest, refused: {version, reason} | null}}}."""
    said = _infer(address, {}, ("STATUS",), timeout)
    return dict(json.loads(_texts(said["STATUS"])[0]))


def is_ready(address: str, timeout: float = 1.0) -> bool:
    """Whether the base is loaded and answers."""
    try:
        status(address, timeout)
    except RequestFailed:
        return False
    return True


def _infer(
    address: str,
    inputs: dict[str, Sequence[str]],
    outputs: Sequence[str],
    timeout: float,
    traceparent: str | None = None,
) -> dict[str, "np.ndarray[Any, Any]"]:
    from tritonclient.http import InferenceServerClient, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    tensors = [_input(name, values) for name, values in inputs.items()]
    client = InferenceServerClient(_host(address), connection_timeout=timeout, network_timeout=timeout)
    try:
        # A region's server bears the name of its resident base (server.command), so no caller has to know it.
        base = client.get_server_metadata()["name"]
        result = client.infer(
            base,
            tensors,
            outputs=[InferRequestedOutput(name, binary_data=True) for name in outputs],
            headers={"traceparent": traceparent} if traceparent else None,
        )
        return {name: result.as_numpy(name) for name in outputs}
    except InferenceServerException as error:
        raise named(str(error.message()), address) from error
    except (OSError, EOFError, HTTPException, KeyError, ValueError) as error:
        raise RegionDown(
            f"no Triton answers at {address} ({type(error).__name__}: {error}); is the region up?"
        ) from error
    finally:
        client.close()


def _input(name: str, values: Sequence[str]) -> Any:
    import numpy as np
    from tritonclient.http import InferInput

    tensor = InferInput(name, [len(values)], "BYTES")
    try:
        tensor.set_data_from_numpy(np.array([value.encode() for value in values], dtype=np.object_))
    except UnicodeEncodeError as broken:
        raise RequestRefused(f"{name} holds text that is not Unicode: {broken}") from broken
    return tensor


def named(message: str, address: str) -> RequestFailed:
    kinds = {
        "no release answers": ModelUnknown,
        "does not answer with release": ModelUnknown,
        "the request failed inside": RequestFailed,
        "not ready": RegionDown,
    }
    kind = next((kind for start, kind in kinds.items() if start in message), RequestRefused)
    return kind(f"{address}: {message}")


def _host(address: str) -> str:
    parts = urlsplit(address)
    if parts.scheme != "http" or not parts.netloc:
        raise RegionDown(f"{address!r} is no address of a region; the form is http://host:port")
    return parts.netloc


def _texts(values: "np.ndarray[Any, Any]") -> list[str]:
    return [value.decode() for value in values.tolist()]
