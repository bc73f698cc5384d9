"""The order of a run: blocks that hold every engine once, in a seeded, balanced order.

Order alone can change a verdict (a machine warms up, a neighbour wakes), so the engines of a block
run next to each other and every engine gets each position about equally often: the blocks come in
groups of as many as there are engines, each group a Latin square (every engine once in every
position), drawn at random.
"""

import random
from collections.abc import Sequence

from harness.records.models import Planned

MAX_SEED = 2**31 - 1  # what every framework accepts


def plan(
    engines: Sequence[str], *, repeats: int, warmups: int, seeds: Sequence[int], schedule_seed: int
) -> list[Planned]:
    """The trials of a run in the order in which they happen, warm-ups first.

    Args:
        engines: names, each once.
        repeats: how many measured blocks.
        warmups: how many blocks before them, recorded and never counted.
        seeds: one per measured block; warm-ups use the first.
        schedule_seed: of the generator that draws the order.
    """
    generator = random.Random(schedule_seed)
    trials = []
    for block in range(warmups):
        for slot, engine in enumerate(engines):
            name = f"warmup{block}-{engine}"
            trials.append(_planned(name, block, slot, engine, seeds[0], warmup=True))
    for block, order in enumerate(_orders(engines, repeats, generator)):
        for slot, engine in enumerate(order):
            trials.append(_planned(f"{block}-{engine}", block, slot, engine, seeds[block]))
    return trials


def block_seeds(first: int, repeats: int) -> list[int]:
    """One seed per block: consecutive numbers, so that a block can be repeated by itself."""
    return [first + block for block in range(repeats)]


def _orders(engines: Sequence[str], repeats: int, generator: random.Random) -> list[list[str]]:
    orders: list[list[str]] = []
    while len(orders) < repeats:
        names = list(engines)
        generator.shuffle(names)
        square = [names[shift:] + names[:shift] for shift in range(len(names))]
        generator.shuffle(square)
        orders += square
    return orders[:repeats]


def _planned(
    name: str, block: int, slot: int, engine: str, seed: int, *, warmup: bool = False
) -> Planned:
    return Planned(id=name, block=block, slot=slot, engine=engine, seed=seed, warmup=warmup)
