"""However many models a region sees, its metrics name only so many of them."""

from serving.triton.backend.labels import bounded


def test_the_first_names_are_kept_and_all_others_share_one() -> None:
    label = bounded(2)
    assert [label(name) for name in ("a", "b", "a", "c", "b", "d", "c")] == [
        "a",
        "b",
        "a",
        "other",
        "b",
        "other",
        "other",
    ]


def test_each_metric_has_names_of_its_own() -> None:
    one, two = bounded(1), bounded(1)
    assert (one("a"), two("b"), one("b")) == ("a", "b", "other")
