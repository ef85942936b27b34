"""LoRA fine-tuning of a base for text classification: which epoch of a course (course.py) is kept.

Same examples, same training, same machine: same bytes. Everything random follows from `training.seed`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn.functional import cross_entropy

from assets.training.course import Log, course
from assets.training.encoder import (
    Classifier,
    embed,
    load_base,
    reproducible,
    save,
)
from assets.training.split import Examples, OneClass, TooFewRows
from governance.tenants import Training
from serving.engine.base import BaseUnusable
from serving.engine.packed import pack_frozen

IMBALANCE = 3.0  # largest class over smallest, from which the classes are weighted
UNTAUGHT = -100  # a label of the validation part that no training row bears


@dataclass(frozen=True)
class EpochReport:
    """One epoch: mean training loss, then macro F1, accuracy and mean log loss on the validation part."""

    epoch: int
    loss: float
    macro_f1: float
    accuracy: float
    validation_loss: float


@dataclass(frozen=True)
class Finetuned:
    """What a fine-tuning gave; no clock time in it, so it is the same at every rerun.

    `confusion[i][j]`: validation rows of label i answered with label j, at the best epoch. `class_weights`: None where
    the classes were balanced enough. `parameters`: how many were trained, beside `frozen_parameters`.
    """

    labels: list[str]
    epochs: list[EpochReport]
    best_epoch: int
    class_weights: dict[str, float] | None
    confusion: list[list[int]]
    parameters: int
    frozen_parameters: int


def finetune(
    base: Path,
    train: Examples,
    validation: Examples,
    training: Training,
    out: Path,
    log: Log = print,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> Finetuned:
    """Train a LoRA adapter (Hu et al., 2021) and its head on `train`; write the four files of an adapter into `out`.

    `validation` chooses the epoch that is kept and stops the training; `on_epoch` hears each epoch. Raises TooFewRows,
    OneClass, BaseUnusable, TrainingDiverged.
    """
    _require_classes(train, validation)
    with reproducible(training.seed) as device:
        classifier = _adapted(base, training, len(set(train.labels)), device)
        finetuned = fit(classifier, train, validation, training, log, on_epoch)
        save(classifier, finetuned.labels, training.max_tokens, out)
    return finetuned


def fit(
    classifier: Classifier,
    train: Examples,
    validation: Examples,
    training: Training,
    log: Log,
    on_epoch: Callable[[EpochReport], None] = lambda report: None,
) -> Finetuned:
    """Train whatever of `classifier` requires gradients; leave it at its best epoch, in evaluation mode.

    Validated and kept is the average of the weights over the steps since the first epoch (Izmailov et al., 2018); a
    training of one epoch keeps its last weights. docs/decisions/2026-11-24-averaged-weights.md has the measurements.
    The best epoch is the one of the least log loss: on the few rows of a validation part the macro F1 is mostly chance.
    """
    labels = sorted(set(train.labels))
    weights = class_weights(train.labels)
    parameters = [*classifier.encoder.parameters(), *classifier.head.parameters()]
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    log(f"{len(train.texts)} rows to train, {len(validation.texts)} to validate, {len(labels)} labels: the head first")
    average = [parameter.detach().clone() for parameter in trained]
    one_epoch = course(classifier, trained, average, train, labels, weights, training, log)
    reports: list[EpochReport] = []
    kept: list[torch.Tensor] = []
    answers: list[str] = []
    best = 0
    for epoch in range(1, training.epochs + 1):
        loss = one_epoch(epoch)
        _swap(trained, average)
        answered, validation_loss = _judged(classifier, labels, weights, validation, training)
        _swap(trained, average)
        reports.append(_report(epoch, loss, answered, validation.labels, validation_loss))
        log(_line(reports[-1], training.epochs))
        on_epoch(reports[-1])
        if not best or validation_loss < reports[best - 1].validation_loss:
            best, answers, kept = epoch, answered, [value.clone() for value in average]
        elif epoch - best >= training.patience:
            log(f"no lower log loss for {training.patience} epochs: stopped, epoch {best} is kept")
            break
    _swap(trained, kept)
    count = sum(parameter.numel() for parameter in trained)
    return Finetuned(
        labels=labels,
        epochs=reports,
        best_epoch=best,
        class_weights=weights,
        confusion=_confusion(labels, validation.labels, answers),
        parameters=count,
        frozen_parameters=sum(parameter.numel() for parameter in parameters) - count,
    )


def class_weights(labels: Sequence[str]) -> dict[str, float] | None:
    """Weight of each class in the loss: 1/sqrt(its rows), with mean 1 over the rows; None where no class is rare.

    The square root keeps a class of a handful of rows from drowning all others.
    """
    rows = Counter(labels)
    if max(rows.values()) < IMBALANCE * min(rows.values()):
        return None
    mean = sum(math.sqrt(count) for count in rows.values()) / len(labels)
    return {label: 1 / (math.sqrt(count) * mean) for label, count in sorted(rows.items())}


def _require_classes(train: Examples, validation: Examples) -> None:
    for name, part in (("training", train), ("validation", validation)):
        if not part.texts:
            raise TooFewRows(f"no rows for {name}: {len(train.texts)} to train, {len(validation.texts)} to validate")
    if len(found := set(train.labels)) < 2:
        raise OneClass(f"all {len(train.labels)} training rows are labelled {found}; deliver rows of a second label")


def _adapted(base: Path, training: Training, labels: int, device: torch.device) -> Classifier:
    """The base with a fresh LoRA adapter and a fresh head. Raises BaseUnusable."""
    from peft import LoraConfig, get_peft_model

    encoder, tokenizer = load_base(base)
    if training.max_tokens > encoder.config.max_position_embeddings:
        raise BaseUnusable(
            f"max_tokens is {training.max_tokens}, {base.name} reads {encoder.config.max_position_embeddings} at most"
        )
    config = LoraConfig(
        r=training.rank,
        lora_alpha=training.alpha,
        target_modules=list(training.targets),
        exclude_modules=["pooler.dense"] if "dense" in training.targets else None,  # the forward never asks it
    )
    try:
        encoder = get_peft_model(encoder, config)
    except ValueError as error:
        raise BaseUnusable(f"{base.name} has not the modules {training.targets} to adapt: {error}") from error
    for name, module in encoder.named_modules():
        if isinstance(module, torch.nn.Dropout):  # not in the attention: a CPU takes a third longer with it
            module.p = 0.0 if ".attention.self" in name else training.dropout
    encoder = encoder.to(device)
    pack_frozen(encoder)
    head = torch.nn.Linear(encoder.config.hidden_size, labels)
    return Classifier(encoder, tokenizer, head.to(device))


@torch.no_grad()
def _swap(weights: Sequence[torch.Tensor], others: Sequence[torch.Tensor]) -> None:
    """Exchange what the tensors hold."""
    for weight, other in zip(weights, others, strict=True):
        held = weight.clone()
        weight.copy_(other)
        other.copy_(held)


def _judged(
    classifier: Classifier,
    labels: list[str],
    weights: dict[str, float] | None,
    examples: Examples,
    training: Training,
) -> tuple[list[str], float]:
    """What it answers, and its log loss, weighed as in training, on the rows whose label it was taught."""
    classifier.encoder.eval()
    vectors = embed(classifier.encoder, classifier.tokenizer, examples.texts, training.max_tokens)
    with torch.inference_mode():
        scores = classifier.head(vectors.to(classifier.head.weight.device)).cpu()
    index = {label: i for i, label in enumerate(labels)}
    truth = torch.tensor([index.get(label, UNTAUGHT) for label in examples.labels])
    weight = None if weights is None else torch.tensor([weights[label] for label in labels])
    loss = cross_entropy(scores, truth, weight=weight, ignore_index=UNTAUGHT)
    return [labels[i] for i in scores.argmax(-1).tolist()], float(loss)


def _report(epoch: int, loss: float, answered: list[str], expected: list[str], validation_loss: float) -> EpochReport:
    from sklearn.metrics import f1_score

    right = sum(a == e for a, e in zip(answered, expected, strict=True))
    macro_f1 = float(f1_score(expected, answered, average="macro", zero_division=0.0))
    return EpochReport(epoch, loss, macro_f1, right / len(expected), validation_loss)


def _line(report: EpochReport, epochs: int) -> str:
    return (
        f"epoch {report.epoch}/{epochs}: loss {report.loss:.3f}, "
        f"validation macro F1 {report.macro_f1:.3f}, accuracy {report.accuracy:.3f}, "
        f"log loss {report.validation_loss:.3f}"
    )


def _confusion(labels: list[str], expected: list[str], answered: list[str]) -> list[list[int]]:
    pairs = Counter(zip(expected, answered, strict=True))
    return [[pairs[row, column] for column in labels] for row in labels]
