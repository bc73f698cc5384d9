import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import accuracy_change, accuracy_difference, mcnemar, needed_images

A = [0.913, 0.915, 0.912, 0.914, 0.916]
B = [0.914, 0.913, 0.912, 0.915, 0.914]


def test_difference_and_interval_equal_scipy():
    d = accuracy_difference(A, B, images=10_000)
    theirs = stats.ttest_rel(np.array(A) * 100, np.array(B) * 100).confidence_interval(0.95)
    assert d.difference_points == pytest.approx(0.04, rel=1e-12, abs=1e-12)
    assert d.interval == pytest.approx((theirs.low, theirs.high), rel=1e-12, abs=1e-12)


def test_two_one_sided_tests_worked_out_by_hand():
    # differences 1, -1 points: mean 0, s = √2, s/√2 = 1; t = 0.5 on 1 degree of freedom
    d = accuracy_difference([0.91, 0.90], [0.90, 0.91], images=10**9)
    assert d.tost_p == pytest.approx(0.5 - math.atan(0.5) / math.pi, rel=1e-12, abs=1e-12)
    assert d.verdict == "inconclusive"


def test_close_accuracies_are_equivalent_and_far_ones_get_no_word_of_speed():
    assert accuracy_difference(A, B, images=10_000).verdict == "equivalent"
    far = accuracy_difference(A, [b - 0.05 for b in B], images=10_000)
    assert (far.verdict, far.interval[0] > 0.5) == ("different", True)


def test_a_small_test_set_widens_no_margin_and_is_told_the_images_it_lacks():
    # the standard error of 0.9 on 3,600 images: √(0.9·0.1/3600) = 0.5 points
    assert needed_images(0.9, 0.5) == 3_600
    few = accuracy_difference([0.9] * 9, [0.9] * 9, images=3_599)
    assert (few.verdict, few.margin_points, few.needed_images) == ("inconclusive", 0.5, 3_600)
    enough = accuracy_difference([0.9] * 9, [0.9] * 9, images=3_600)
    assert (enough.verdict, enough.needed_images) == ("equivalent", None)
    assert accuracy_change([0.9] * 9, [0.8] * 9, images=10).verdict == "inconclusive"


def test_equal_accuracies_without_spread_are_equivalent():
    same = accuracy_difference([0.9] * 10, [0.9] * 10, images=10_000)
    assert (same.difference_points, same.tost_p, same.verdict) == (0.0, 0.0, "equivalent")
    apart = accuracy_difference([0.95] * 10, [0.9] * 10, images=10_000)
    assert (apart.tost_p, apart.verdict) == (1.0, "different")


def test_too_few_blocks_claim_nothing():
    assert accuracy_difference([], [], images=10).verdict == "inconclusive"
    assert accuracy_difference([0.9], [0.9], images=10_000).verdict == "inconclusive"


def test_counts_must_match_and_values_must_be_fractions():
    with pytest.raises(ValueError, match="2 values of A and 1 of B"):
        accuracy_difference([0.9, 0.9], [0.9], images=10)
    for bad in (90.3, math.nan):
        with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
            accuracy_difference([bad], [0.9], images=10)


def test_mcnemar_by_hand():
    # of 10 images on which they differ A wins 1: 2·(1 + 10)/1024
    assert mcnemar(1, 9) == pytest.approx(22 / 1024, rel=1e-12)
    assert (mcnemar(0, 0), mcnemar(4, 4)) == (1.0, 1.0)
    with pytest.raises(ValueError, match="cannot be negative"):
        mcnemar(-1, 2)


def test_false_claims_of_equivalence_at_the_margin_stay_at_five_per_cent():
    rng = np.random.default_rng(23)
    claims = 0
    for _ in range(1000):
        a = 0.9 + 0.005 + 0.002 * rng.standard_normal(10)  # true difference: the margin itself
        claims += accuracy_difference(a, [0.9] * 10, images=10**6).verdict == "equivalent"
    assert claims / 1000 <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 1000)


def test_change_between_independent_samples_equals_welchs_test():
    theirs = stats.ttest_ind(np.array(A) * 100, np.array(B[:4]) * 100, equal_var=False)
    interval = theirs.confidence_interval(0.95)
    change = accuracy_change(A, B[:4], images=10_000)
    assert change.n == 4
    assert change.interval == pytest.approx((interval.low, interval.high), rel=1e-12, abs=1e-12)
    assert change.verdict == "equivalent"


def test_change_of_small_or_equal_samples_is_defined():
    assert accuracy_change([], [0.9], images=100).verdict == "inconclusive"
    assert accuracy_change([0.9], [0.8, 0.8], images=10_000).verdict == "inconclusive"
    assert accuracy_change([0.9] * 3, [0.9] * 2, images=10_000).verdict == "equivalent"
    assert accuracy_change([0.9] * 3, [0.8] * 3, images=10_000).verdict == "different"
