import numpy as np
import pytest
from scipy import stats

from harness.stats import drift, lag_one, slot_effect, slot_p


def test_a_trend_without_noise_is_read_off():
    blocks = list(range(10))
    d = drift(blocks, [3.0 * 1.02**k for k in blocks])
    assert d.per_block == pytest.approx(0.02, rel=1e-12, abs=1e-12)
    assert d.interval == pytest.approx((0.02, 0.02), rel=1e-12, abs=1e-12)


def test_trend_equals_scipy_least_squares(rng):
    x, y = np.arange(12), np.exp(0.01 * np.arange(12) + 0.05 * rng.standard_normal(12))
    fit = stats.linregress(x, np.log(y))
    assert drift(x, y).per_block == pytest.approx(np.expm1(fit.slope), rel=1e-12)


def test_interval_of_the_trend_covers_its_truth():
    rng, hits = np.random.default_rng(29), 0
    for _ in range(1000):
        low, high = drift(range(10), np.exp(0.02 * rng.standard_normal(10))).interval
        hits += low <= 0 <= high
    assert 0.93 <= hits / 1000 <= 0.97


def test_too_few_blocks_have_no_trend():
    assert drift([0, 1], [1.0, 2.0]).per_block is None
    assert drift([1, 1, 1], [1.0, 2.0, 3.0]).per_block is None


def test_lag_one_by_hand():
    # centred -1 1 -1 1: products -1 -1 -1 over a sum of squares of 4
    assert lag_one([0.0, 2.0, 0.0, 2.0]) == pytest.approx(-0.75, rel=1e-12)
    assert lag_one([1.0, 2.0, 3.0]) is None
    assert lag_one([2.0] * 8) is None


def test_slot_effect_by_hand():
    # geometric means 2 and 8 around 4
    assert slot_effect([0, 1, 0, 1], [1.0, 8.0, 4.0, 8.0]) == {
        0: pytest.approx(0.5, rel=1e-12),
        1: pytest.approx(2.0, rel=1e-12),
    }
    assert slot_effect([], []) == {}


def test_slot_p_equals_scipys_analysis_of_variance(rng):
    values = np.exp(rng.standard_normal(12))
    slots = [0, 1, 2] * 4
    expected = stats.f_oneway(*(np.log(values[k::3]) for k in range(3))).pvalue
    assert slot_p(slots, values) == pytest.approx(expected, rel=1e-12)


def test_slot_p_without_two_slots_of_two_values_is_absent():
    assert slot_p([], []) is None
    assert slot_p([0, 0, 1], [1.0, 2.0, 3.0]) is None
    assert slot_p([0, 0, 1, 1], [2.0, 2.0, 3.0, 3.0]) is None
