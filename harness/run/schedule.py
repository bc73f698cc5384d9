"""The order of a run: blocks that hold every engine once, in a seeded, balanced order.

Order alone can change a verdict (a machine warms up, a neighbour wakes, an engine leaves a hot
processor to the next one), so the engines of a block run next to each other, every engine gets each
position, and follows each other engine, about equally often. The blocks come in Williams designs
with names drawn at random: of n engines, n blocks (2n where n is odd) in which each is once (twice)
in every position and once (twice) right behind each other one. The first n blocks of a design have
every position already; their order is drawn, too.
Source: E. J. Williams 1949, Australian Journal of Scientific Research A 2, 149-168.
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
        for square in williams(len(names)):
            rows = [[names[place] for place in row] for row in square]
            generator.shuffle(rows)
            orders += rows
    return orders[:repeats]


def williams(n: int) -> list[list[list[int]]]:
    """One Latin square of n treatments where n is even, two where it is odd, balanced for
    neighbours: the first row is 0, 1, n−1, 2, n−2, …, the others are its shifts; the second square
    is the first read backwards."""
    first = [0]
    for step in range(1, n):
        first.append((step + 1) // 2 if step % 2 else n - step // 2)
    square = [[(place + shift) % n for place in first] for shift in range(n)]
    return [square] if n % 2 == 0 else [square, [row[::-1] for row in square]]


def _planned(
    name: str, block: int, slot: int, engine: str, seed: int, *, warmup: bool = False
) -> Planned:
    return Planned(id=name, block=block, slot=slot, engine=engine, seed=seed, warmup=warmup)
