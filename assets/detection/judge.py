"""The detector's gate: recall and precision, by entity, on kinds of documents that nothing was tuned to."""

from typing import Any

from assets.detection.build import Built
from governance.privacy.scoring import DIRECT, Score, Share, f2

RECALL, PRECISION = 0.95, 0.93
DIRECT_RECALL = 0.96
ENTITY_RECALL = 0.85  # of each entity that is marked at least FEWEST times
FEWEST = 50
WORST = 20  # misses that are shown; the texts are made up, so they may be


def checks(built: Built) -> dict[str, tuple[bool, str]]:
    """Check → whether it passed, and the figure beside its limit."""
    held = built.held
    said = {
        "recall": _least(held.recall(), RECALL),
        "recall_direct": _least(held.recall(DIRECT), DIRECT_RECALL),
        "precision": _least(held.precision(), PRECISION),
    }
    for entity in held.entities:
        share = held.recall(frozenset({entity}))
        if share.of >= FEWEST:
            said[f"recall_{entity.lower()}"] = _least(share, ENTITY_RECALL)
    return said


def _least(share: Share, limit: float) -> tuple[bool, str]:
    return share.value >= limit, f"{shown(share)}, at least {limit}"


def shown(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f}), {share.hits:,} of {share.of:,}"


def by_entity(held: Score) -> list[dict[str, Any]]:
    """A row an entity: how many were marked and found, how many spans of its name lie right."""
    rows = []
    for entity in held.entities:
        only = frozenset({entity})
        recall, precision, whole = held.recall(only), held.precision(only), held.recall(only, covered=1.0)
        rows.append(
            {
                "entity": entity,
                "marked": recall.of,
                "recall": recall.value if recall.of else None,
                "recall low": recall.low if recall.of else None,
                "recall high": recall.high if recall.of else None,
                "whole": whole.value if recall.of else None,
                "typed": held.recall(only, typed=True).value if recall.of else None,
                "claimed": precision.of,
                "precision": precision.value if precision.of else None,
                "F2": f2(precision.value, recall.value) if recall.of and precision.of else None,
            }
        )
    return rows


def worst_misses(built: Built) -> list[dict[str, str]]:
    """Made-up identifiers that were missed, with what stands around them; the least covered first."""
    missed = sorted((find for find in built.held.finds if find.covered < 0.5), key=lambda find: find.covered)
    return [_miss(built.examples[find.document].text, find.start, find.end, find.entity) for find in missed[:WORST]]


def _miss(text: str, start: int, end: int, entity: str) -> dict[str, str]:
    return {"entity": entity, "missed": text[start:end], "in": text[max(0, start - 30) : end + 20]}


def report(built: Built, plan: dict[str, Any]) -> dict[str, Any]:
    """The document that the gate's statement binds: no clock time, so the same detector has the same report."""
    passed = {name: {"passed": ok, "figure": figure} for name, (ok, figure) in checks(built).items()}
    return {
        "schema": "pedigree/detector-report/v1",
        "plan": plan,
        "operating_point": vars(built.chosen),
        "tried": [vars(point) for point in built.tried],
        "checks": passed,
        "entities": by_entity(built.held),
        "misses": worst_misses(built),
    }
