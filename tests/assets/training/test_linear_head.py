from pathlib import Path

import numpy as np
import pytest
from training_toys import sentences

from assets.training.baseline import linear_head
from assets.training.split import Examples, OneClass


def test_the_frozen_base_tells_apart_what_one_word_gives_away(small_base: Path) -> None:
    labels = ("card", "loan", "app")
    unseen = sentences(60, 3, labels)
    head = linear_head(small_base, sentences(240, 1, labels), unseen.texts)
    assert head.labels == ["app", "card", "loan"]
    assert head.probabilities.shape == (60, 3)
    np.testing.assert_allclose(head.probabilities.sum(1), 1.0, atol=1e-6)
    assert np.mean([a == b for a, b in zip(head.answered, unseen.labels, strict=True)]) > 0.7


def test_answers_are_the_same_at_every_call(small_base: Path) -> None:
    train, texts = sentences(40, 1), sentences(10, 3).texts
    first, second = (linear_head(small_base, train, texts).probabilities for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_one_class_is_refused_by_name(small_base: Path) -> None:
    with pytest.raises(OneClass, match=r"all 2 training rows are labelled \{'x'\}"):
        linear_head(small_base, Examples(["a", "b"], ["x", "x"]), ["c"])
