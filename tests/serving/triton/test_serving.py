"""A region's real Triton: what it answers, what it refuses, and that it outlives both."""

import itertools
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from benchmarks import releases
from benchmarks.region import Region
from governance.custody.canonical import sha256_file
from governance.tenants import Release
from serving.engine import Engine
from serving.triton import client, install, repository, server
from serving.triton.keep import BACKEND

TEXTS = ["my card was declined", "please refund the transfer to the other account", "naïve 転送"]
INTENTS, NOTES = "northbank.support-intents", "stclare.triage-notes"


@pytest.fixture
def put(region: Region, make_release: Callable[..., Path]) -> Callable[..., Path]:
    """Stage, install, switch; waits until the region answers with it, unless told not to."""

    def put(name: str, wait: bool = True, **options: Any) -> Path:
        release, signed = Release.parse(name), make_release(name, **options)
        folder = releases.install(region.root, release, signed)
        repository.switch(region.root, release)
        if wait:
            until(lambda: client.ask(region.address, release.served_name, ["x"]).model_version == name)
        return folder

    return put


def until(true: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            if true():
                return
        except client.ModelUnknown:
            pass
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.05)


def test_a_reply_names_label_scores_release_and_digest(region: Region, put: Callable[..., Path], base: Path) -> None:
    folder = put(f"{INTENTS}@1", seed=1)
    put(f"{NOTES}@1", seed=2)
    reply = client.ask(region.address, INTENTS, TEXTS)
    assert (reply.model_version, reply.release_digest) == (f"{INTENTS}@1", sha256_file(folder / "release.json"))
    assert reply.label_names == ["card", "loan", "other"]
    local = Engine(base)
    local.mount("same", folder)
    answers = local.classify(TEXTS, ["same"] * 3)
    assert reply.labels == [answer.label for answer in answers]
    np.testing.assert_allclose(reply.scores, [list(answer.scores.values()) for answer in answers], atol=1e-6)
    assert client.ask(region.address, NOTES, TEXTS).model_version == f"{NOTES}@1"


def test_a_switch_costs_no_request_and_a_rollback_gives_the_same_bits(region: Region, put: Callable[..., Path]) -> None:
    put(f"{INTENTS}@1", seed=1)
    before = client.ask(region.address, INTENTS, TEXTS)
    done, faults, versions = threading.Event(), [], set()

    def ask() -> None:
        while not done.is_set():
            try:
                versions.add(client.ask(region.address, INTENTS, TEXTS[:1]).model_version)
            except Exception as fault:
                faults.append(fault)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    put(f"{INTENTS}@2", seed=3)
    between = client.ask(region.address, INTENTS, TEXTS)
    put(f"{INTENTS}@1")
    done.set()
    for thread in threads:
        thread.join()
    after = client.ask(region.address, INTENTS, TEXTS)
    assert not faults
    assert versions == {f"{INTENTS}@1", f"{INTENTS}@2"}
    assert not np.array_equal(between.scores, before.scores)
    assert after.scores.tobytes() == before.scores.tobytes()
    assert after.release_digest == before.release_digest


def test_a_request_may_name_the_release_that_must_answer(region: Region, put: Callable[..., Path]) -> None:
    old, new = (
        sha256_file(put(f"{INTENTS}@{number}", seed=seed) / "release.json") for number, seed in ((1, 1), (2, 3))
    )
    assert client.ask(region.address, INTENTS, TEXTS, digest=new).model_version == f"{INTENTS}@2"
    assert client.ask(region.address, INTENTS, TEXTS, digest=old).model_version == f"{INTENTS}@1"
    with pytest.raises(client.ModelUnknown, match=f"does not answer with release digest ffff.*answers with {new}"):
        client.ask(region.address, INTENTS, TEXTS, digest="f" * 64)


def test_the_base_gives_its_own_vectors(region: Region, base: Path) -> None:
    vectors = client.embed(region.address, TEXTS)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors, Engine(base).embed(TEXTS).numpy(), atol=1e-5)


def test_metrics_tell_requests_batches_and_what_is_resident(region: Region, put: Callable[..., Path]) -> None:
    import httpx

    put(f"{INTENTS}@1", seed=1)
    client.ask(region.address, INTENTS, TEXTS)
    told = httpx.get(f"http://127.0.0.1:{region.ports.metrics}/metrics").text
    for line in (
        f'pedigree_requests{{model="{INTENTS}",outcome="answered"}}',
        f'pedigree_request_seconds_count{{model="{INTENTS}"}}',
        "pedigree_batch_rows_count",
        "pedigree_batch_models_count",
        'pedigree_mounts{outcome="mounted"}',
        "pedigree_resident_models",
        "pedigree_resident_bytes",
    ):
        assert line in told, told


