"""Where a series changed its level: circular binary segmentation, held against chance.

The stretch whose mean is furthest from that of the rest, in standard errors, is cut out where its
distance is larger than in all but 1 in 20 permutations of the series, and so on inside the parts;
a plain search for one cut would miss a level that went up and came back. Fewer than eight values
can hardly show a change at that level.
Sources: A. B. Olshen, E. S. Venkatraman, R. Lucito, M. Wigler, Biostatistics 5 (2004) 557; for p
by permutation J. Antoch, M. Hušková, Statistics & Probability Letters 53 (2001) 37.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

PERMUTATIONS = 1999
LEVEL = 0.05
SHORTEST = 2  # values of a level: one alone is an outlier
SLACK = 1e-12  # sums in another order differ in their last bits


@dataclass(frozen=True)
class Change:
    """A level that is another one from `place` on; before, after: the means of both segments."""

    place: int
    before: float
    after: float
    p: float


def change_points(
    values: list[float], *, margin: float, level: float = LEVEL, seed: int = 0
) -> list[Change]:
    """The changes of a series, in its order.

    Args:
        values: in the order of time, on a scale where differences mean the same everywhere
            (logarithms of times); a few hundred at most, as the work grows with their square.
        margin: a smaller difference of means is none, however certain.
        level: largest p of each step.
        seed: of the permutations.
    """
    series = np.asarray(values, dtype=np.float64)
    found = dict(_cuts(series, 0, level, np.random.default_rng(seed)))
    places = sorted(found)
    while places:  # take the least change away until none is below the margin
        means = _means(series, places)
        rises = [abs(after - before) for before, after in pairwise(means)]
        if min(rises) >= margin and min(rises) > 0:
            return [
                Change(place, means[k], means[k + 1], found[place])
                for k, place in enumerate(places)
            ]
        del places[int(np.argmin(rises))]
    return []


def _means(series: np.ndarray, places: list[int]) -> list[float]:
    return [float(series[a:b].mean()) for a, b in pairwise([0, *places, len(series)])]


def _cuts(
    series: np.ndarray, start: int, level: float, rng: np.random.Generator
) -> Iterator[tuple[int, float]]:
    """Places of cuts with their p, those inside the parts included."""
    n = len(series)
    if n < 2 * SHORTEST:
        return
    farthest, begin, end = _farthest(series[None])
    shuffled = rng.permuted(np.tile(series, (PERMUTATIONS, 1)), axis=1)
    as_far = int((_farthest(shuffled)[0] >= farthest[0] * (1 - SLACK)).sum())
    p = (1 + as_far) / (1 + PERMUTATIONS)
    if p > level:
        return
    ends = sorted({0, int(begin[0]), int(end[0]), n})
    yield from ((start + place, p) for place in ends[1:-1])
    for a, b in pairwise(ends):
        yield from _cuts(series[a:b], start + a, level, rng)


def _farthest(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each row: the largest |Σ over a stretch of m - m·mean| / √(m (n - m) / n), its ends."""
    count, n = rows.shape
    sums = np.zeros((count, n + 1))
    np.cumsum(rows - rows.mean(axis=1, keepdims=True), axis=1, out=sums[:, 1:])
    best, begin, end = np.full(count, -1.0), np.zeros(count, int), np.zeros(count, int)
    places = np.arange(n + 1)
    whole = (places == 0) | (places == n) | ((places >= SHORTEST) & (places <= n - SHORTEST))
    for m in range(SHORTEST, n - SHORTEST + 1):
        starts = places[: n + 1 - m][whole[: n + 1 - m] & whole[m:]]
        if not len(starts):
            continue
        far = np.abs(sums[:, starts + m] - sums[:, starts]) / np.sqrt(m * (n - m) / n)
        which = far.argmax(axis=1)
        largest = far[np.arange(count), which]
        better = largest > best * (1 + SLACK)
        best = np.where(better, largest, best)
        begin, end = (
            np.where(better, starts[which], begin),
            np.where(better, starts[which] + m, end),
        )
    return best, begin, end
