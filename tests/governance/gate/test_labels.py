"""Label drift: shuffled labels are found by the champion's collapse; new labels and small wobbles are no collapse."""

import numpy as np
from gate_simulation import LABELS, rows

from governance.gate.document import LabelDrift
from governance.gate.labels import label_drift


def test_a_delivery_with_shuffled_labels_collapses_the_champion() -> None:
    golden, new = rows(1500, 1), rows(1000, 2)
    shuffled = new.rng.permutation(new.truth)
    drift = _drift((golden.truth, golden.model(0.1)), (shuffled, new.model(0.1)))
    assert drift.collapsed and drift.lower > 0.5 and not drift.relabelled


def test_a_third_of_the_labels_shuffled_is_enough() -> None:
    golden, new = rows(1500, 1), rows(1000, 2)
    poisoned = np.where(new.rng.random(1000) < 0.33, new.rng.permutation(new.truth), new.truth)
    assert _drift((golden.truth, golden.model(0.1)), (poisoned, new.model(0.1))).collapsed


def test_a_harder_delivery_is_no_collapse() -> None:
    golden, new = rows(1500, 1), rows(1000, 2)
    assert not _drift((golden.truth, golden.model(0.05)), (new.truth, new.model(0.10))).collapsed


def test_a_few_bad_rows_are_no_evidence() -> None:
    golden = rows(1500, 1)
    assert not _drift((golden.truth, golden.model(0.05)), (["card"] * 4, ["card", "card", "loan", "card"])).collapsed


def test_a_new_label_is_not_a_wrong_label() -> None:
    golden, new = rows(1500, 1), rows(1000, 2)
    truth = np.where(np.arange(1000) < 300, "crypto", new.truth)
    drift = _drift((golden.truth, golden.model(0.1)), (truth, new.model(0.1)))
    assert not drift.collapsed and drift.unknown_rows == 300


def test_a_delivery_of_other_labels_altogether_is_vouched_for_by_nobody() -> None:
    golden = rows(1500, 1)
    drift = _drift((golden.truth, golden.model(0.1)), (["x"] * 900 + ["card"] * 100, ["card"] * 1000))
    assert drift.collapsed and drift.relabelled


def _drift(golden, new) -> LabelDrift:
    return LabelDrift(champion="a.b@1", **vars(label_drift(golden, new, set(LABELS))))
