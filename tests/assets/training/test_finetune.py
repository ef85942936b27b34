import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from training_toys import sentences

from assets.training import course
from assets.training import finetune as module
from assets.training.course import TrainingDiverged, average_in, contrast
from assets.training.encoder import batches, embed, load_base, predict, reproducible
from assets.training.finetune import (
    Finetuned,
    class_weights,
    finetune,
)
from assets.training.split import Examples, OneClass, TooFewRows
from governance.tenants import Training
from serving.engine.base import BaseUnusable

JUDGED = module._judged
FILES = ["adapter_config.json", "adapter_model.safetensors", "head.json", "head.safetensors"]


def silent(line: str) -> None: ...


@pytest.fixture(scope="module")
def trained(small_base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finetuned, Path, list[str]]:
    """A toy with three labels, trained once for the tests that only look at it."""
    labels = ("card", "loan", "app")
    out, lines = tmp_path_factory.mktemp("adapter"), list[str]()
    training = Training(rank=4, alpha=8, epochs=12, batch_size=8, max_tokens=16, learning_rate=2e-2, patience=12)
    finetuned = finetune(small_base, sentences(120, 1, labels), sentences(30, 2, labels), training, out, lines.append)
    return finetuned, out, lines


def test_it_learns_what_can_be_told_apart(trained: tuple[Finetuned, Path, list[str]], small_base: Path) -> None:
    finetuned, folder, _ = trained
    unseen = sentences(60, 3, ("card", "loan", "app"))
    answered = [finetuned.labels[i] for i in predict(small_base, folder, unseen.texts).argmax(-1)]
    assert np.mean([a == b for a, b in zip(answered, unseen.labels, strict=True)]) > 0.9


def test_the_folder_holds_the_agreed_files_and_no_path_of_the_machine(
    trained: tuple[Finetuned, Path, list[str]], small_base: Path
) -> None:
    finetuned, folder, _ = trained
    assert sorted(path.name for path in folder.iterdir()) == FILES
    head = json.loads((folder / "head.json").read_text())
    assert head == {"labels": ["app", "card", "loan"], "pooling": "mean", "max_tokens": 16, "dtype": "float32"}
    config = (folder / "adapter_config.json").read_text()
    assert str(small_base) not in config and str(folder.parent) not in config
    assert list(json.loads(config)) == sorted(json.loads(config))
    assert finetuned.parameters < finetuned.frozen_parameters


def test_peft_alone_gives_the_logits_of_the_training_s_own_forward(
    trained: tuple[Finetuned, Path, list[str]], small_base: Path
) -> None:
    from peft import PeftModel
    from safetensors.torch import load_file

    _, folder, _ = trained
    texts = sentences(9, 4).texts
    _, tokenizer = load_base(small_base)
    from transformers import AutoModel

    model = PeftModel.from_pretrained(AutoModel.from_pretrained(small_base), str(folder)).eval()
    tokens = tokenizer(texts, truncation=True, max_length=16, padding=True, return_tensors="pt")
    head = load_file(folder / "head.safetensors")
    with torch.no_grad():
        hidden = model(**tokens).last_hidden_state
        mask = tokens["attention_mask"].unsqueeze(-1)
        by_hand = ((hidden * mask).sum(1) / mask.sum(1)) @ head["weight"].T + head["bias"]
    np.testing.assert_allclose(predict(small_base, folder, texts), by_hand.numpy(), atol=1e-5)


def test_the_adapter_changes_the_encoder_and_not_the_head_alone(
    trained: tuple[Finetuned, Path, list[str]], small_base: Path
) -> None:
    from safetensors.torch import load_file

    delta = load_file(trained[1] / "adapter_model.safetensors")
    grown = [name for name, tensor in delta.items() if "lora_B" in name and tensor.abs().max() > 1e-3]
    assert len(grown) == 2 * 6  # query, key, value and three dense of each layer
    assert not [name for name in delta if "pooler" in name]


def test_the_confusion_matrix_counts_every_validation_row(trained: tuple[Finetuned, Path, list[str]]) -> None:
    finetuned = trained[0]
    assert [sum(row) for row in finetuned.confusion] == [10, 10, 10]
    right = sum(finetuned.confusion[i][i] for i in range(3))
    assert right / 30 == pytest.approx(finetuned.epochs[finetuned.best_epoch - 1].accuracy)


def test_each_epoch_is_told(trained: tuple[Finetuned, Path, list[str]]) -> None:
    finetuned, _, lines = trained
    assert finetuned.best_epoch == min(finetuned.epochs, key=lambda report: report.validation_loss).epoch
    told = [line for line in lines if "validation macro F1" in line]
    assert len(told) == len(finetuned.epochs)
    assert told[0].startswith("epoch 1/12: loss ")


