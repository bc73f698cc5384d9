import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import decide, ratio_of_samples

A = [1.2, 1.1, 1.3, 1.25, 1.15, 1.22]
B = [2.2, 2.4, 2.3, 2.15]


def test_equals_scipys_welch_test_with_unequal_numbers():
    theirs = stats.ttest_ind(np.log(A), np.log(B), equal_var=False)
    interval = theirs.confidence_interval(0.95)
    r = ratio_of_samples(A, B)
    expected = math.exp(interval.low), math.exp(interval.high)
    assert r.interval == pytest.approx(expected, rel=1e-12)
    assert r.p == pytest.approx(theirs.pvalue, rel=1e-12)
    assert decide(r.interval) == "faster"


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
