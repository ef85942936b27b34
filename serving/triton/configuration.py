"""What Triton reads about the models of a region: config.pbtxt of the resident base, and of every adapter on it.

An adapter's file is also the live pointer: it names the one version that answers. To Triton an adapter is an ensemble
of one step, the base: it costs no process and no memory worth naming, and the repository's index, metadata and
configuration know every adapter under its own name.
"""

import json
import re
from pathlib import Path
from typing import NamedTuple

POINTER = "config.pbtxt"
SHADOW = "shadow.json"

ANSWER = """\
  { name: "LABEL" data_type: TYPE_STRING dims: [-1] },
  { name: "SCORES" data_type: TYPE_FP32 dims: [-1, -1] },
  { name: "LABELS" data_type: TYPE_STRING dims: [-1] },
  { name: "MODEL_VERSION" data_type: TYPE_STRING dims: [1] },
  { name: "RELEASE_DIGEST" data_type: TYPE_STRING dims: [1] }"""


class RepositoryError(RuntimeError):
    """A region's repository is not in the state that this step needs; the message names folder and remedy."""


class Shadow(NamedTuple):
    """What SHADOW beside a pointer names: a version that is tried with this share of the model's requests."""

    version: int
    digest: str
    share: float


def base_configuration(name: str, parameters: dict[str, str]) -> str:
    given = "".join(
        f"parameters {{ key: {json.dumps(key)} value: {{ string_value: {json.dumps(value)} }} }}\n"
        for key, value in parameters.items()
    )
    # max_batch_size 0: the backend takes every request at once and batches by itself, across models.
    return f"""\
name: {json.dumps(name)}
backend: "python"
max_batch_size: 0
input [
  {{ name: "TEXT" data_type: TYPE_STRING dims: [-1] optional: true }},
  {{ name: "MODEL" data_type: TYPE_STRING dims: [1] optional: true }},
  {{ name: "DIGEST" data_type: TYPE_STRING dims: [1] optional: true }}
]
output [
{ANSWER},
  {{ name: "EMBEDDING" data_type: TYPE_FP32 dims: [-1, -1] }},
  {{ name: "STATUS" data_type: TYPE_STRING dims: [1] }}
]
instance_group [ {{ kind: KIND_CPU count: 1 }} ]
{given}"""


def pointer(name: str, version: int, digest: str, base: str) -> str:
    """The pointer of model `name` (tenant.task): `version`, of that release digest, answers on `base`."""
    inputs = "".join(f'    input_map {{ key: "{each}" value: "{each}" }}\n' for each in ("TEXT", "MODEL"))
    outputs = "".join(
        f'    output_map {{ key: "{each}" value: "{each}" }}\n' for each in re.findall(r'name: "(\w+)"', ANSWER)
    )
    return f"""\
name: "{name}"
version_policy {{ specific {{ versions: [{version}] }} }}
parameters {{ key: "RELEASE_DIGEST" value: {{ string_value: "{digest}" }} }}
platform: "ensemble"
input [
  {{ name: "TEXT" data_type: TYPE_STRING dims: [-1] }},
  {{ name: "MODEL" data_type: TYPE_STRING dims: [1] }}
]
output [
{ANSWER}
]
ensemble_scheduling {{
  step {{
    model_name: "{base}"
    model_version: -1
{inputs}{outputs}  }}
}}
"""


def read_pointer(path: Path) -> tuple[int, str] | None:
    """Version and release digest that the pointer at `path` names; None if there is none. Raises RepositoryError.

    Triton is made to load this file, so every byte of it must be what `pointer` writes.
    """
    try:
        text = path.read_text()
    except FileNotFoundError:
        return None
    except UnicodeDecodeError:
        text = ""
    version = re.search(r"specific { versions: \[([1-9][0-9]*)\] }", text)
    digest = re.search(r'"RELEASE_DIGEST" value: { string_value: "([0-9a-f]{64})"', text)
    base = re.search(r'model_name: "([^"\\]+)"', text)
    if not (version and digest and base) or text != pointer(path.parent.name, int(version[1]), digest[1], base[1]):
        raise RepositoryError(f"{path} names no version and release digest as a switch does; switch the model again")
    return int(version[1]), digest[1]


def read_shadow(path: Path) -> Shadow | None:
    """What the file at `path` names; None if there is none. Raises RepositoryError."""
    try:
        return Shadow(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as broken:
        raise RepositoryError(f"{path} names no version, release digest and share: {broken}") from broken