def test_texts_that_are_cut_are_told(small_base: Path, tmp_path: Path) -> None:
    lines, short = list[str](), Training(rank=2, alpha=4, epochs=1, batch_size=16, max_tokens=4)
    finetune(small_base, sentences(16, 1), sentences(8, 2), short, tmp_path, lines.append)
    assert "100% of the texts reach max_tokens, 4: the rest is not read" in lines


def test_holes_are_the_mask_token_and_never_in_the_place_of_a_special_one(small_base: Path) -> None:
    _, tokenizer = load_base(small_base)
    texts = sentences(64, 1).texts
    (batch,) = batches(tokenizer(texts)["input_ids"], 64, tokenizer.pad_token_id)
    with torch.random.fork_rng():
        torch.manual_seed(5)
        holed = course.with_holes(batch, tokenizer, 0.3)
    words = ~torch.isin(batch.ids, torch.tensor(tokenizer.all_special_ids))
    changed = holed.ids != batch.ids
    assert (holed.ids[changed] == tokenizer.mask_token_id).all() and not (changed & ~words).any()
    assert 0.2 < changed.sum().item() / words.sum().item() < 0.4
    assert course.with_holes(batch, tokenizer, 0.0) is batch


def test_the_contrastive_loss_is_the_mean_over_rows_with_a_peer() -> None:
    vectors, labels = torch.randn(6, 5, generator=torch.Generator().manual_seed(3)), [0, 1, 0, 2, 1, 0]
    of_rows = []
    for row, label in enumerate(labels):
        near = [float(torch.cosine_similarity(vectors[row], other, dim=0)) / course.TEMPERATURE for other in vectors]
        others = [other for other in range(6) if other != row]
        likely = {other: near[other] - math.log(sum(math.exp(near[each]) for each in others)) for other in others}
        if peers := [likely[other] for other in others if labels[other] == label]:
            of_rows.append(-sum(peers) / len(peers))
    assert contrast(vectors, torch.tensor(labels)).item() == pytest.approx(sum(of_rows) / 5, rel=1e-5)


def test_the_contrastive_loss_of_rows_that_share_no_label_is_zero_and_so_is_its_gradient() -> None:
    vectors = torch.randn(3, 5).requires_grad_()
    loss = contrast(vectors, torch.arange(3))
    loss.backward()
    assert loss.item() == 0 and vectors.grad is not None and not vectors.grad.any()


def scripted(monkeypatch: pytest.MonkeyPatch, losses: list[float]) -> None:
    """Make the validation say these losses, one an epoch: the training itself stays real."""
    said = iter(losses)
    monkeypatch.setattr(module, "_judged", lambda *what: (JUDGED(*what)[0], next(said)))


