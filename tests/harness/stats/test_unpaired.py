import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import decide, ratio_of_samples

A = [1.2, 1.1, 1.3, 1.25, 1.15, 1.22]
B = [2.2, 2.4, 2.3, 2.15]


def test_welch_worked_out_by_hand():
    """Logarithms 0, 2 and 1, 3, 5: variances of the means 1 and 4/3, their sum 7/3.

    Degrees of freedom (7/3)² / (1/1 + (16/9)/2) = 49/17; t = 2 / √(7/3).
    """
    r = ratio_of_samples(np.exp([0.0, 2.0]), np.exp([1.0, 3.0, 5.0]))
    half = stats.t.ppf(0.975, 49 / 17) * math.sqrt(7 / 3)
    assert r.log_ratio == pytest.approx(-2.0, rel=1e-12)
    assert r.interval == pytest.approx((math.exp(-2 - half), math.exp(-2 + half)), rel=1e-11)
    assert r.p == pytest.approx(2 * stats.t.sf(2 / math.sqrt(7 / 3), 49 / 17), rel=1e-11)


def test_a_sample_without_spread_leaves_the_other_s_error():
    """Nothing is added to the variance of the mean, nor to the degrees of freedom."""
    r = ratio_of_samples([1.0] * 5, B)
    half = stats.t.ppf(0.975, len(B) - 1) * np.log(B).std(ddof=1) / math.sqrt(len(B))
    assert r.half_width == pytest.approx(half, rel=1e-11)
    assert decide(ratio_of_samples(A, B).interval) == "faster"


def test_unequal_numbers_alone_never_make_a_difference():
    rng = np.random.default_rng(31)
    different = 0
    for _ in range(2000):
        a, b = np.exp(0.05 * rng.standard_normal(10)), np.exp(0.05 * rng.standard_normal(4))
        low, high = ratio_of_samples(a, b).interval
        different += not low <= 1 <= high
    assert different / 2000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 2000)


def test_one_value_or_none_claims_nothing():
    assert ratio_of_samples([], [1.0]).ratio is None
    one = ratio_of_samples([1.0], [2.0, 2.1])
    assert (one.ratio < 1, one.interval, decide(one.interval)) == (True, None, "inconclusive")


def test_equal_values_are_equivalent():
    same = ratio_of_samples([2.0] * 4, [2.0] * 6)
    assert (same.interval, same.p, decide(same.interval)) == ((1.0, 1.0), None, "equivalent")


def test_not_a_number_is_refused():
    with pytest.raises(ValueError, match="finite and positive"):
        ratio_of_samples([math.nan, 1.0], [1.0, 2.0])
