"""To tools that know Triton alone, a region is a plain Triton: its index, metadata and configuration know adapters."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks import releases
from benchmarks.region import Region
from governance.tenants import Release
from serving.triton import client, repository, server

MODEL = f"{releases.TENANT}.listed"
OUTPUTS = ["LABEL", "SCORES", "LABELS", "MODEL_VERSION", "RELEASE_DIGEST"]


@pytest.fixture(params=["http", "grpc"])
def plain(region: Region, request: pytest.FixtureRequest) -> Any:
    """The protocol's module of tritonclient, and a client of the region."""
    import tritonclient.grpc
    import tritonclient.http

    triton = getattr(tritonclient, request.param)
    port = getattr(region.ports, request.param)
    with triton.InferenceServerClient(f"127.0.0.1:{port}") as connected:
        yield triton, connected


def put(region: Region, signed: Path, release: Release) -> None:
    releases.install(region.root, release, signed)
    repository.switch(region.root, release)


def until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 15
    while not true():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def index(region: Region, connected: Any) -> dict[str, str]:
    """The version that is ready by model; of the two protocols one says it in JSON, one in protobuf."""
    said = connected.get_model_repository_index(headers=server.admin_header(region.root))
    if isinstance(said, list):
        return {each["name"]: each["version"] for each in said if each.get("state") == "READY"}
    return {each.name: each.version for each in said.models if each.state == "READY"}


def test_index_metadata_and_configuration_know_base_and_adapters(
    region: Region, plain: Any, make_release: Callable[..., Path]
) -> None:
    triton, connected = plain
    for number in (1, 2):
        release = Release.parse(f"{MODEL}@{number}")
        put(region, make_release(str(release), seed=number), release)
        until(lambda version=str(number): index(region, connected).get(MODEL) == version)
    assert index(region, connected)[releases.BASE] == "1"
    assert connected.is_model_ready(MODEL, "2") and not connected.is_model_ready(MODEL, "1")

    as_json = {} if triton.__name__.endswith("http") else {"as_json": True}
    for name, inputs, outputs in (
        (MODEL, ["TEXT", "MODEL"], OUTPUTS),
        (releases.BASE, ["TEXT", "MODEL", "DIGEST"], [*OUTPUTS, "EMBEDDING", "STATUS"]),
    ):
        about = connected.get_model_metadata(name, **as_json)
        assert [each["name"] for each in about["inputs"]] == inputs
        assert [each["name"] for each in about["outputs"]] == outputs
    configured = connected.get_model_config(MODEL, **as_json)
    configured = configured.get("config", configured)
    digest = client.ask(region.address, MODEL, ["x"]).release_digest
    assert configured["parameters"]["RELEASE_DIGEST"]["string_value"] == digest
    assert configured["ensemble_scheduling"]["step"][0]["model_name"] == releases.BASE


def test_an_adapter_answers_under_its_own_name_too(
    region: Region, plain: Any, make_release: Callable[..., Path]
) -> None:
    triton, connected = plain
    release = Release.parse(f"{MODEL}@1")
    put(region, make_release(str(release), seed=1), release)
    until(lambda: index(region, connected).get(MODEL) == "1")
    tensors = []
    for name, value in (("TEXT", "my card was declined"), ("MODEL", MODEL)):
        tensors.append(triton.InferInput(name, [1], "BYTES"))
        tensors[-1].set_data_from_numpy(np.array([value.encode()], dtype=np.object_))
    said = connected.infer(MODEL, tensors)
    asked = client.ask(region.address, MODEL, ["my card was declined"])
    assert said.as_numpy("SCORES").tobytes() == asked.scores.tobytes()
    assert said.as_numpy("RELEASE_DIGEST")[0].decode() == asked.release_digest


def test_a_withdrawn_model_is_no_longer_ready_and_the_base_is_not_loaded_again(
    region: Region, make_release: Callable[..., Path]
) -> None:
    import tritonclient.http

    backends = region.family("triton_python_backend_stub")
    release = Release.parse(f"{releases.TENANT}.leaving@1")
    put(region, make_release(str(release)), release)
    with tritonclient.http.InferenceServerClient(region.address.removeprefix("http://")) as connected:
        until(lambda: connected.is_model_ready(release.served_name))
        repository.withdraw(region.root, release.served_name)
        until(lambda: not connected.is_model_ready(release.served_name))
        assert connected.is_server_ready()
    assert region.family("triton_python_backend_stub") == backends
