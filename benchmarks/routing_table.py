"""Tables of which model answered which prompt correctly, and at what cost: what a router is measured on.

A table is a CSV with the columns prompt, model, correct, cost and, where prompts have one, subject: a line for each
prompt and model. RouteLLM's files (a line a prompt, a column `…_correct` a model) are read through an adapter.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]
# US dollars a million tokens, as RouteLLM counts them (Ong et al. 2024, arXiv 2406.18665, section 4).
ROUTELLM_COST = {"mixtral_8x7b": 0.24, "gpt4_1106": 24.7}


class TableUnusable(ValueError):
    """A file is no table of prompt × model × correct × cost; the message names the line."""


@dataclass(frozen=True)
class Table:
    """correct (0 or 1), cost: [prompts, models]. `subjects`: of each prompt, or None."""

    name: str
    prompts: list[str]
    models: list[str]
    correct: Floats
    cost: Floats
    subjects: list[str] | None

    @property
    def weak(self) -> int:
        """The column of the cheapest model."""
        return int(self.cost.mean(axis=0).argmin())

    @property
    def strong(self) -> int:
        """The column of the model that is right most often."""
        return int(self.correct.mean(axis=0).argmax())

    def taken(self, rows: list[int]) -> "Table":
        return replace(
            self,
            prompts=[self.prompts[row] for row in rows],
            correct=self.correct[rows],
            cost=self.cost[rows],
            subjects=[self.subjects[row] for row in rows] if self.subjects else None,
        )


def read_table(path: Path) -> Table:
    """Either form. Raises TableUnusable."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise TableUnusable(f"{path} has no rows")
    if {"prompt", "model", "correct", "cost"} <= rows[0].keys():
        return _long(path, rows)
    return _routellm(path, rows)


def _long(path: Path, rows: list[dict[str, str]]) -> Table:
    prompts = list(dict.fromkeys(row["prompt"] for row in rows))
    models = sorted({row["model"] for row in rows})
    at = {prompt: place for place, prompt in enumerate(prompts)}
    correct = np.full((len(prompts), len(models)), np.nan)
    cost = np.full_like(correct, np.nan)
    for line, row in enumerate(rows, 2):
        place = at[row["prompt"]], models.index(row["model"])
        if not np.isnan(correct[place]):
            raise TableUnusable(f"{path}, line {line}: {row['model']} has answered this prompt before")
        correct[place], cost[place] = _right(path, line, row["correct"]), _cost(path, line, row["cost"])
    if missing := int(np.isnan(correct).sum()):
        raise TableUnusable(f"{path}: {missing} answers are missing; every model answers every prompt")
    subject = {row["prompt"]: row["subject"] for row in rows} if "subject" in rows[0] else None
    return Table(path.stem, prompts, models, correct, cost, [subject[each] for each in prompts] if subject else None)


def _routellm(path: Path, rows: list[dict[str, str]]) -> Table:
    models = [name.removesuffix("_correct") for name in rows[0] if name.endswith("_correct")]
    if unknown := [name for name in models if name not in ROUTELLM_COST] or not models:
        raise TableUnusable(f"{path}: no columns prompt, model, correct, cost, and no cost is known of {unknown}")
    correct = np.array(
        [[_right(path, line, row[f"{model}_correct"]) for model in models] for line, row in enumerate(rows, 2)]
    )
    cost = np.tile([ROUTELLM_COST[model] for model in models], (len(rows), 1))
    subjects = [row["subject"] for row in rows] if "subject" in rows[0] else None
    return Table(path.stem, [row["prompt"] for row in rows], models, correct, cost, subjects)


def _right(path: Path, line: int, said: str) -> float:
    if (word := said.strip().lower()) not in ("true", "false", "1", "0"):
        raise TableUnusable(f"{path}, line {line}: correct is {said!r}; it is true or false")
    return float(word in ("true", "1"))


def _cost(path: Path, line: int, said: str) -> float:
    try:
        return float(said)
    except ValueError:
        raise TableUnusable(f"{path}, line {line}: cost is {said!r}; it is a number") from None
