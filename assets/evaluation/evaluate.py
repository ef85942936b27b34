"""Judging a candidate: every contender answers the same rows on the same engine, and the gate's rules do the rest."""

import json
import os
import platform
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.evaluation.measure import measure_bias, measure_latency
from assets.evaluation.predict import Contender, keep_predictions, predict
from assets.evaluation.publish import publish_report
from governance.gate import document as doc
from governance.gate.golden import judge_sets, table_sha256
from governance.gate.labels import label_drift
from governance.gate.noninferiority import Difference, class_f1, compare, seed_of, verdict_of
from governance.gate.power import power_of
from governance.gate.report import BASELINE, BEST, LIVE, LIVE_AND_BEST, Against, GateReport, judged
from governance.tenants import Gate, Model

if TYPE_CHECKING:
    from serving.engine.engine import Engine

Log = Callable[[str], None]


class EvaluationRefused(ValueError):
    """The candidate cannot be judged on what was given; the message says why and what to do."""


@dataclass(frozen=True)
class Opponent:
    """Whom the candidate is compared with on one set: what it said there, and which labels it can say."""

    against: Against
    name: str
    sha256: str
    predictions: Sequence[str]
    labels: frozenset[str]


def evaluate(
    candidate: Contender,
    champions: Mapping[Against, Contender],
    held_out: pa.Table,
    golden: pa.Table | None,
    train: pa.Table | None,
    model: Model,
    base: Path,
    out: Path,
    log: Log,
    dtype: str = "float32",
) -> GateReport:
    """Judge `candidate` and write report.json, report.md, predictions and pictures to `out`.

    champions: role → contender; none for a first release, which must beat the frozen base with a linear head fitted on
    `train`. held_out, golden: see governance.gate.golden.judge_sets. dtype: in which the base is served. Raises
    EvaluationRefused, GoldenUnusable, AdapterRefused.
    """
    from serving.engine import Engine, base_digest

    sets = judge_sets(golden, held_out)
    _require_rows(sets, train)
    opponents = _once_each(champions)
    engine = Engine(base, dtype)
    for contender in (candidate, *opponents.values()):
        engine.mount(contender.name, contender.folder)
    said = _answers(engine, candidate, sets, log)
    against = _opponents(engine, opponents, sets, train, base, model.training.max_tokens, log)
    results = [
        _compare(candidate, opponent, name, table, said[name], model.gate)
        for name, table in sets.items()
        for opponent in against[name]
    ]
    report = judged(
        subject=doc.Judged(release=candidate.name, adapter=candidate.digest, base=base_digest(base)),
        sets=[_described(name, table) for name, table in sets.items()],
        comparisons=[comparison for comparison, _ in results],
        label_scores=[
            score for name, table in sets.items() for score in _scores(name, table, said[name], against[name][0])
        ],
        latency=measure_latency(engine, candidate, opponents, sets, model.gate.latency_ratio, log),
        bias=measure_bias(engine, candidate, sets, said, model.gate.bias, log),
        label_drift=_drift(sets, against) if opponents else None,
        environment=_environment(dtype),
    )
    out.mkdir(parents=True, exist_ok=True)
    keep_predictions(sets, said, out / "predictions.parquet")
    truth = {name: _column(table, "label") for name, table in sets.items()}
    publish_report(report, truth, said, [drawn for _, drawn in results], out)
    log(f"{candidate.name}: {'passed' if report.passed else 'refused: ' + ' '.join(report.reasons)}")
    return report


def _require_rows(sets: Mapping[str, pa.Table], train: pa.Table | None) -> None:
    if not sets:
        raise EvaluationRefused("there are no evaluation rows at all: no subject was held out; deliver more rows")
    if train is None:
        return
    trained = set(_column(train, "subject_id"))
    for name, table in sets.items():
        if shared := trained & set(_column(table, "subject_id")):
            raise EvaluationRefused(
                f"{len(shared)} subjects of the {name} set are among the training rows, so nothing it measures counts; "
                "was evaluation_share changed? Put it back, or start the model anew"
            )


def _once_each(champions: Mapping[Against, Contender]) -> dict[Against, Contender]:
    """The champions, live first; one entry where live and best ever are the same release."""
    live, best = champions.get(LIVE), champions.get(BEST)
    if live and best and live.digest == best.digest:
        return {LIVE_AND_BEST: live}
    return {role: champions[role] for role in (LIVE_AND_BEST, LIVE, BEST) if role in champions}


