"""Building a detector from nothing: examples, a network, its operating point, and how it does on what it never saw."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from assets.detection.examples.generate import generate, manual, varied
from assets.detection.train import Lesson, Log, lessons, train
from governance.custody.canonical import canonical_json, sha256_file
from governance.privacy.detector import load_detector
from governance.privacy.examples import Example, read_examples
from governance.privacy.labels import class_of, entity_of
from governance.privacy.released import NETWORK, SETTINGS
from governance.privacy.scoring import Score, f2, score
from serving.engine.base import base_digest

REPEATED = 4  # times that an added example is read, each time with other names
THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
PRECISION = 0.985  # that the operating point must have on the kinds that choose it: others are harder


@dataclass(frozen=True)
class Plan:
    """How many documents are made to learn from and to be judged by, and the seed of all chance."""

    seed: int = 20
    documents: int = 120_000
    epochs: int = 1
    judged: int = 1500


@dataclass(frozen=True)
class Point:
    """An operating point on the kinds that choose it."""

    threshold: float
    recall: float
    precision: float


@dataclass(frozen=True)
class Built:
    """The detector's operating point, the others that were tried, and its score on the held kinds of documents."""

    chosen: Point
    tried: list[Point]
    held: Score
    examples: list[Example]


def build(out: Path, base: Path, plan: Plan, added: Sequence[Path], log: Log) -> Built:
    """Write the detector's files to `out`. `added`: files of labelled examples beside the generated ones.

    Twice the same on one machine: the same files. Raises ExamplesInvalid.
    """
    origin = {
        "base": base_digest(base),
        "plan": asdict(plan),
        "added": [{"name": path.name, "sha256": sha256_file(path)} for path in added],
    }
    vocabulary: dict[str, int] = {}
    taught = lessons(generate(plan.documents, plan.seed), vocabulary)
    taught += lessons(manual(plan.documents // 20, plan.seed), vocabulary)
    for path in added:
        taught += _added(read_examples(path), vocabulary, plan.seed)
    network = train(taught, vocabulary, base, plan.seed, plan.epochs, log)
    save_file(network.state_dict(), out / NETWORK)
    developed = list(generate(plan.judged, plan.seed, "develop"))
    tried = []
    for threshold in THRESHOLDS:
        _settle(out, threshold, origin)
        judged = _judge(out, base, developed)
        tried.append(Point(threshold, judged.recall().value, judged.precision().value))
    chosen = choose(tried)
    _settle(out, chosen.threshold, origin)
    log(f"operating point {chosen.threshold}: recall {chosen.recall:.3f}, precision {chosen.precision:.3f}")
    examples = list(generate(plan.judged, plan.seed, "held"))
    return Built(chosen, tried, _judge(out, base, examples), examples)


def choose(tried: Iterable[Point]) -> Point:
    """The point with most recall among those precise enough; where none is, the one with the best F2."""
    precise = [point for point in tried if point.precision >= PRECISION]
    return max(precise or tried, key=lambda p: (p.recall if precise else f2(p.precision, p.recall), p.precision))


def _added(examples: Sequence[Example], vocabulary: dict[str, int], seed: int) -> list[Lesson]:
    marks = frozenset(class_of(entity) for e in examples for s in e.spans if (entity := entity_of(s.label)))
    variants = [examples, *(list(varied(examples, seed + n)) for n in range(1, REPEATED))]
    return [lesson for variant in variants for lesson in lessons(variant, vocabulary, marks)]


def _judge(out: Path, base: Path, examples: Sequence[Example]) -> Score:
    return score(examples, load_detector(out, base)([example.text for example in examples]))


def _settle(out: Path, threshold: float, origin: dict[str, Any]) -> None:
    (out / SETTINGS).write_bytes(canonical_json({"threshold": threshold, **origin}))
