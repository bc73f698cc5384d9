"""Every field of a result is what it says, and every limit lies where it is said to lie.

Each of these was a change that no other test noticed: `make mutants` lists such changes.
"""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats.accuracy import accuracy_change, accuracy_difference
from harness.stats.describe import median_interval, summarize
from harness.stats.drift import drift, lag_one, slot_p
from harness.stats.paired import (
    LARGE,
    RESAMPLES,
    SEED,
    bca_interval,
    expanded_level,
    needed_pairs,
    paired_ratio,
    ratio_of_logs,
    sign_flip_p,
)
from harness.stats.unpaired import ratio_of_samples

A, B = [1.0, 1.2, 0.9, 1.3, 1.1], [2.0, 2.1, 2.3, 1.9, 2.2]
LOGS = np.log(A) - np.log(B)


@pytest.mark.parametrize(("a", "b"), [(A, B), (B, A)], ids=["below", "above"])
def test_fields_of_a_paired_ratio(a, b):
    found = paired_ratio(a, b)
    low, high = found.interval
    assert (found.n, found.p_floor) == (5, 2.0**-4)
    assert found.half_width == pytest.approx(math.log(high / low) / 2)
    assert found.n_for_one_percent == needed_pairs(float(LOGS.std(ddof=1)))
    # the hull: no narrower than either, and each end is one of theirs
    assert low == min(found.t_interval[0], found.bca_interval[0])
    assert high == max(found.t_interval[1], found.bca_interval[1])


def test_fields_of_few_pairs():
    one, two = paired_ratio([2.0], [1.0]), paired_ratio([2.0, 2.2], [1.0, 1.0])
    assert (one.n, one.interval, one.p_floor, one.n_for_one_percent) == (1, None, None, None)
    assert (two.n, two.p_floor, two.bca_interval) == (2, 0.5, None)
    assert two.n_for_one_percent is not None
    assert two.interval == two.t_interval


def test_integers_are_numbers_too():
    assert paired_ratio([2, 4], [1, 1]) == paired_ratio([2.0, 4.0], [1.0, 1.0])


def test_swapping_turns_signs_exactly_where_the_mean_is_zero():
    logs = np.array([-3.0, 1.0, 2.0])
    assert logs.mean() == 0
    ours, theirs = ratio_of_logs(logs), ratio_of_logs(-logs)
    assert ours.bca_interval == tuple(1 / end for end in reversed(theirs.bca_interval))
    assert ours.bca_interval[1] != pytest.approx(theirs.bca_interval[1])


def test_bootstrap_from_three_values_to_two_hundred():
    rng = np.random.default_rng(0)
    assert bca_interval(rng.normal(size=2)) is None
    assert bca_interval(np.array([0.1, 0.25, 0.3])) is not None
    assert bca_interval(rng.normal(size=LARGE), resamples=99) is not None
    assert bca_interval(rng.normal(size=LARGE + 1), resamples=99) is None


def test_drawn_patterns_of_signs_are_the_same_every_time():
    logs = np.random.default_rng(1).normal(0.3, 1, 25)
    assert sign_flip_p(logs) == sign_flip_p(logs)


def test_needed_pairs_are_the_fewest():
    for sd in (0.004, 0.01, 0.03, 0.2):
        n = needed_pairs(sd)
        half = [stats.t.ppf(0.975, m - 1) * sd / math.sqrt(m) for m in (n - 1, n) if m > 1]
        assert half[-1] <= 0.01
        assert n == 2 or half[0] > 0.01


def test_drift_of_three_values_and_its_interval():
    assert drift([0, 1], [1.0, 2.0]).n == 2
    assert drift([0, 0, 0], [1.0, 2.0, 3.0]).per_block is None
    found = drift([0, 1, 3], [1.0, 1.1, 1.3])
    fit = stats.linregress([0, 1, 3], np.log([1.0, 1.1, 1.3]))
    half = stats.t.ppf(0.975, 1) * fit.stderr
    assert found.n == 3
    assert found.interval == pytest.approx(
        (math.expm1(fit.slope - half), math.expm1(fit.slope + half))
    )
    assert drift([0, 0, 1], [1.0, 1.1, 1.3]).per_block is not None


def test_neighbours_are_correlated_after_the_trend_is_taken_out():
    x = np.arange(12)
    wave = 0.05 * np.sin(x)
    found = drift(list(x), list(np.exp(0.1 * x + wave)))
    fit = stats.linregress(x, 0.1 * x + wave)
    rest = 0.1 * x + wave - fit.intercept - fit.slope * x
    assert found.n == 12
    assert found.lag_one == pytest.approx(lag_one(rest))
    assert found.lag_one > 0.4


def test_rounding_is_no_spread():
    assert lag_one([1e6, 1e6 + 1e-7, 1e6, 1e6 + 1e-7]) is None
    assert lag_one([0.0, 1e-9, 0.0, 1e-9]) is not None
    assert lag_one([0, 1, 0, 1]) == lag_one([0.0, 1.0, 0.0, 1.0])


