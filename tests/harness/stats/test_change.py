"""Changes of level: those that were made are found, and chance makes hardly any."""

import numpy as np
import pytest

from harness.stats.change import LEVEL, change_points


def noisy(*levels, each=8, sd=0.01, seed=0):
    rng = np.random.default_rng(seed)
    return [level + sd * float(rng.standard_normal()) for level in levels for _ in range(each)]


@pytest.mark.parametrize("seed", range(5))
def test_one_change_is_found_where_it_was_made(seed):
    (found,) = change_points(noisy(1.0, 1.2, seed=seed), margin=0.02)
    assert found.place == 8
    assert found.before == pytest.approx(1.0, abs=0.02)
    assert found.after == pytest.approx(1.2, abs=0.02)
    assert found.p <= LEVEL


def test_two_changes_there_and_back():
    found = change_points(noisy(1.0, 1.3, 1.0, each=10), margin=0.02)
    assert [change.place for change in found] == [10, 20]
    assert found[0].after == found[1].before


def test_a_change_below_the_margin_is_none():
    values = noisy(1.0, 1.05, each=20, sd=0.001)
    assert change_points(values, margin=0.1) == []
    assert len(change_points(values, margin=0.02)) == 1


def test_a_series_without_a_change_shows_one_no_more_often_than_allowed():
    found = [change_points(noisy(1.0, each=16, seed=s), margin=0.0) for s in range(60)]
    # the number of 60 at a rate of 0.05 is at most 8 in 99 of 100 cases
    assert sum(bool(changes) for changes in found) <= 8


def test_few_runs_show_nothing_and_equal_ones_neither():
    assert change_points([1.0, 2.0, 2.0], margin=0.02) == []
    assert change_points([], margin=0.02) == []
    assert change_points([1.0] * 20, margin=0.0) == []


def test_the_seed_decides():
    values = noisy(1.0, 1.02, sd=0.02)
    assert change_points(values, margin=0.0) == change_points(values, margin=0.0)
