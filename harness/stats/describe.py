"""One sample: mean, median, spread, and the intervals of mean and median."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

LEVEL = 0.95
"""Two-sided confidence level of every interval of the report."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Summary:
    """A sample and its figures, in the sample's own unit.

    Attributes:
        n: how many finite values there are.
        mean, median, min, max: None when there is no value.
        sd: standard deviation with n - 1; None when n < 2.
        values: the values, in the order of the blocks.
        mean_interval: t interval of the mean; None when n < 2.
        median_interval: order-statistics interval of the median; None when n < 6.
    """

    n: int
    mean: float | None
    median: float | None
    sd: float | None
    min: float | None
    max: float | None
    values: tuple[float, ...]
    mean_interval: Interval | None
    median_interval: Interval | None


def summarize(values: Sequence[float]) -> Summary:
    """The figures of a sample of finite numbers.

    Raises: ValueError if a value is NaN or infinite: such a trial is not a measurement, and
    the harness never lets one reach this far.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(sample)):
        raise ValueError(f"summarize: {values} holds a value that is not finite.")
    if sample.size == 0:
        return Summary(0, None, None, None, None, None, (), None, None)
    return Summary(
        n=int(sample.size),
        mean=float(sample.mean()),
        median=float(np.median(sample)),
        sd=float(sample.std(ddof=1)) if sample.size > 1 else None,
        min=float(sample.min()),
        max=float(sample.max()),
        values=tuple(float(v) for v in sample),
        mean_interval=t_interval(sample),
        median_interval=median_interval(sample),
    )


def t_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """Student's t interval of the mean: x̄ ± t_{n-1} · s/√n. None when n < 2."""
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 2:
        return None
    half = stats.t.ppf((1 + LEVEL) / 2, sample.size - 1) * sample.std(ddof=1)
    half /= math.sqrt(sample.size)
    mean = sample.mean()
    return float(mean - half), float(mean + half)


def median_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """Order-statistics interval of the median (n = 10: 2nd to 9th value, 97.9 %).

    The shortest symmetric one that reaches the level, whatever the distribution is: it inverts the
    binomial test of the median. None when n < 6: there even the whole sample covers less.
    """
    places = _median_places(len(values))
    if places is None:
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return float(ordered[places[0]]), float(ordered[places[1]])


@cache
def _median_places(n: int) -> tuple[int, int] | None:
    """Places of the ends in the ordered sample: they hang on its size alone."""
    if n == 0:
        return None
    found: Any = stats.quantile_test(np.arange(n), q=0, p=0.5).confidence_interval(LEVEL)
    return None if np.isnan(found.low) else (int(found.low), int(found.high))