def test_slots_of_two_values_and_two_slots_are_enough():
    assert slot_p([0, 0, 1, 1], [1.0, 1.1, 2.0, 2.1]) is not None
    assert slot_p([0, 0, 1], [1.0, 1.1, 2.0]) is None
    assert slot_p([], []) is None


def test_fields_of_an_accuracy_difference():
    none = accuracy_difference([], [], images=10_000, margin_points=0.7)
    assert (none.n, none.margin_points) == (0, 0.7)
    found = accuracy_difference([0.0, 1.0, 0.5], [0.1, 0.9, 0.5], images=10_000)
    assert found.n == 3
    with pytest.raises(ValueError, match=r"lie in \[0, 1\]"):
        accuracy_difference([1.5], [1.0], images=10)
    assert accuracy_difference([0, 1], [1, 0], images=9) == accuracy_difference(
        [0.0, 1.0], [1.0, 0.0], images=9
    )


def test_fields_of_an_accuracy_change():
    none = accuracy_change([], [0.5], images=10_000, margin_points=0.7)
    one = accuracy_change([0.9], [0.8, 0.8], images=10_000, margin_points=0.7)
    assert (none.n, none.margin_points, none.difference_points) == (0, 0.7, None)
    assert (one.n, one.margin_points) == (1, 0.7)
    assert one.difference_points == pytest.approx(10.0)
    flat = accuracy_change([0.9, 0.9], [0.8, 0.8, 0.8], images=10_000, margin_points=0.7)
    assert (flat.n, flat.verdict, flat.tost_p) == (2, "different", 1.0)
    assert flat.difference_points == pytest.approx(10.0)


@pytest.mark.parametrize("turned", [False, True])
def test_accuracy_change_is_welch_on_both_sides(turned):
    a, b = [0.900, 0.905, 0.910], [0.902, 0.9021, 0.9022, 0.902, 0.9021]
    a, b = (b, a) if turned else (a, b)
    found = accuracy_change(a, b, images=10**9, margin_points=0.8)
    x, y = 100 * np.array(a), 100 * np.array(b)
    interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval(0.95)
    sides = [
        stats.ttest_ind(x + 0.8, y, equal_var=False, alternative="greater").pvalue,
        stats.ttest_ind(x - 0.8, y, equal_var=False, alternative="less").pvalue,
    ]
    assert found.n == 3
    assert found.margin_points == 0.8
    assert found.difference_points == pytest.approx(x.mean() - y.mean())
    assert found.interval == pytest.approx((interval.low, interval.high))
    assert found.tost_p == pytest.approx(max(sides))


def test_one_constant_sample_leaves_the_other_s_error():
    found = accuracy_change([0.9, 0.9, 0.9], [0.8, 0.9, 0.85], images=10_000)
    low, high = found.interval
    assert low < high


def test_fields_of_an_unpaired_ratio():
    found = ratio_of_samples(A, B[:4])
    test = stats.ttest_ind(np.log(A), np.log(B[:4]), equal_var=False)
    ends = test.confidence_interval(0.95)
    assert found.n == 4
    assert found.t_interval == found.interval
    assert found.interval == pytest.approx((math.exp(ends.low), math.exp(ends.high)))
    same = ratio_of_samples([1.0, 2.0], [2.0, 1.0])
    assert same.p == pytest.approx(1.0)


def test_two_values_have_a_standard_deviation():
    assert summarize([1, 3]).sd == pytest.approx(math.sqrt(2))
    assert summarize([1.0]).sd is None


def test_median_interval_is_of_the_middle():
    values = [float(k) for k in range(20)]
    low, high = median_interval(values)
    assert (low, high) == (5.0, 14.0)  # order statistics 6 and 15 hold 95.9 % (binomial, 20, ½)
    assert median_interval([]) is None


def test_hull_reaches_as_far_as_the_bootstrap_does():
    """A skewed sample: the bootstrap's end lies beyond that of the t interval, and counts."""
    logs = np.array([0.0, 0.01, 0.02, 0.0, 0.03, 0.01, 0.02, 0.9])
    found = ratio_of_logs(logs)
    assert found.bca_interval[1] > found.t_interval[1]
    assert found.interval == (
        min(found.t_interval[0], found.bca_interval[0]),
        found.bca_interval[1],
    )
    expected = stats.bootstrap(
        (logs,), np.mean, n_resamples=RESAMPLES, confidence_level=expanded_level(8), method="BCa",
        rng=np.random.default_rng(SEED),
    ).confidence_interval  # fmt: skip
    assert math.log(found.bca_interval[1]) == pytest.approx(float(expected.high))


def test_interval_that_reaches_into_the_margin_decides_nothing():
    found = accuracy_difference([0.90, 0.90, 0.90, 0.90], [0.90, 0.93, 0.92, 0.90], images=10**9)
    assert found.interval[0] < -found.margin_points < found.interval[1]
    assert found.verdict == "inconclusive"
