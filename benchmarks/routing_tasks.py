"""A tenant's own models: four, each of which knows a quarter of Banking77's labels, and one that knows a little of all.

Heads fitted on the frozen base's vectors of train.csv, asked about test.csv. In the table every model is judged on
every prompt. In Pedigree a release is judged on its own task's rows alone, so that is measured too: is a prompt sent to
the model that knows its label, by fingerprints that never saw another task?
"""

import csv
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from assets.routing.fit import Made, fit, places_of
from benchmarks.routing_table import Floats, Table
from benchmarks.routing_ways import FOLDS, SEED, by_cosine, embed
from serving.engine import Engine

TASKS, OWN_ROWS, GENERAL_ROWS = 4, 20, 8  # rows a label to fit on
GENERAL_COST = 4.0


def task_models(engine: Engine, folder: Path, most: int | None) -> tuple[Table, Floats, Floats]:
    """The table, the prompts' vectors, and the task of each prompt [prompts]."""
    train, test = (_read(folder / f"{side}.csv") for side in ("train", "test"))
    draw = random.Random(SEED)
    draw.shuffle(train)
    test = draw.sample(test, min(most or len(test), len(test)))
    task = {label: place % TASKS for place, label in enumerate(sorted({label for _, label in train}))}
    few = [row for rows in _by_label(train).values() for row in rows[:OWN_ROWS]]
    fitted, asked = embed(engine, [text for text, _ in few]), embed(engine, [text for text, _ in test])
    general = [place for rows in _by_label(few, numbered=True).values() for place, _ in rows[:GENERAL_ROWS]]
    chosen = [[place for place, (_, label) in enumerate(few) if task[label] == own] for own in range(TASKS)]
    labels = np.array([label for _, label in few])
    truth = np.array([label for _, label in test])
    said = [
        LogisticRegression(C=10, max_iter=300).fit(fitted[rows], labels[rows]).predict(asked)
        for rows in [*chosen, general]
    ]
    names = [*(f"task {own}" for own in range(TASKS)), "general"]
    cost = np.tile([1.0] * TASKS + [GENERAL_COST], (len(test), 1))
    correct = np.stack([each == truth for each in said], axis=1).astype(np.float64)
    table = Table("banking77_five_models", [text for text, _ in test], names, correct, cost, None)
    return table, asked, np.array([task[label] for _, label in test])


def measure_tasks(table: Table, vectors: Floats, task: Floats) -> list[dict[str, Any]]:
    """By way: how many prompts went to the model of their task, and how many of the answers were right."""
    own = table.correct[:, :TASKS]
    every = np.arange(len(own))
    asked = {"fingerprints of own rows": np.empty(len(own), int), "cosine to own rows": np.empty(len(own), int)}
    for train, test in KFold(FOLDS, shuffle=True, random_state=SEED).split(vectors):
        asked["fingerprints of own rows"][test] = _by_own_rows(vectors, own, task, train, test)
        belongs = (task[train][:, None] == np.arange(TASKS)).astype(np.float64)
        asked["cosine to own rows"][test] = by_cosine(vectors[train], belongs, [])(vectors[test]).argmax(axis=1)
    asked |= {"by lot": np.random.default_rng(SEED).integers(TASKS, size=len(own)), "the right task": task}
    return [
        {
            "four tasks, way": way,
            "to its task": float((chosen == task).mean()),
            "right": float(own[every, chosen].mean()),
            "general model": float(table.correct[:, TASKS].mean()),
        }
        for way, chosen in asked.items()
    ]


def _by_own_rows(vectors: Floats, own: Floats, task: Floats, train: Floats, test: Floats) -> Floats:
    expected = []
    for model in range(TASKS):
        rows = train[task[train] == model]
        made = Made("bench.model@1", "0" * 64, "0" * 64, p95_ms=0.0)
        groups = [str(row) for row in rows]
        each = fit(vectors[rows], own[rows, model], groups, places_of(vectors[rows]), made)
        expected.append([each.expect(vector) for vector in vectors[test]])
    chosen = []
    for models in zip(*expected, strict=True):
        known, nearest = max(model.known for model in models), max(model.nearness for model in models)
        chosen.append(int(np.argmax([model.quality_among(known, nearest) for model in models])))
    return np.array(chosen)


def _read(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return [(row["text"], row["category"]) for row in csv.DictReader(file)]


def _by_label(rows: list[tuple[str, str]], numbered: bool = False) -> Mapping[str, list[Any]]:
    """Rows, or their places and rows, by label."""
    found: dict[str, list[Any]] = {}
    for place, row in enumerate(rows):
        found.setdefault(row[1], []).append((place, row) if numbered else row)
    return found
