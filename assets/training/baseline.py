"""The floor that a first release must clear: the frozen base with a linear head. No LoRA here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from assets.training.split import Examples, OneClass


@dataclass(frozen=True)
class HeadAnswers:
    """`probabilities`: float64 [texts, labels]; `answered`: the likeliest label of each text."""

    labels: list[str]
    probabilities: np.ndarray
    answered: list[str]


def linear_head(
    base: Path, train: Examples, texts: Sequence[str], max_tokens: int = 64, log: Callable[[str], None] = print
) -> HeadAnswers:
    """Answers to `texts` by logistic regression on the base's pooled vectors of `train`. Raises OneClass."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    from assets.training.encoder import embed, load_base, reproducible
    from serving.engine.packed import pack_frozen

    if len(found := set(train.labels)) < 2:
        raise OneClass(f"all {len(train.labels)} training rows are labelled {found}; deliver rows of a second label")
    log(f"frozen base: {len(train.texts)} texts to learn a linear head, {len(texts)} to answer")
    with reproducible(seed=0) as device:
        encoder, tokenizer = load_base(base)
        encoder.to(device)
        pack_frozen(encoder)
        known = embed(encoder, tokenizer, train.texts, max_tokens).numpy()
        asked = embed(encoder, tokenizer, texts, max_tokens).numpy()
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    head.fit(known, train.labels)
    probabilities = head.predict_proba(asked)
    labels = [str(label) for label in head.classes_]
    return HeadAnswers(labels, probabilities, [labels[i] for i in probabilities.argmax(-1)])