def _answers(engine: "Engine", contender: Contender, sets: Mapping[str, pa.Table], log: Log) -> dict[str, list[str]]:
    return {
        name: predict(engine, contender.name, _column(table, "text"), f"{contender.name} on the {name} set", log)
        for name, table in sets.items()
    }


def _opponents(
    engine: "Engine",
    champions: Mapping[Against, Contender],
    sets: Mapping[str, pa.Table],
    train: pa.Table | None,
    base: Path,
    max_tokens: int,
    log: Log,
) -> dict[str, list[Opponent]]:
    if not champions:
        return {name: [_baseline(base, train, table, max_tokens, log)] for name, table in sets.items()}
    met: dict[str, list[Opponent]] = {name: [] for name in sets}
    for role, champion in champions.items():
        known = frozenset(json.loads((champion.folder / "head.json").read_bytes())["labels"])
        for name, predictions in _answers(engine, champion, sets, log).items():
            met[name].append(Opponent(role, champion.name, champion.digest, predictions, known))
    return met


def _baseline(base: Path, train: pa.Table | None, table: pa.Table, max_tokens: int, log: Log) -> Opponent:
    from assets.training.baseline import linear_head
    from assets.training.split import examples
    from serving.engine import base_digest

    if train is None:
        raise EvaluationRefused("a first release is judged against a linear head, which needs the training rows")
    head = linear_head(base, examples(train), _column(table, "text"), max_tokens, log)
    return Opponent(BASELINE, "linear head", base_digest(base), head.answered, frozenset(head.labels))


def _compare(
    candidate: Contender, opponent: Opponent, name: str, table: pa.Table, said: Sequence[str], gate: Gate
) -> tuple[doc.Comparison, dict[str, Difference]]:
    truth, subjects = _column(table, "label"), _column(table, "subject_id")
    first = opponent.against == BASELINE
    margins = {"macro F1": 0.0 if first else gate.margin_f1, "accuracy": gate.margin_accuracy}
    seed = seed_of(candidate.digest, opponent.sha256, table_sha256(table))
    differences = compare(truth, said, opponent.predictions, subjects, seed)
    power = power_of(truth, said, opponent.predictions, subjects, differences, margins)
    metrics = [
        doc.Metric(
            metric=metric,
            candidate=found.candidate,
            champion=found.champion,
            difference=found.value,
            lower=found.lower,
            upper=found.upper,
            margin=margins[metric],
            verdict=verdict_of(found.lower, found.upper, margins[metric], power.sufficient),
        )
        for metric, found in differences.items()
    ]
    unknown = Counter(label for label in truth if label not in opponent.labels)
    comparison = doc.Comparison(
        against=opponent.against,
        champion=opponent.name,
        champion_sha256=opponent.sha256,
        evaluation_set=name,
        metrics=tuple(metrics),
        power=doc.Power.model_validate(power),
        unknown_labels=dict(sorted(unknown.items())),
    )
    return comparison, differences


def _scores(name: str, table: pa.Table, said: Sequence[str], opponent: Opponent) -> list[doc.LabelScore]:
    truth = _column(table, "label")
    theirs = class_f1(truth, opponent.predictions)
    return [
        doc.LabelScore(evaluation_set=name, label=label, rows=rows, candidate=f1, champion=theirs[label][1])
        for label, (rows, f1) in class_f1(truth, said).items()
    ]


def _drift(sets: Mapping[str, pa.Table], against: Mapping[str, list[Opponent]]) -> doc.LabelDrift | None:
    """By the first champion: the live one, where there is one."""
    if set(sets) != {"golden", "new"}:
        return None
    golden, new = ((_column(sets[name], "label"), against[name][0].predictions) for name in ("golden", "new"))
    champion = against["new"][0]
    drift = label_drift(golden, new, set(champion.labels))
    return doc.LabelDrift(champion=champion.name, **vars(drift))


def _described(name: str, table: pa.Table) -> doc.EvaluationSet:
    return doc.EvaluationSet(
        name=name,
        sha256=table_sha256(table),
        rows=table.num_rows,
        subjects=len(set(_column(table, "subject_id"))),
        labels=len(set(_column(table, "label"))),
    )


def _environment(dtype: str) -> dict[str, str | int]:
    import torch

    return {
        "engine": f"{'CUDA' if torch.cuda.is_available() else 'CPU'}, {dtype}",
        "machine": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }


def _column(table: pa.Table, name: str) -> list[str]:
    values: list[str] = table[name].to_pylist()
    return values
