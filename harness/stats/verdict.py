"""From an interval to one of four words."""

import math

from harness.stats.describe import Interval

VERDICTS = ("faster", "slower", "equivalent", "inconclusive")
MARGIN = 0.02
"""Ratios nearer to 1 than this count as equivalent, unless the run's manifest says otherwise."""


def decide(interval: Interval | None, margin: float = MARGIN) -> str:
    """The verdict on A from the interval of A's time divided by B's.

    equivalent: the interval lies inside [1/(1 + margin), 1 + margin] (which swapping A and B
    keeps, as 1 ± margin would not). faster, slower: it lies on one side of 1 and reaches beyond
    the margin. Otherwise, or without an interval, inconclusive.
    Raises: ValueError if the margin is not a number above 0.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"margin must be a number above 0, got {margin}.")
    if interval is None or not all(math.isfinite(end) for end in interval):
        return "inconclusive"
    low, high = interval
    # compared as products, not quotients, so that a swapped interval decides alike
    if low * (1 + margin) >= 1 and high <= 1 + margin:
        return "equivalent"
    if high < 1:
        return "faster"
    if low > 1:
        return "slower"
    return "inconclusive"
