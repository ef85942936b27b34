"""Latency and bias of a candidate, measured on the engine; the statistics are governance/gate's."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING

import pyarrow as pa

from assets.evaluation.predict import Contender, predict
from governance.gate import document as doc
from governance.gate.bias import group_bias, swap_bias, swap_gender
from governance.gate.latency import LOOKS, compare_latency, is_clear
from governance.gate.noninferiority import seed_of
from governance.gate.report import Against
from governance.tenants import Bias
from serving.engine.parallel import one_thread

if TYPE_CHECKING:
    from serving.engine.engine import Engine

_WARM_UP = 10
_ALONE = 100  # timings of a first release, which has nobody to be compared with
_FEWEST = 40  # rounds, however busy the machine is
_BUDGET_SECONDS = 60.0
_SWAPPED = 2000  # texts whose gender words are swapped, at most

Log = Callable[[str], None]


def measure_latency(
    engine: "Engine",
    candidate: Contender,
    champions: Mapping[Against, Contender],
    sets: Mapping[str, pa.Table],
    limit: float,
    log: Log,
) -> doc.Latency:
    """Single requests of both models in turn, against the first champion, until the answer is clear."""
    texts = [text for table in sets.values() for text in table["text"].to_pylist()[: LOOKS[-1]]]
    if not champions:
        return _alone(engine, candidate, texts, limit, log)
    opponent = next(iter(champions.values()))
    names = (candidate.name, opponent.name)
    _timed(engine, names, texts[:_WARM_UP])
    requests = cycle(texts)
    ours: list[float] = []
    theirs: list[float] = []
    for look, pairs in enumerate(LOOKS):
        log(f"latency: {candidate.name} and {opponent.name} in turn, {pairs - len(ours)} requests each")
        more = _timed(engine, names, islice(requests, pairs - len(ours)))
        ours, theirs = ours + more[0], theirs + more[1]
        found = compare_latency(ours, theirs, seed_of(candidate.digest, opponent.digest, "latency"))
        log(f"latency: p95 ratio {found.ratio:.2f}, between {found.lower:.2f} and {found.upper:.2f}")
        if is_clear(look, found, limit):
            break
    return doc.Latency(against=opponent.name, limit=limit, **vars(found))


def _alone(engine: "Engine", candidate: Contender, texts: Sequence[str], limit: float, log: Log) -> doc.Latency:
    """A first release has nobody to be compared with: how slow it is, is noted."""
    log(f"latency: {_ALONE} requests to {candidate.name}")
    _timed(engine, [candidate.name], texts[:_WARM_UP])
    (timings,) = _timed(engine, [candidate.name], islice(cycle(texts), _ALONE))
    found = compare_latency(timings, timings, 0)
    return doc.Latency(
        against=None, pairs=_ALONE, candidate_p50=found.candidate_p50, candidate_p95=found.candidate_p95, limit=limit
    )


def measure_bias(
    engine: "Engine",
    candidate: Contender,
    sets: Mapping[str, pa.Table],
    said: Mapping[str, Sequence[str]],
    bias: Bias,
    log: Log,
) -> doc.Bias:
    """By the group column over all judged rows; by swapped gender words where no two groups have rows enough."""
    rows = [
        (row, label) for name, table in sets.items() for row, label in zip(table.to_pylist(), said[name], strict=True)
    ]
    measured = None
    if bias.group:
        measured = group_bias(
            [row["label"] == label for row, label in rows],
            [row["group"] for row, _ in rows],
            [row["subject_id"] for row, _ in rows],
            bias.max_difference,
            seed_of(candidate.digest, "bias"),
        )
    if measured is None:
        pairs = [(label, swapped) for row, label in rows if (swapped := swap_gender(row["text"])) != row["text"]]
        pairs = pairs[:_SWAPPED]
        after = predict(engine, candidate.name, [text for _, text in pairs], "gender words swapped", log)
        measured = swap_bias([label for label, _ in pairs], after, bias.max_difference)
    return doc.Bias(column=bias.group, limit=bias.max_difference, blocking=bias.blocking, **vars(measured))


def _timed(engine: "Engine", names: Sequence[str], texts: Iterable[str]) -> list[list[float]]:
    """Seconds [names][texts] of single requests; every model is asked each text, in turning order.

    A machine so busy that it takes minutes gives fewer: the bound widens, the build does not stall.
    """
    seconds: list[list[float]] = [[] for _ in names]
    deadline = time.monotonic() + _BUDGET_SECONDS
    with one_thread():
        for turn, text in enumerate(texts):
            for at in range(len(names)) if turn % 2 else reversed(range(len(names))):
                start = time.perf_counter()
                engine.classify([text], [names[at]])
                seconds[at].append(time.perf_counter() - start)
            if turn >= _FEWEST and time.monotonic() > deadline:
                break
    return seconds
