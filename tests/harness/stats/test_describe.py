import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import median_interval, summarize, t_interval


def test_figures_of_a_sample_worked_out_by_hand():
    s = summarize([2.0, 4.0, 4.0, 6.0])  # deviations -2 0 0 2: s² = 8/3
    assert (s.n, s.mean, s.median, s.min, s.max) == (4, 4.0, 4.0, 2.0, 6.0)
    assert s.sd == pytest.approx(math.sqrt(8 / 3), rel=1e-12)
    assert s.values == (2.0, 4.0, 4.0, 6.0)
    # t(0.975, 3) = 3.182446305283709 in any table; half width t·s/√4
    half = 3.182446305283709 * math.sqrt(8 / 3) / 2
    assert s.mean_interval == pytest.approx((4 - half, 4 + half), rel=1e-12)


def test_mean_interval_equals_scipy(rng):
    sample = rng.standard_normal(10)
    theirs = stats.ttest_1samp(sample, 0).confidence_interval(0.95)
    assert t_interval(sample) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_ten_values_give_the_second_to_the_ninth():
    # coverage 1 - 2·(1 + 10)/1024 = 97.9 %; the third to the eighth would have 89.1 %
    assert median_interval([9, 1, 8, 2, 7, 3, 6, 4, 5, 10]) == (2.0, 9.0)


@pytest.mark.parametrize(("n", "rank"), [(6, 1), (8, 1), (9, 2), (12, 3), (25, 8), (100, 40)])
def test_ranks_are_those_of_the_table(n, rank):
    """Largest k with 2·P(Binomial(n, 1/2) < k) at most 5 %: any table of the sign test."""
    assert median_interval(range(1, n + 1)) == (rank, n + 1 - rank)


@pytest.mark.parametrize("n", range(6))
def test_below_six_values_no_median_interval_reaches_the_level(n):
    assert median_interval(range(n)) is None


def test_small_samples_have_defined_figures():
    empty, one = summarize([]), summarize([3.0])
    assert (empty.n, empty.mean, empty.sd, empty.values) == (0, None, None, ())
    assert (one.n, one.mean, one.sd, one.mean_interval) == (1, 3.0, None, None)


def test_equal_values_give_an_interval_without_width():
    s = summarize([5.0] * 10)
    assert (s.sd, s.mean_interval, s.median_interval) == (0.0, (5.0, 5.0), (5.0, 5.0))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_value_that_is_not_finite_is_refused(bad):
    with pytest.raises(ValueError, match="not finite"):
        summarize([1.0, bad])


def test_median_interval_covers_what_it_says():
    rng = np.random.default_rng(7)
    hits = 0
    for _ in range(2000):
        low, high = median_interval(rng.exponential(size=10))
        hits += low <= math.log(2) <= high
    assert 0.965 <= hits / 2000 <= 0.99  # 97.9 % by construction, whatever the distribution
