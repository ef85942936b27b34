import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assets.training.split import OneClass, Split, TooFewRows, UnusableRecords, examples, split
from governance.tenants import Training

TRAINING = Training(evaluation_share=0.2, validation_share=0.1)


def records(subjects: list[str], labels: list[str | None] | None = None) -> pa.Table:
    labels = labels or [f"label {i % 2}" for i in range(len(subjects))]
    return pa.table(
        {
            "subject_id": pa.array(subjects, pa.string()),
            "text": pa.array([f"text {i}" for i in range(len(subjects))], pa.string()),
            "label": pa.array(labels, pa.string()),
        }
    )


def both_labels(subjects: list[str]) -> pa.Table:
    """Each subject with a row of either label, so that any side with a subject has both."""
    return records([subject for subject in subjects for _ in range(2)])


def subjects_of(parts: Split) -> list[set[str]]:
    return [set(part["subject_id"].to_pylist()) for part in (parts.train, parts.validation, parts.evaluation)]


many_subjects = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=40, unique=True).map(
    lambda extra: [*extra, *(f"known {i}" for i in range(60))]
)


@settings(deadline=None, max_examples=50)
@given(many_subjects)
def test_a_subject_is_on_one_side_only_and_no_row_is_lost(subjects: list[str]) -> None:
    table = both_labels(subjects)
    parts = split(table, TRAINING)
    train, validation, evaluation = subjects_of(parts)
    assert not train & validation and not train & evaluation and not validation & evaluation
    texts = [text for part in (parts.train, parts.validation, parts.evaluation) for text in part["text"].to_pylist()]
    assert sorted(texts) == sorted(table["text"].to_pylist())


@settings(deadline=None, max_examples=50)
@given(many_subjects, st.integers(1, 40))
def test_a_subject_keeps_its_side_when_later_deliveries_are_added(subjects: list[str], later: int) -> None:
    before = subjects_of(split(both_labels(subjects), TRAINING))
    grown = [f"later {i}" for i in range(later)] + subjects[::-1]
    after = subjects_of(split(both_labels(grown), TRAINING))
    for earlier, now in zip(before, after, strict=True):
        assert earlier == now & set(subjects)


@settings(deadline=None, max_examples=50)
@given(st.floats(0.1, 0.4), st.floats(0.1, 0.4))
def test_a_larger_evaluation_share_never_moves_a_held_out_subject_into_training(a: float, b: float) -> None:
    table = both_labels([f"subject {i}" for i in range(200)])
    less = split(table, TRAINING.model_copy(update={"evaluation_share": min(a, b)}))
    more = split(table, TRAINING.model_copy(update={"evaluation_share": max(a, b)}))
    assert subjects_of(less)[2] <= subjects_of(more)[2]


def test_the_shares_are_those_asked_for() -> None:
    train, validation, evaluation = subjects_of(split(both_labels([f"subject {i}" for i in range(4000)]), TRAINING))
    assert len(evaluation) / 4000 == pytest.approx(0.2, abs=0.02)
    assert len(validation) / (len(train) + len(validation)) == pytest.approx(0.1, abs=0.02)


def test_this_subject_stays_where_the_first_release_put_it() -> None:
    # Golden: a change of the hash would train new releases on the rows that old ones are judged by.
    evaluation = subjects_of(split(both_labels([f"subject {i}" for i in range(40)]), TRAINING))[2]
    assert evaluation == {"subject 11", "subject 2", "subject 20", "subject 3", "subject 33", "subject 7"}


def test_too_few_subjects_are_named_with_the_numbers() -> None:
    with pytest.raises(TooFewRows, match=r"no rows for validation.*6 records of 1 subjects.*training 6"):
        split(records(["one"] * 6), Training(evaluation_share=1e-9, validation_share=1e-9))
    with pytest.raises(TooFewRows, match="no rows for training and validation and evaluation: 0 records"):
        split(records([]), TRAINING)


def test_a_part_of_one_label_is_refused_with_the_numbers() -> None:
    subjects = [f"subject {i}" for i in range(200)]
    with pytest.raises(OneClass, match=r"training and validation and evaluation.*training 1, validation 1, evalua"):
        split(records(subjects, ["only"] * 200), TRAINING)


def test_a_record_without_a_label_is_refused_and_not_taken_for_a_class() -> None:
    with pytest.raises(UnusableRecords, match="1 of 3 records have no label"):
        split(records(["a", "b", "c"], ["x", None, "y"]), TRAINING)


def test_examples_keep_texts_and_labels_together() -> None:
    table = both_labels([f"subject {i}" for i in range(100)])
    known = dict(zip(table["text"].to_pylist(), table["label"].to_pylist(), strict=True))
    shown = examples(split(table, TRAINING).train)
    assert all(known[text] == label for text, label in zip(shown.texts, shown.labels, strict=True))
