"""The random-effects line: a published example, formulas by hand, coverage by simulation."""

import math

import numpy as np
import pytest
from scipy import optimize, stats

from harness.stats.machines import across_machines, random_effects

# Log risk ratios of 13 trials of the BCG vaccine and their variances: Colditz et al. 1994, JAMA
# 271, as in metafor's `dat.bcg`, whose `rma(yi, vi)` prints tau^2 = 0.3132, estimate -0.7145,
# Q(12) = 152.2330
BCG = np.array(
    [
        -0.8893, -1.5854, -1.3481, -1.4416, -0.2175, -0.7861, -1.6209, 0.0120, -0.4694, -1.3713,
        -0.3394, 0.4459, -0.0173,
    ]
)  # fmt: skip
BCG_VARIANCES = np.array(
    [
        0.3256, 0.1946, 0.4154, 0.0200, 0.0512, 0.0069, 0.2230, 0.0040, 0.0564, 0.0730, 0.0124,
        0.5325, 0.0714,
    ]
)  # fmt: skip


def test_a_published_example():
    found = random_effects(BCG, BCG_VARIANCES)
    assert found.tau**2 == pytest.approx(0.3132, abs=1e-3)
    assert math.log(found.ratio) == pytest.approx(-0.7145, abs=1e-3)
    assert found.q == pytest.approx(152.23, rel=0.01)
    assert found.q_p < 1e-20
    assert found.i_squared == pytest.approx(1 - 12 / found.q)


def test_tau_maximizes_the_restricted_likelihood():
    def minus_likelihood(tau2):
        w = 1 / (BCG_VARIANCES + tau2)
        mean = w @ BCG / w.sum()
        return -0.5 * (np.log(w).sum() - np.log(w.sum()) - w @ (BCG - mean) ** 2)

    best = optimize.minimize_scalar(minus_likelihood, bounds=(0, 2), method="bounded")
    assert random_effects(BCG, BCG_VARIANCES).tau ** 2 == pytest.approx(best.x, rel=1e-4)


def test_interval_and_prediction_by_hand():
    found = random_effects(BCG, BCG_VARIANCES)
    w = 1 / (BCG_VARIANCES + found.tau**2)
    mean = math.log(found.ratio)
    q = w @ (BCG - mean) ** 2 / 12
    assert q > 1  # else the example would not tell the two apart
    error = math.sqrt(q / w.sum())
    low, high = (math.log(end) for end in found.interval)
    assert high - mean == pytest.approx(stats.t.ppf(0.975, 12) * error)
    assert mean - low == pytest.approx(high - mean)
    low, high = (math.log(end) for end in found.prediction)
    assert high - mean == pytest.approx(stats.t.ppf(0.975, 11) * math.hypot(found.tau, error))


def test_equal_machines_are_no_more_certain_than_their_noise():
    """Without the floor of Röver et al. the interval of equal effects would be a point."""
    found = random_effects(np.array([0.5, 0.5, 0.5]), np.full(3, 0.01))
    assert found.tau == 0
    assert found.i_squared == 0
    assert math.log(found.interval[1]) - 0.5 == pytest.approx(
        stats.t.ppf(0.975, 2) * math.sqrt(0.01 / 3)
    )


def test_swapping_the_engines_inverts_everything():
    logs = [[0.1, 0.12, 0.09], [0.3, 0.28, 0.31, 0.33], [0.2, 0.25]]
    ours, theirs = across_machines(logs), across_machines([[-x for x in m] for m in logs])
    assert ours.ratio == pytest.approx(1 / theirs.ratio)
    assert ours.interval == pytest.approx((1 / theirs.interval[1], 1 / theirs.interval[0]))
    assert ours.tau == pytest.approx(theirs.tau)


def test_few_machines():
    assert across_machines([[0.1], []]) is None
    one = across_machines([[0.1, 0.2, 0.3], [0.5]])
    assert (one.machines, one.interval, one.prediction, one.q_p) == (1, None, None, None)
    assert one.ratio == pytest.approx(math.exp(0.2))
    two = across_machines([[0.1, 0.2], [0.3, 0.4]])
    assert two.interval is not None
    assert two.prediction is None


def test_without_any_spread():
    found = across_machines([[0.5] * 4, [0.5] * 4, [0.5] * 4])
    assert found.ratio == pytest.approx(math.exp(0.5))
    assert found.interval == pytest.approx((math.exp(0.5),) * 2, rel=1e-5)


def test_the_interval_covers():
    """Five unlike machines of eight blocks: 95 of 100 intervals hold the truth, to 3 points."""
    rng, truth, held = np.random.default_rng(11), 0.4, 0
    for _ in range(400):
        logs = [truth + rng.normal(0, 0.05) + rng.normal(0, 0.05, 8) for _ in range(5)]
        low, high = across_machines(logs).interval
        held += low <= math.exp(truth) <= high
    assert 0.92 <= held / 400 <= 0.98
