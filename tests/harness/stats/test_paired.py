import itertools
import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import bca_interval, decide, paired_ratio, sign_flip_p, t_interval
from harness.stats.paired import expanded_level, needed_pairs

A = [1.2, 1.1, 1.3, 1.25, 1.15, 1.22, 1.18, 1.27, 1.31, 1.09]
B = [2.2, 2.4, 2.3, 2.15, 2.45, 2.5, 2.28, 2.35, 2.19, 2.41]


def test_ratio_is_the_geometric_mean_of_the_ratios():
    r = paired_ratio([2.0, 8.0], [1.0, 1.0])  # √(2·8) = 4
    assert r.ratio == pytest.approx(4.0, rel=1e-12)
    # log-ratios ln 2 and ln 8: mean 2 ln 2, s = √2·ln 2, half width t(0.975, 1)·s/√2
    half = 12.706204736174707 * math.log(2)
    expected = math.exp(math.log(4) - half), math.exp(math.log(4) + half)
    # SciPy before 1.17 gives this quantile to 2e-11, which the exponential makes ten times larger
    assert r.t_interval == pytest.approx(expected, rel=1e-9)


def test_t_interval_and_test_equal_scipy():
    logs = np.log(A) - np.log(B)
    theirs = stats.ttest_rel(np.log(A), np.log(B)).confidence_interval(0.95)
    r = paired_ratio(A, B)
    assert r.log_ratio == pytest.approx(logs.mean(), rel=1e-12)
    expected = math.exp(theirs.low), math.exp(theirs.high)
    assert r.t_interval == pytest.approx(expected, rel=1e-12)


def test_bootstrap_is_scipys_bca_at_the_expanded_level():
    logs = np.log(B) - np.log(A)
    theirs = stats.bootstrap(
        (logs,),
        np.mean,
        n_resamples=9_999,
        confidence_level=expanded_level(10),
        method="BCa",
        rng=np.random.default_rng(20_240_101),
    ).confidence_interval
    assert bca_interval(logs) == pytest.approx((theirs.low, theirs.high), rel=1e-12)


def test_expanded_level_worked_out_by_hand():
    # n = 10: √(10/9)·2.262157162740992 = 2.384523..., 1 - 2Φ(-2.384523) = 0.98290
    assert expanded_level(10) == pytest.approx(math.erf(2.262157162740992 * math.sqrt(5) / 3))


def test_swapping_the_engines_inverts_everything_exactly():
    forward, backward = paired_ratio(A, B), paired_ratio(B, A)
    assert backward.log_ratio == -forward.log_ratio
    for name in ("t_interval", "bca_interval", "interval"):
        (low, high), (low_b, high_b) = getattr(forward, name), getattr(backward, name)
        # one of the two is by construction 1/x of the other, with one rounding
        assert low_b == 1 / high or high == 1 / low_b
        assert high_b == 1 / low or low == 1 / high_b
    assert (forward.p, forward.half_width) == (backward.p, backward.half_width)
    assert decide(forward.interval) == "faster"
    assert decide(backward.interval) == "slower"


def test_exact_p_counts_all_sign_patterns(rng):
    d = rng.standard_normal(10) + 0.5
    means = [np.mean(np.array(s) * d) for s in itertools.product([-1, 1], repeat=10)]
    exact = np.mean(np.abs(means) >= abs(d.mean()) * (1 - 1e-14))
    assert sign_flip_p(d) == pytest.approx(exact, rel=1e-12)


def test_exact_p_by_hand():
    assert sign_flip_p(np.array([1.0, 2.0, 3.0])) == pytest.approx(2 / 8, rel=1e-12)
    # 1 + 2 - 3 = 0: every pattern is at least as extreme
    assert sign_flip_p(np.array([1.0, 2.0, -3.0])) == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_up_to_five_blocks_cannot_reach_five_per_cent(n):
    r = paired_ratio([1.0] * n, [100.0 + k for k in range(n)])
    assert r.p == pytest.approx(r.p_floor)
    assert r.p_floor > 0.05


def test_more_blocks_than_patterns_can_be_listed():
    rng = np.random.default_rng(3)
    p = sign_flip_p(rng.standard_normal(40))
    assert 0.05 < p <= 1
    assert sign_flip_p(np.abs(rng.standard_normal(40)) + 1) < 1e-4