def test_it_stops_when_validation_no_longer_improves_and_keeps_the_best_epoch(
    small_base: Path, quick: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train, validation = sentences(40, 1), sentences(12, 2)
    training = quick.model_copy(update={"epochs": 6, "patience": 2})
    scripted(monkeypatch, [0.5, 0.2, 0.3, 0.2, 0.1, 0.1])
    stopped = finetune(small_base, train, validation, training, tmp_path / "stopped", silent)
    assert stopped.best_epoch == 2 and len(stopped.epochs) == 4

    scripted(monkeypatch, [0.9, 0.1, 0.8, 0.9, 0.9, 0.9])  # other losses, same best epoch: same weights
    again = finetune(small_base, train, validation, training, tmp_path / "again", silent)
    scripted(monkeypatch, [0.6, 0.5, 0.4, 0.3, 0.2, 0.1])
    last = finetune(small_base, train, validation, training, tmp_path / "last", silent)
    assert again.best_epoch == 2 and last.best_epoch == 6
    assert bytes_of(tmp_path / "stopped") == bytes_of(tmp_path / "again") != bytes_of(tmp_path / "last")


def bytes_of(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in FILES]


@pytest.mark.parametrize(("best", "first", "last"), [(1, 2, 3), (3, 3, 9)])
def test_what_is_kept_is_the_average_of_the_steps_between_the_first_epoch_and_the_best(
    best: int, first: int, last: int, small_base: Path, quick: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file

    steps: list[torch.Tensor] = []  # the head after each step

    def watched(average: list[torch.Tensor], weights: list[torch.Tensor], step: int) -> None:
        steps.append(weights[-2].detach().clone())
        average_in(average, weights, step)

    monkeypatch.setattr(course, "average_in", watched)
    scripted(monkeypatch, [0.1 if epoch == best else 0.5 for epoch in range(1, 5)])
    training = quick.model_copy(update={"patience": 4})
    finetune(small_base, sentences(24, 1), sentences(8, 2), training, tmp_path, silent)
    assert len(steps) == 4 * 3
    mean = torch.stack(steps[first:last]).mean(0)
    torch.testing.assert_close(load_file(tmp_path / "head.safetensors")["weight"], mean)


def test_another_seed_gives_another_adapter(small_base: Path, quick: Training, tmp_path: Path) -> None:
    once = quick.model_copy(update={"epochs": 1})
    other = once.model_copy(update={"seed": quick.seed + 1})
    for training, name in ((once, "a"), (other, "b")):
        finetune(small_base, sentences(24, 1), sentences(8, 2), training, tmp_path / name, silent)
    assert bytes_of(tmp_path / "a") != bytes_of(tmp_path / "b")


def test_what_was_set_in_torch_before_is_set_again_after() -> None:
    torch.manual_seed(3)
    state, threads = torch.random.get_rng_state(), torch.get_num_threads()
    with pytest.raises(ZeroDivisionError), reproducible(1):
        assert torch.are_deterministic_algorithms_enabled()
        torch.rand(1)
        _ = 1 / 0
    assert torch.equal(torch.random.get_rng_state(), state)
    assert torch.get_num_threads() == threads and not torch.are_deterministic_algorithms_enabled()


def test_a_rare_class_weighs_more_and_balanced_classes_are_left_alone() -> None:
    assert class_weights(["a"] * 10 + ["b"] * 5) is None
    weights = class_weights(["a"] * 90 + ["b"] * 10)
    assert weights is not None and weights["b"] / weights["a"] == pytest.approx(3.0)
    assert 90 * weights["a"] + 10 * weights["b"] == pytest.approx(100)


def test_a_label_seen_only_in_validation_counts_as_a_miss_and_not_as_a_crash(
    small_base: Path, quick: Training, tmp_path: Path
) -> None:
    seen = sentences(12, 2)
    validation = Examples([*seen.texts, "what is this"], [*seen.labels, "never trained"])
    training = quick.model_copy(update={"epochs": 1})
    finetuned = finetune(small_base, sentences(24, 1), validation, training, tmp_path, silent)
    assert "never trained" not in finetuned.labels and finetuned.epochs[0].accuracy < 1.0


@pytest.mark.parametrize(
    ("train", "validation", "error", "says"),
    [
        (Examples([], []), Examples(["a"], ["x"]), TooFewRows, "no rows for training: 0 to train, 1 to validate"),
        (Examples(["a"], ["x"]), Examples([], []), TooFewRows, "no rows for validation: 1 to train, 0 to validate"),
        (Examples(["a", "b"], ["x", "x"]), Examples(["c"], ["x"]), OneClass, "all 2 training rows are labelled"),
    ],
)
def test_rows_that_cannot_be_learned_from_are_refused_before_a_base_is_loaded(
    train: Examples, validation: Examples, error: type[Exception], says: str, tmp_path: Path
) -> None:
    with pytest.raises(error, match=says):
        finetune(tmp_path / "no-base", train, validation, Training(), tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ({"max_tokens": 1000}, BaseUnusable, "max_tokens is 1000, .* reads 512 at most"),
        ({"targets": ("q_proj",)}, BaseUnusable, r"has not the modules \('q_proj',\)"),
        ({"learning_rate": 1e30}, TrainingDiverged, "lower the learning rate"),
    ],
)
def test_a_training_that_cannot_work_is_named_and_leaves_no_files(
    change: dict[str, object], error: type[Exception], says: str, small_base: Path, quick: Training, tmp_path: Path
) -> None:
    training = quick.model_copy(update=change)
    with pytest.raises(error, match=says):
        finetune(small_base, sentences(24, 1), sentences(8, 2), training, tmp_path / "out", silent)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_base_is_named(quick: Training, tmp_path: Path) -> None:
    with pytest.raises(BaseUnusable, match="nothing-here"):
        finetune(tmp_path / "nothing-here", sentences(8, 1), sentences(4, 2), quick, tmp_path / "out", silent)


def test_batches_hold_every_row_once_and_pad_little() -> None:
    tokens = [[1] * (3 + i % 17) for i in range(203)]
    shuffled = batches(tokens, 16, 0, torch.Generator().manual_seed(1))
    assert sorted(row for batch in shuffled for row in batch.rows) == list(range(203))
    assert sum(batch.ids.numel() for batch in shuffled) < 1.1 * sum(map(len, tokens))
    assert all(batch.mask.sum() == sum(len(tokens[row]) for row in batch.rows) for batch in shuffled)
    again = batches(tokens, 16, 0, torch.Generator().manual_seed(2))
    assert [batch.rows for batch in again] != [batch.rows for batch in shuffled]


def test_vectors_come_back_in_the_order_of_the_texts_whatever_shares_their_batch(small_base: Path) -> None:
    encoder, tokenizer = load_base(small_base)
    texts = ["one two three four five six", "one", "one two three", "one"]
    together = embed(encoder, tokenizer, texts, 16)
    for text, vector in zip(texts, together, strict=True):
        np.testing.assert_allclose(embed(encoder, tokenizer, [text], 16)[0], vector, atol=1e-6)
