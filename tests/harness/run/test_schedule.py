"""The schedule: every engine once per block, balanced positions, one seed per block."""

from collections import Counter

import pytest

from harness.run.schedule import block_seeds, plan

SIZES = {"two": 2, "three": 3, "five": 5}


def planned(engines, repeats, seed=0, warmups=0):
    seeds = block_seeds(seed, repeats)
    return plan(engines, repeats=repeats, warmups=warmups, seeds=seeds, schedule_seed=seed)


@pytest.mark.parametrize("count", SIZES.values(), ids=SIZES)
def test_every_block_holds_every_engine_once(count):
    engines = [f"e{n}" for n in range(count)]
    trials = planned(engines, 10)
    for block in range(10):
        here = [t for t in trials if t.block == block]
        assert sorted(t.engine for t in here) == engines
        assert [t.slot for t in here] == list(range(count))
        assert {t.seed for t in here} == {block}


@pytest.mark.parametrize("count", SIZES.values(), ids=SIZES)
def test_positions_are_balanced(count):
    engines = [f"e{n}" for n in range(count)]
    places = Counter((t.engine, t.slot) for t in planned(engines, 2 * count))
    assert set(places.values()) == {2}
    places = Counter((t.engine, t.slot) for t in planned(engines, 10))
    assert (
        max(places.values()) - min(places.get((e, s), 0) for e in engines for s in range(count))
        <= 1
    )


def test_order_depends_on_the_seed_and_on_nothing_else():
    assert planned(["a", "b"], 10, seed=3) == planned(["a", "b"], 10, seed=3)
    orders = {tuple(t.engine for t in planned(["a", "b"], 10, seed=s)) for s in range(20)}
    assert len(orders) > 10


def test_rows_of_a_square_come_in_any_order():
    """Else an engine would always run right after the same other one, block by block.

    In the square of four engines each row is another one turned by 1, 2 or 3 places; in the order
    in which the square is made, every turn is by 1.
    """
    turns = set()
    for seed in range(40):
        trials = planned(["a", "b", "c", "d"], 4, seed=seed)
        rows = [[t.engine for t in trials if t.block == block] for block in range(4)]
        turns.add(tuple(rows[0].index(row[0]) for row in rows[1:]))
    assert turns == {(1, 2, 3), (1, 3, 2), (2, 1, 3), (2, 3, 1), (3, 1, 2), (3, 2, 1)}


def test_warm_ups_come_first_and_are_marked():
    trials = planned(["a", "b"], 2, warmups=1)
    assert [t.id for t in trials[:2]] == ["warmup0-a", "warmup0-b"]
    assert [t.warmup for t in trials] == [True, True, False, False, False, False]
    assert len({t.id for t in trials}) == len(trials)
    assert [t.slot for t in trials[:2]] == [0, 1]
    assert {t.seed for t in trials[:2]} == {trials[2].seed}
