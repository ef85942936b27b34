"""Five releases in a row, each a little worse: the live champion lets them through, the best ever stops them."""

from itertools import pairwise

from gate_simulation import rows

from governance.gate.noninferiority import compare, verdict_of

MARGIN = 0.03


def test_small_losses_in_a_row_are_stopped_by_the_best_ever_champion() -> None:
    data = rows(3000, 11)
    generations = [data.model(0.04)]
    for _ in range(5):
        generations.append(data.spoiled(generations[-1], 0.015))

    against_live = [_holds(data, new, old) for old, new in pairwise(generations)]
    against_best = [_holds(data, new, generations[0]) for new in generations[1:]]

    assert all(against_live), "each step alone is within the margin; if not, this test shows nothing"
    assert against_best[0] and not any(against_best[2:])


def _holds(data, candidate, champion) -> bool:
    found = compare(data.truth, candidate, champion, data.subjects, 1)["accuracy"]
    return verdict_of(found.lower, found.upper, MARGIN, True) != "inferior"
