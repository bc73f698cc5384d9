"""One sample: mean, median, spread, and the intervals of mean and median."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

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


def median_ranks(n: int) -> tuple[int, int, float] | None:
    """Ranks (from 1) of the shortest symmetric order-statistics interval that reaches the level.

    The interval from the k-th smallest to the k-th largest value holds the median with
    probability 1 - 2·P(Binomial(n, 1/2) <= k - 1), whatever the distribution is.
    Returns: (low rank, high rank, coverage), or None when n < 6: there even the
    whole sample covers less than 95 %.
    """
    # ppf gives the smallest k with P(B <= k) >= 2.5 %, so k - 1 is the last that leaves less out
    k = int(stats.binom.ppf((1 - LEVEL) / 2, n, 0.5)) if n else 0
    if k < 1:
        return None
    return k, n + 1 - k, 1 - 2 * float(stats.binom.cdf(k - 1, n, 0.5))


def median_interval(values: Sequence[float] | np.ndarray) -> Interval | None:
    """Order-statistics interval of the median (n = 10: 2nd to 9th value, 97.9 %)."""
    ranks = median_ranks(len(values))
    if ranks is None:
        return None
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    return float(ordered[ranks[0] - 1]), float(ordered[ranks[1] - 1])
