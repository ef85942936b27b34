"""The course of one training: a head that is fitted first, then epochs of steps, their weights averaged."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch.nn.functional import cross_entropy, normalize

from assets.training.encoder import Batch, Classifier, batches, embed_tokens, pooled, tokenize
from assets.training.split import Examples
from governance.tenants import Training

Log = Callable[[str], None]
SECONDS_BETWEEN_LINES = 10.0
TEMPERATURE = 0.1  # of the contrastive loss


class TrainingDiverged(RuntimeError):
    """The loss is no longer a number."""


def course(
    classifier: Classifier,
    trained: list[torch.nn.Parameter],
    average: list[torch.Tensor],
    train: Examples,
    labels: list[str],
    weights: dict[str, float] | None,
    training: Training,
    log: Log,
) -> Callable[[int], float]:
    """A function that trains one epoch and gives its mean loss. AdamW under a one-cycle learning rate (Smith, 2018).

    Each step's weights go into `average`.
    """
    device = classifier.encoder.device
    tokens = tokenize(classifier.tokenizer, train.texts, training.max_tokens)
    if cut := sum(len(each) == training.max_tokens for each in tokens):
        log(f"{cut / len(tokens):.0%} of the texts reach max_tokens, {training.max_tokens}: the rest is not read")
    index = {label: i for i, label in enumerate(labels)}
    targets = torch.tensor([index[label] for label in train.labels], device=device)
    weight = None if weights is None else torch.tensor([weights[label] for label in labels], device=device)
    head_loss = partial(cross_entropy, weight=weight, label_smoothing=training.label_smoothing)
    _probe(classifier, tokens, targets, head_loss)
    steps = training.epochs * math.ceil(len(tokens) / training.batch_size)
    optimizer = torch.optim.AdamW(trained, lr=training.learning_rate, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, training.learning_rate, total_steps=steps)
    order = torch.Generator().manual_seed(training.seed)
    progress = _progress(log, steps, training.epochs)

    def step(batch: Batch) -> torch.Tensor:
        optimizer.zero_grad()
        batch = with_holes(batch, classifier.tokenizer, training.masking)
        vectors, labelled = pooled(classifier.encoder, batch), targets[batch.rows]
        loss = head_loss(classifier.head(vectors), labelled)
        if training.contrast:
            loss = loss + training.contrast * contrast(vectors, labelled)
        loss.backward()
        optimizer.step()
        schedule.step()
        average_in(average, trained, schedule.last_epoch - steps // training.epochs)
        return loss.detach()

    def one_epoch(epoch: int) -> float:
        classifier.encoder.train()
        total = 0.0
        for batch in batches(tokens, training.batch_size, classifier.tokenizer.pad_token_id, order):
            loss = step(batch).item()
            total += loss * len(batch.rows)
            progress(epoch, loss)
        if not math.isfinite(total):
            raise TrainingDiverged(
                f"the loss of epoch {epoch} is {total}; lower the learning rate ({training.learning_rate:g})"
            )
        return total / len(tokens)

    return one_epoch


def with_holes(batch: Batch, tokenizer: Any, share: float) -> Batch:
    """This share of the tokens, drawn anew at each step, replaced by the mask token: no word decides alone."""
    if not share or tokenizer.mask_token_id is None:
        return batch
    special = torch.isin(batch.ids, torch.tensor(tokenizer.all_special_ids))
    holes = (torch.rand(batch.ids.shape) < share) & ~special
    return replace(batch, ids=batch.ids.masked_fill(holes, tokenizer.mask_token_id))


def contrast(vectors: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Supervised contrastive loss (Khosla et al., 2020) of vectors [rows, hidden] and their labels [rows].

    Mean over the rows that share their label with another one: how unlikely each of these is among all others by
    cosine. 0 where no two rows share a label.
    """
    near = normalize(vectors, dim=1)
    alone = torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    likely = (near @ near.T / TEMPERATURE).masked_fill(alone, -math.inf).log_softmax(1).masked_fill(alone, 0.0)
    same = (labels[:, None] == labels[None]) & ~alone
    peers = same.sum(1)
    of_rows = -(likely * same).sum(1) / peers.clamp(min=1)
    return of_rows.sum() / (peers > 0).sum().clamp(min=1)


def _probe(
    classifier: Classifier, tokens: list[list[int]], targets: torch.Tensor, loss_of: Callable[..., torch.Tensor]
) -> None:
    """Fit the head alone to what the base says, so that training starts from there (Kumar et al., 2022).

    Logistic regression by L-BFGS. On 2,000 rows of Banking77 its start is better than two epochs from a random head.
    """
    head = classifier.head
    vectors = embed_tokens(classifier.encoder, tokens, classifier.tokenizer.pad_token_id).to(head.weight.device)
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=50, line_search_fn="strong_wolfe")

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = loss_of(head(vectors), targets) + head.weight.pow(2).sum() / (2 * len(tokens))
        loss.backward()
        return loss

    optimizer.step(closure)
    optimizer.zero_grad()


@torch.no_grad()
def average_in(average: Sequence[torch.Tensor], weights: Sequence[torch.Tensor], step: int) -> None:
    """Make `average` the mean of the weights after steps 1 to `step`; before step 1 it follows them."""
    for mean, weight in zip(average, weights, strict=True):
        mean.lerp_(weight, 1 / max(1, step))


def _progress(log: Log, steps: int, epochs: int) -> Callable[[int, float], None]:
    """A function to call at each step; it logs a line now and then."""
    started = last = time.monotonic()
    done = 0

    def progress(epoch: int, loss: float) -> None:
        nonlocal last, done
        done += 1
        if (now := time.monotonic()) - last >= SECONDS_BETWEEN_LINES:
            last = now
            rate = done / (now - started)
            left = (steps - done) / rate
            log(
                f"epoch {epoch}/{epochs}: step {done}/{steps}, {rate:.1f} steps/s, loss {loss:.3f}, "
                f"at most {left // 60:.0f} min {left % 60:.0f} s left"
            )

    return progress
