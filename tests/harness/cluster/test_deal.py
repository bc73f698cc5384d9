"""Which machine gets which block: balanced groups, the rest of what was begun, nothing twice."""

import pytest

from harness.cluster.deal import Deal
from harness.records.models import Planned
from harness.trial.runner import Block, blocks


def made(count, engines=("a", "b")):
    return [
        Block(
            tuple(
                Planned(id=f"{n}-{name}", block=n, slot=slot, engine=name, seed=n)
                for slot, name in enumerate(engines)
            )
        )
        for n in range(count)
    ]


def taken(deal, machine, times=1):
    return [block.number if (block := deal.take(machine)) else None for _ in range(times)]


def test_a_machine_gets_whole_groups():
    deal = Deal(made(8), 2, {})
    assert taken(deal, "m") == [0]
    assert taken(deal, "n") == [2]
    assert taken(deal, "m") == [1]
    assert taken(deal, "n", 2) == [3, 4]
    assert taken(deal, "m") == [6]
    assert len(deal) == 2


def test_at_the_end_one_machine_takes_what_another_has_put_aside():
    deal = Deal(made(4), 4, {})
    assert taken(deal, "m") == [0]
    assert taken(deal, "n") == [3]
    assert taken(deal, "m", 2) == [1, 2]
    assert taken(deal, "n") == [None]
    assert len(deal) == 0


def test_every_block_once_whoever_asks():
    deal = Deal(made(101), 3, {7: "m", 50: "n"})
    found = [n for k in range(300) if (n := taken(deal, "mno"[k * k % 3])[0]) is not None]
    assert sorted(found) == list(range(101))


def test_what_a_machine_has_begun_is_for_that_machine():
    deal = Deal(made(4), 1, {1: "m"})
    assert taken(deal, "n", 4) == [0, 2, 3, None]
    assert deal.strands({"n"})
    assert not deal.strands({"n", "m"})
    assert taken(deal, "m") == [1]
    assert not deal.strands({"n"})


def test_a_block_that_was_cut_off_comes_next():
    deal = Deal(made(4), 1, {})
    block = deal.take("m")
    deal.give_back(block)
    assert taken(deal, "n") == [0]
    block = deal.take("m")
    deal.give_back(block, "m", bound=True)
    assert taken(deal, "n") == [2]
    assert taken(deal, "m") == [1]
    block = deal.take("m")
    deal.give_back(block, "m")
    assert taken(deal, "m") == [3]
    deal.give_back(block, "m")
    assert taken(deal, "n") == [3]  # nothing else is left


def test_stranded_blocks_are_let_go_once():
    deal = Deal(made(3), 1, {0: "away", 2: "m"})
    assert deal.stranded({"m"}) == [0]
    assert deal.stranded({"m"}) == []
    assert len(deal) == 2


@pytest.mark.parametrize("machines", [1, 3, 7])
def test_slots_stay_balanced_on_each_machine(machines):
    """Groups of a Latin square: on each machine every engine is first equally often, but for the
    last groups, which are shared out singly."""
    deal = Deal(made(12 * machines, engines=("a", "b", "c")), 3, {})
    got = {n: [] for n in range(machines)}
    for _ in range(12):
        for n in range(machines):
            got[n] += taken(deal, str(n))
    for numbers in got.values():
        assert len({number // 3 for number in numbers}) == 4


def test_blocks_of_a_schedule():
    first, second = made(2)
    warmup = Planned(id="warmup0-a", block=0, slot=0, engine="a", seed=0, warmup=True)
    found = blocks([warmup, *first.trials, second.trials[1]])
    assert [(b.warmup, b.number, len(b.trials)) for b in found] == [
        (True, 0, 1),
        (False, 0, 2),
        (False, 1, 1),
    ]
