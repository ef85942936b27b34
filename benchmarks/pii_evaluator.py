"""The word of Presidio's own span evaluator (presidio-evaluator) beside ours.

It cuts texts into words, leaves out those that carry nothing, joins neighbours, and takes a span for found where
intersection over union of the characters is at least 0.9. It is given the same marked identifiers and the same claims
as governance/privacy/scoring.py counts, so what differs is the matching alone.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from governance.privacy.examples import Example
from governance.privacy.scoring import Score

MOST = 500  # documents; it goes through them word by word
_WORD = re.compile(r"\w+|[^\w\s]")


def evaluated(examples: Sequence[Example], judged: Score) -> tuple[float, float]:
    """Recall and precision of the first MOST examples, whatever the entities are called."""
    import pandas
    from presidio_evaluator.evaluation import SpanEvaluator

    frame = pandas.DataFrame(_words(examples[:MOST], judged))
    said = SpanEvaluator().calculate_score_on_df(frame, level="pii")
    return said.pii_recall, said.pii_precision


def _words(examples: Sequence[Example], judged: Score) -> Iterator[dict[str, Any]]:
    marked: list[list[tuple[int, int]]] = [[] for _ in examples]
    claimed: list[list[tuple[int, int]]] = [[] for _ in examples]
    for find in judged.finds:
        if find.document < len(examples):
            marked[find.document].append((find.start, find.end))
    for claim in judged.claims:
        if claim.document < len(examples) and claim.right is not None:
            claimed[claim.document].append((claim.span.start, claim.span.end))
    for number, example in enumerate(examples):
        for word in _WORD.finditer(example.text):
            yield {
                "sentence_id": number,
                "token": word[0],
                "start_indices": word.start(),
                "annotation": _label(marked[number], word),
                "prediction": _label(claimed[number], word),
            }


def _label(places: list[tuple[int, int]], word: re.Match[str]) -> str:
    return "PII" if any(start < word.end() and word.start() < end for start, end in places) else "O"