def test_a_refused_version_leaves_the_old_one_answering_and_is_told(
    region: Region, put: Callable[..., Path], make_release: Callable[..., Path]
) -> None:
    put(f"{INTENTS}@2", seed=3)

    def refused() -> str:
        told = client.status(region.address)["models"][INTENTS]["refused"]
        return str(told["reason"]) if told else ""

    damaged = make_release(f"{INTENTS}@3", seed=4) / "adapter_model.safetensors"
    body = bytearray(damaged.read_bytes())
    body[-1] ^= 1
    damaged.write_bytes(body)
    put(f"{INTENTS}@3", wait=False)
    until(lambda: "adapter_model.safetensors was altered" in refused())
    assert client.ask(region.address, INTENTS, TEXTS).model_version == f"{INTENTS}@2"

    put(f"{INTENTS}@4", wait=False, base_sha256="f" * 64)
    until(lambda: "trained on base" in refused())

    foreign = make_release(f"{NOTES}@5", seed=5)
    shutil.copytree(foreign, region.root / "models" / INTENTS / "5")
    repository.switch(region.root, Release.parse(f"{INTENTS}@5"))
    until(lambda: "not of northbank/support-intents" in refused())

    (region.root / "models" / INTENTS / "config.pbtxt").write_text("garbage")
    until(lambda: "names no version" in refused())
    assert client.ask(region.address, INTENTS, TEXTS).model_version == f"{INTENTS}@2"
    put(f"{INTENTS}@2")
    until(lambda: not refused())


def test_a_withdrawn_model_is_unknown(region: Region, put: Callable[..., Path]) -> None:
    put("northbank.short-lived@1")
    repository.withdraw(region.root, "northbank.short-lived")
    until(lambda: "northbank.short-lived" not in client.status(region.address)["models"])
    with pytest.raises(client.ModelUnknown, match=r"no release answers for model 'northbank\.short-lived'"):
        client.ask(region.address, "northbank.short-lived", TEXTS)


@pytest.mark.parametrize(
    ("model", "texts", "error", "message"),
    [
        ("acme.nothing", ["x"], client.ModelUnknown, "no release answers for model 'acme.nothing'"),
        ("../../etc/passwd", ["x"], client.ModelUnknown, "etc/passwd"),
        ("/", ["x"], client.ModelUnknown, "no release answers"),
        ("", ["x"], client.ModelUnknown, "no release answers"),
        (INTENTS, [], client.RequestRefused, "TEXT holds 0 rows"),
        (INTENTS, ["\ud800"], client.RequestRefused, "TEXT holds text that is not Unicode"),
        (INTENTS, ["x", "  "], client.RequestRefused, "TEXT row 1 is empty"),
        (INTENTS, [""], client.RequestRefused, "TEXT row 0 is empty"),
        (INTENTS, ["x"] * 1025, client.RequestRefused, "TEXT holds 1025 rows; allowed are 1 to 1024"),
        (INTENTS, ["x"] * 10_000, client.RequestRefused, "TEXT holds 10000 rows"),
        (INTENTS, ["x" * 1_000_000], client.RequestRefused, "TEXT row 0 has 1000000 characters"),
    ],
)
def test_a_bad_request_is_told_its_fault(
    region: Region, put: Callable[..., Path], model: str, texts: list[str], error: type[Exception], message: str
) -> None:
    put(f"{INTENTS}@2", seed=3)
    with pytest.raises(error, match=message):
        client.ask(region.address, model, texts)
    assert client.ask(region.address, INTENTS, TEXTS).labels


