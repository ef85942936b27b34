"""Where a base's weights lie, and the digest that pins them."""

import importlib.util
from pathlib import Path

from governance.custody.canonical import sha256_document, sha256_file
from governance.tenants import Base

# What decides how a base computes: its shape, its weights, its tokenizer. A README may change without a new digest.
DEFINING = (
    "config.json",
    "model*.safetensors",
    "model.safetensors.index.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "tokenizer.model",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)


class BaseUnusable(RuntimeError):
    """A declared base is not there or is not what it should be; the message says where it was looked for."""


def base_folder(base: Base) -> Path:
    """The local folder of `base`'s config, tokenizer and safetensors.

    A package is searched for the folder that holds them; a path is taken as a folder, else as a hub id that the
    Hugging Face cache must already hold or the hub gives. Raises BaseUnusable.
    """
    folder = _in_package(base.package) if base.package else _at_path(str(base.path))
    if not (folder / "config.json").is_file() or not list(folder.glob("model*.safetensors")):
        raise BaseUnusable(f"{folder} is no base: it needs config.json and model.safetensors; correct `bases`")
    return folder


def base_digest(folder: Path) -> str:
    """sha256 of the canonical list of {name, size, sha256} of the files that define the base in `folder`."""
    files = sorted({path for pattern in DEFINING for path in folder.glob(pattern)})
    if not files:
        raise BaseUnusable(f"{folder} holds no file of a base; correct `bases` in pedigree.yaml")
    return sha256_document([{"name": f.name, "size": f.stat().st_size, "sha256": sha256_file(f)} for f in files])


def _in_package(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise BaseUnusable(f"package {package!r} of a base is not installed; run `make install`")
    root = Path(next(iter(spec.submodule_search_locations)))
    found = sorted({weights.parent for weights in root.rglob("model*.safetensors")})
    if len(found) != 1:
        raise BaseUnusable(f"package {package!r} holds {len(found)} folders with model.safetensors under {root}, not 1")
    return found[0]


def _at_path(path: str) -> Path:
    folder = Path(path).expanduser()
    if folder.is_dir():
        return folder.resolve()
    if folder.is_absolute() or path.startswith((".", "~")) or path.count("/") > 1:
        raise BaseUnusable(f"the folder {path} of a base does not exist; correct `bases` in pedigree.yaml")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, allow_patterns=list(DEFINING)))
    except Exception as cause:  # the hub client has a dozen errors; for a base they all mean: not here
        raise BaseUnusable(f"hub id {path!r} of a base is neither cached nor reachable: {cause}") from cause