def test_thousands_of_blocks_take_the_t_interval_alone(rng):
    d = 0.01 + 0.1 * rng.standard_normal(5000)
    assert bca_interval(d) is None
    assert sign_flip_p(d) == pytest.approx(stats.ttest_1samp(d, 0).pvalue, rel=1e-12)


def test_no_pair_and_one_pair_claim_nothing():
    assert paired_ratio([], []).ratio is None
    one = paired_ratio([1.0], [3.0])
    assert one.ratio == pytest.approx(1 / 3, rel=1e-12)
    assert (one.interval, one.p, decide(one.interval)) == (None, None, "inconclusive")


def test_unequal_numbers_are_refused_not_called_different():
    with pytest.raises(ValueError, match="3 values of A and 2 of B"):
        paired_ratio([1, 2, 3], [1, 2])


@pytest.mark.parametrize("bad", [math.nan, math.inf, 0.0, -1.0])
def test_values_that_are_no_positive_number_are_refused(bad):
    with pytest.raises(ValueError, match="finite and positive"):
        paired_ratio([1.0, bad], [1.0, 1.0])


def test_equal_values_are_equivalent_and_never_different():
    r = paired_ratio([1.5] * 10, [1.5] * 10)
    assert (r.ratio, r.interval, r.p) == (1.0, (1.0, 1.0), 1.0)
    assert decide(r.interval) == "equivalent"


def test_one_constant_ratio_claims_something_only_if_the_exact_test_can():
    few, many = paired_ratio([1.0] * 5, [2.0] * 5), paired_ratio([1.0] * 6, [2.0] * 6)
    assert (few.interval, decide(few.interval)) == (None, "inconclusive")
    assert (many.p, decide(many.interval)) == (pytest.approx(2 / 64), "faster")


def test_ties_among_the_log_ratios_are_defined():
    r = paired_ratio([1, 1, 2, 2, 1, 1, 2, 2], [2, 2, 4, 4, 1, 1, 4, 4])
    assert r.interval[0] < r.ratio < r.interval[1]
    assert r.p == pytest.approx(2 / 64)  # two zeros flip for nothing


def test_pairs_needed_for_one_per_cent():
    n = needed_pairs(0.02)
    assert stats.t.ppf(0.975, n - 1) * 0.02 / math.sqrt(n) <= 0.01
    assert stats.t.ppf(0.975, n - 2) * 0.02 / math.sqrt(n - 1) > 0.01
    assert needed_pairs(0.0) == 2
    assert needed_pairs(5.0) > 900_000  # found at once, although it is far


DRAWS = 2000


@pytest.mark.parametrize("noise", ["normal", "skewed"])
def test_coverage_of_the_ratio_intervals(noise):
    rng = np.random.default_rng(11)
    hits = {"t": 0, "bca": 0}
    for _ in range(DRAWS):
        d = rng.standard_normal(10) if noise == "normal" else rng.gamma(4.0, 1.0, 10) - 4.0
        for name, (low, high) in {"t": t_interval(d), "bca": bca_interval(d, 999)}.items():
            hits[name] += low <= 0 <= high
    assert {k: 0.93 <= v / DRAWS <= 0.97 for k, v in hits.items()} == dict.fromkeys(hits, True)


def _runs_without_difference(drift: float):
    rng = np.random.default_rng(13)
    blocks = np.arange(10)
    for _ in range(DRAWS):
        common = np.exp(np.log1p(drift) * blocks)
        yield common * np.exp(0.03 * rng.standard_normal((2, 10)))


@pytest.mark.parametrize("drift", [0.0, 0.02])
def test_a_against_a_is_called_different_in_at_most_five_per_cent(drift):
    different = 0
    for a, b in _runs_without_difference(drift):
        interval = t_interval(np.log(a) - np.log(b))
        assert interval is not None
        different += not interval[0] <= 0 <= interval[1]
    # five per cent plus three standard errors of the share of 2,000 draws
    assert different / DRAWS <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / DRAWS)


def test_drift_of_two_per_cent_a_block_does_not_hide_a_real_difference():
    rng = np.random.default_rng(17)
    right = 0
    for _ in range(100):
        common = 1.02 ** np.arange(10)
        a, b = common * np.exp(0.01 * rng.standard_normal((2, 10)))
        right += decide(paired_ratio(a * 1.05, b).interval) == "slower"
    assert right >= 99
