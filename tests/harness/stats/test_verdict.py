import math

import numpy as np
import pytest

from harness.stats import VERDICTS, decide, paired_ratio


@pytest.mark.parametrize(
    ("interval", "verdict"),
    [
        ((0.30, 0.40), "faster"),
        ((0.97, 0.999), "faster"),
        ((1.10, 1.20), "slower"),
        ((0.99, 1.01), "equivalent"),
        ((1 / 1.02, 1.02), "equivalent"),
        ((1.001, 1.015), "equivalent"),
        ((0.90, 1.10), "inconclusive"),
        ((0.99, 1.05), "inconclusive"),
        (None, "inconclusive"),
        ((math.nan, math.nan), "inconclusive"),
        ((0.0, math.inf), "inconclusive"),
    ],
)
def test_each_verdict(interval, verdict):
    assert decide(interval, 0.02) == verdict
    assert verdict in VERDICTS


def test_a_swapped_interval_has_the_opposite_verdict():
    opposite = {"faster": "slower", "slower": "faster"}
    rng = np.random.default_rng(5)
    for centre in rng.normal(0, 0.03, 300):
        low, high = math.exp(centre - 0.01), math.exp(centre + 0.01)
        verdict = decide((low, high))
        assert decide((1 / high, 1 / low)) == opposite.get(verdict, verdict)


@pytest.mark.parametrize("margin", [0.0, -0.1, math.nan, math.inf])
def test_a_margin_that_is_no_margin_is_refused(margin):
    with pytest.raises(ValueError, match="margin must be a number above 0"):
        decide((0.9, 1.1), margin)


@pytest.mark.parametrize(
    ("factor", "noise", "verdict"),
    [
        (0.5, 0.02, "faster"),
        (2.0, 0.02, "slower"),
        (1.0, 0.005, "equivalent"),
        (1.0, 0.2, "inconclusive"),
    ],
)
def test_each_verdict_is_reached_from_times(factor, noise, verdict):
    rng = np.random.default_rng(19)
    a, b = np.exp(noise * rng.standard_normal((2, 10)))
    assert decide(paired_ratio(factor * a, b).interval) == verdict
