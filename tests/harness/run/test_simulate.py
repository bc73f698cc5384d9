"""The whole decision on runs made of noise: the small sibling of benchmarks/verdicts.py."""

import math
from itertools import pairwise

import numpy as np
import pytest

from harness.analysis.analysis import analyze_run
from harness.analysis.decision import decide_run
from harness.records.manifest import Rule
from harness.run import simulate
from harness.run.simulate import NOISES, World, blocks_until, manifest, run_of

WRONG = ("faster", "slower", "different")
RUNS = 80


@pytest.fixture
def rng():
    return np.random.default_rng(7)


def wrong(decision):
    return any(cell.word in WRONG for cell in decision.cells.values())


@pytest.mark.parametrize("name", NOISES)
def test_equal_engines_are_told_apart_in_at_most_five_runs_of_a_hundred(name):
    world, rng = World(noise=NOISES[name]), np.random.default_rng(1)
    count = sum(
        wrong(decide_run(run_of(world, manifest(world, 6, seed), rng))) for seed in range(RUNS)
    )
    assert count <= 0.05 * RUNS + 2.5 * math.sqrt(0.05 * 0.95 * RUNS)


def test_a_planted_difference_is_found_and_named_in_the_right_direction():
    world = World(factors={"a": 1.5, "b": 0.5}, points={"c": 3.0})
    run = run_of(world, manifest(world, 10, 1), np.random.default_rng(1))
    cells = decide_run(run).cells
    assert [cells[name, "train_wall_s"].word for name in "ab"] == ["slower", "faster"]
    assert cells["c", "accuracy"].word == "different"
    assert cells["d", "train_wall_s"].word in ("inconclusive", "equivalent")


def test_widths_alone_end_a_run_so_that_its_words_keep_their_level():
    """Normal noise, the unkindest here: it gives no slack that heavy tails would give."""
    world, rng, count = World(), np.random.default_rng(3), 0
    rule = Rule(baseline="e", first_blocks=10, step_blocks=10, until_share=0.05)
    lengths = set()
    for seed in range(40):
        run = run_of(world, manifest(world, 40, seed, rule), rng)
        blocks = blocks_until(run)
        lengths.add(blocks)
        count += wrong(decide_run(run, blocks=blocks))
    assert count <= 0.05 * 40 + 2.5 * math.sqrt(0.05 * 0.95 * 40)
    assert len(lengths) > 1
    assert lengths <= {20, 30, 40}


def test_the_decision_of_a_report_is_the_one_that_is_simulated():
    world = World(factors={"a": 1.1})
    run = run_of(world, manifest(world, 6, 2), np.random.default_rng(2))
    report = analyze_run(run)
    for (a, key), cell in decide_run(run).cells.items():
        if key == "accuracy":
            assert report.accuracies[a, "e"].verdict == cell.word
        else:
            assert report.comparisons[a, "e"][key].verdict == cell.word


@pytest.mark.parametrize("name", NOISES)
def test_noise_has_the_shape_of_its_trials(name, rng):
    noise = NOISES[name](rng, 30)
    assert noise.shape == (30, 2)
    assert np.isfinite(noise).all()


def test_what_an_engine_leaves_behind_slows_the_next_one(rng):
    world = World(noise=lambda rng, trials: np.zeros((trials, 2)), lingering=0.2)
    run = simulate.run_of(world, manifest(world, 10, 1), rng)
    ordered = run.trials
    after = [b.train.wall_s for a, b in pairwise(ordered) if a.engine == "e"]
    assert set(after) == {1.2}
