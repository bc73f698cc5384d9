"""What went before, as an effect: planted, by chance, and where it cannot be told."""

import math
from itertools import pairwise

import numpy as np
import pytest

from harness.run.schedule import block_seeds, plan
from harness.stats import carry_over


def trials(rng, behind, blocks=10, noise=0.02):
    """Blocks of a Williams schedule in which whoever runs behind an engine takes longer."""
    planned = plan("abcd", repeats=blocks, warmups=0, seeds=block_seeds(0, blocks), schedule_seed=3)
    speed = {"a": 1.0, "b": 2.0, "c": 0.1, "d": 7.0}
    rows = []
    for before, now in pairwise(planned):
        log = math.log(speed[now.engine]) + 0.01 * now.block + noise * rng.standard_normal()
        log += math.log1p(behind.get(before.engine, 0.0))
        rows.append((now.block, now.engine, before.engine, math.exp(log)))
    return list(zip(*rows, strict=True))


def test_planted_effect_is_found_with_its_size(rng):
    found = carry_over(*trials(rng, {"d": 0.18}))
    assert found.p < 1e-6
    # effects are against the mean of all: 1.18^(3/4) behind d, 1.18^(-1/4) behind the others
    assert found.effects["d"][0] == pytest.approx(1.18**0.75, rel=0.02)
    assert found.effects["a"][0] == pytest.approx(1.18**-0.25, rel=0.02)
    for effect, (low, high) in found.effects.values():
        assert low < effect < high


def test_without_an_effect_p_is_below_a_twentieth_in_one_of_twenty():
    rng, small, inside = np.random.default_rng(5), 0, 0
    for _ in range(300):
        found = carry_over(*trials(rng, {}))
        small += found.p < 0.05
        low, high = found.effects["d"][1]
        inside += low < 1 < high
    assert small / 300 <= 0.05 + 2.5 * math.sqrt(0.05 * 0.95 / 300)
    assert inside / 300 >= 0.95 - 2.5 * math.sqrt(0.05 * 0.95 / 300)


def test_too_little_tells_nothing(rng):
    assert carry_over([], [], [], []) is None
    assert carry_over([0, 1], ["a", "a"], ["a", "a"], [1.0, 1.0]) is None
    assert carry_over(*trials(rng, {}, blocks=2)) is None
    assert carry_over(*trials(rng, {}, noise=0.0)) is None
