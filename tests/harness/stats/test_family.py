"""Comparisons decided together: against SciPy, by hand, and the words of many equal engines."""

import math

import numpy as np
import pytest
from scipy import stats

from harness.stats import family, family_of_lines
from harness.stats.family import chance_of_agreement, reach

LEVEL = 0.05


def columns(rng, count=6, n=10, shared=1.0):
    """Differences against one baseline, whose noise they share."""
    baseline = shared * rng.standard_normal(n)
    return [rng.standard_normal(n) - baseline for _ in range(count)]


def test_one_comparison_is_students_test(rng):
    values = rng.standard_normal(8) + 0.3
    (member,) = family([values]).members
    theirs = stats.ttest_1samp(values, 0.0)
    assert member.p == pytest.approx(theirs.pvalue)
    assert member.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))


def test_the_level_lies_between_bonferroni_and_one_comparison(rng):
    found = family(columns(rng, n=60))
    assert LEVEL / 6 < found.alpha < LEVEL
    one = columns(rng)[0]
    copies = family([one + 1e-6 * rng.standard_normal(10) for _ in range(6)])
    assert copies.alpha > found.alpha  # the more alike, the fewer comparisons it is in truth


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30])
def test_interval_and_p_never_disagree(n):
    rng = np.random.default_rng(n)
    for size in rng.uniform(0.0, 3.0, 25):
        found = family([column + size for column in columns(rng, n=n)])
        for member in found.members:
            low, high = member.interval
            assert (member.p <= LEVEL) == (low > 0 or high < 0)
            margin = 0.8 * size + 0.2
            assert (found.p_equivalent(member, margin) <= LEVEL) == (-margin < low < high < margin)


def test_turning_the_signs_turns_every_figure(rng):
    made = columns(rng)
    there, back = family(made), family([-column for column in made])
    for a, b in zip(there.members, back.members, strict=True):
        assert a.turned() == b


def test_missing_blocks_count_by_column(rng):
    made = columns(rng, n=12)
    made[1][:4] = math.nan
    made[2][1:] = math.nan
    made[3][:] = math.nan
    found = family(made)
    assert [member.n for member in found.members] == [12, 8, 1, 0, 12, 12]
    assert found.size == 4
    assert [member.interval is None for member in found.members[1:4]] == [False, True, True]
    low, high = found.members[1].interval
    half = stats.t.ppf(1 - found.alpha / 2, 7) * made[1][4:].std(ddof=1) / math.sqrt(8)
    assert (high - low) / 2 == pytest.approx(half)


def test_equal_values_are_judged_by_their_number(rng):
    for n, known in ((5, False), (6, True)):
        (member,) = family([np.full(n, 0.7)]).members
        assert member.p == chance_of_agreement(n) == 2.0 ** (1 - n)
        assert (member.interval is not None) == known
    (zero,) = family([np.zeros(6)]).members
    assert (zero.p, zero.interval) == (1.0, (0.0, 0.0))
    assert family([np.full(6, 0.7), rng.standard_normal(6)]).members[0].p == 2 * 2.0**-5


def test_no_comparison_decides_nothing():
    assert family([]).members == ()
    assert family([np.empty(0)]).members[0].p is None


def test_lines_are_decided_by_bonferroni():
    found = family_of_lines([(4, 0.2, 0.01), (1, 0.1, 0.0), (3, -0.1, 0.05)])
    assert (found.size, found.alpha) == (2, 0.025)
    assert found.members[0].p == pytest.approx(2 * 2 * stats.t.sf(20, 3))
    half = stats.t.ppf(1 - 0.0125, 2) * 0.05
    assert found.members[2].interval == pytest.approx((-0.1 - half, -0.1 + half))
    assert found.members[1].interval is None


def test_reach_by_hand():
    # t(1 - 0.05/8, 1) = 50.92: two blocks of four comparisons
    assert reach(2, 4) == pytest.approx(50.9233 / math.sqrt(2), rel=1e-4)


def test_the_blocks_asked_for_find_the_difference():
    rng = np.random.default_rng(5)
    effect, hits = math.log(1.05), []
    for _ in range(150):
        pilot = family([0.05 * c for c in columns(rng)], draws=999)
        n = pilot.blocks_for(pilot.members[0].sd, 10, effect)
        made = [0.05 * c for c in columns(rng, n=n)]
        made[0] = made[0] + effect
        low, high = family(made, draws=499).members[0].interval
        hits.append(low > 0 or high < 0)
    assert np.mean(hits) >= 0.8 - 2 * math.sqrt(0.16 / 150)


@pytest.mark.parametrize("kind", ["normal", "heavy tails"])
def test_all_intervals_hold_together(kind):
    rng = np.random.default_rng(11)
    misses = 0
    for _ in range(400):
        made = columns(rng)
        if kind == "heavy tails":
            made = [np.sign(column) * np.abs(column) ** 2 for column in made]
        found = family(made, draws=1999)
        misses += any(member.p <= LEVEL for member in found.members)
    assert misses / 400 <= LEVEL + 2.5 * math.sqrt(LEVEL * 0.95 / 400)


def test_lines_without_spread_decide_by_what_agreement_is_worth():
    two, many = family_of_lines([(2, 0.5, 0.0)]), family_of_lines([(9, 0.5, 0.0), (9, 0.0, 0.0)])
    assert (two.members[0].p, two.members[0].interval) == (0.5, None)
    assert (many.members[0].p, many.members[0].interval) == (2 * 2.0**-8, (0.5, 0.5))
    assert many.members[1].p == 1.0
