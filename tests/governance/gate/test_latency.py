"""Latency: a busy machine does not refuse an equal model, a model twice as slow is found."""

import numpy as np
import pytest

from governance.gate.latency import LOOKS, compare_latency, is_clear, is_slow

LIMIT = 1.25


def test_equal_models_on_a_noisy_machine_are_not_called_slow() -> None:
    """Twice in a row, as the gate asks: the chance of a false refusal is that of the pooled second look."""
    assert sum(_refused(seed, slowdown=1.0) for seed in range(60)) <= 1


def test_a_model_twice_as_slow_is_found_on_the_same_machine() -> None:
    assert all(_refused(seed, slowdown=2.0) for seed in range(20))


def test_a_model_half_as_slow_again_is_mostly_found() -> None:
    assert sum(_refused(seed, slowdown=1.5) for seed in range(30)) >= 21


def test_the_ratio_is_of_the_95th_percentile_in_milliseconds() -> None:
    found = compare_latency([0.010] * 90 + [0.100] * 10, [0.010] * 100, 1)
    assert found.candidate_p50 == pytest.approx(10) and found.candidate_p95 == pytest.approx(100)
    assert found.ratio == pytest.approx(10) and found.lower <= found.ratio <= found.upper


@pytest.mark.parametrize("broken", [[0.01] * 19, [0.0] * 40, [float("nan")] * 40])
def test_timings_that_cannot_be_judged_are_an_error(broken: list[float]) -> None:
    with pytest.raises(ValueError, match="timing"):
        compare_latency(broken, broken, 1)


def _refused(seed: int, slowdown: float) -> bool:
    rng = np.random.default_rng(seed)
    pairs = np.empty((2, 0))
    for look, wanted in enumerate(LOOKS):
        pairs = np.concatenate([pairs, _machine(rng, slowdown, wanted - pairs.shape[1])], axis=1)
        found = compare_latency(*pairs, seed)
        if is_clear(look, found, LIMIT):
            break
    return is_slow(found.ratio, found.lower, LIMIT)


def _machine(rng: np.random.Generator, slowdown: float, pairs: int) -> np.ndarray:
    """8 ms requests in turn on a machine with neighbours: bursts of 150 ms that double the time, 2 % spikes."""
    seconds, now, busy, until = np.empty((2, pairs)), 0.0, False, 0.0
    for pair in range(pairs):
        for who in (0, 1) if pair % 2 else (1, 0):
            while now > until:
                busy = not busy
                until += rng.exponential(0.15 if busy else 0.5)
            took = 0.008 * rng.lognormal(0, 0.1) * (slowdown if who == 0 else 1)
            took *= 1.3 + rng.exponential(0.7) if busy else 1
            took += rng.exponential(0.03) if rng.random() < 0.02 else 0
            seconds[who, pair] = took
            now += took
    return seconds