def test_wrong_shapes_types_and_bytes_are_refused_and_the_server_stays_up(
    region: Region, put: Callable[..., Path]
) -> None:
    from tritonclient.http import InferenceServerClient, InferInput
    from tritonclient.utils import InferenceServerException

    put(f"{INTENTS}@2", seed=3)

    def send(**inputs: tuple[list[int], str, Any]) -> None:
        tensors = []
        for name, (shape, kind, values) in inputs.items():
            tensors.append(InferInput(name, shape, kind))
            tensors[-1].set_data_from_numpy(values)
        with InferenceServerClient(region.address.removeprefix("http://")) as http:
            http.infer("minilm", tensors)

    def strings(*values: bytes) -> Any:
        return np.array(values, dtype=np.object_)

    model = ([1], "BYTES", strings(INTENTS.encode()))
    cases = {
        "TEXT is missing": {"MODEL": model},
        "MODEL is missing": {"TEXT": ([1], "BYTES", strings(b"x"))},
        "not UTF-8": {"MODEL": model, "TEXT": ([1], "BYTES", strings(b"\xff\xfe"))},
        "shape|dimension": {"MODEL": model, "TEXT": ([1, 1], "BYTES", strings(b"x").reshape(1, 1))},
        "MODEL|shape": {"MODEL": ([2], "BYTES", strings(b"a", b"b")), "TEXT": ([1], "BYTES", strings(b"x"))},
        "data-?type|INT32": {"MODEL": model, "TEXT": ([1], "INT32", np.ones(1, np.int32))},
    }
    for message, inputs in cases.items():
        with pytest.raises(InferenceServerException, match=message):
            send(**inputs)
    assert client.ask(region.address, INTENTS, TEXTS).labels


def test_nobody_can_load_a_model_or_read_other_folders(region: Region) -> None:
    import httpx

    assert httpx.post(f"{region.address}/v2/repository/models/minilm/unload", json={}).status_code == 403
    assert httpx.post(f"{region.address}/v2/repository/index", json={}).status_code == 403
    assert httpx.post(f"{region.address}/v2/repository/index", json={}, headers={"pedigree-admin": "x"}).is_error
    assert httpx.get(f"{region.address}/v2/systemsharedmemory/status").status_code == 403
    assert "pedigree_requests" in httpx.get(f"http://127.0.0.1:{region.ports.metrics}/metrics").text


def test_a_region_that_is_not_there_is_named() -> None:
    with pytest.raises(client.RegionDown, match=r"no Triton answers at http://127\.0\.0\.1:9"):
        client.ask("http://127.0.0.1:9", INTENTS, TEXTS)
    with pytest.raises(client.RegionDown, match="the form is http"):
        client.status("")


def test_installing_again_is_a_moment(region: Region) -> None:
    started = time.monotonic()
    assert install.install(install.location()) is False
    assert time.monotonic() - started < 1


def test_preflight_names_a_missing_install(tmp_path: Path) -> None:
    with pytest.raises(server.TritonUnusable, match=r"run `python -m serving\.triton\.install`"):
        server.preflight(tmp_path)


def test_preflight_names_a_numpy_that_kills_the_stub(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to(sys.executable)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", tmp_path], check=True)
    site = install.site_packages(tmp_path)
    (site / "main.pth").write_text((install.site_packages(install.location()) / "pedigree.pth").read_text())
    (site / "pytriton").symlink_to(install.server_folder(install.location()).parent)
    with pytest.raises(server.TritonUnusable, match=r"has numpy 2\..*needs numpy 1"):
        server.preflight(tmp_path)


def test_after_kill_nine_a_new_server_answers_and_a_clean_stop_leaves_no_shared_memory(
    region: Region, put: Callable[..., Path]
) -> None:
    put(f"{INTENTS}@2", seed=3)
    before = client.ask(region.address, INTENTS, TEXTS)
    backends = region.family(BACKEND)
    region.end(signal.SIGKILL)
    assert not psutil.wait_procs(backends, timeout=10)[1], "a backend outlived its server"
    for file in region.shared_memory():
        file.unlink()
    region.start()
    after = client.ask(region.address, INTENTS, TEXTS)
    assert (after.scores.tobytes(), after.release_digest) == (before.scores.tobytes(), before.release_digest)
    assert region.end() == 0
    assert region.shared_memory() == []
    region.start()  # for the tests of other files


def test_a_backend_that_has_much_to_log_ends_with_its_server(region: Region, put: Callable[..., Path]) -> None:
    versions = [Release.parse(f"{NOTES}@{number}") for number in (2, 3)]
    for number, version in enumerate(versions):
        put(str(version), seed=10 + number)
    backends, stop = region.family(BACKEND), threading.Event()

    def switch() -> None:
        for version in itertools.cycle(versions):
            if stop.is_set():
                return
            repository.switch(region.root, version)

    thread = threading.Thread(target=switch)
    thread.start()
    try:
        region.end()
    finally:
        stop.set()
        thread.join()
    assert not psutil.wait_procs(backends, timeout=10)[1], "a backend outlived its server"
    for file in region.shared_memory():
        file.unlink()
    region.start()  # for the tests of other files
