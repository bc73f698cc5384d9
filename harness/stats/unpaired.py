"""Ratio of two independent samples, such as the same engine in two runs."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.stats.describe import LEVEL, Interval
from harness.stats.paired import NO_RATIO, Ratio, exponential, logarithms


def ratio_of_samples(a: Sequence[float], b: Sequence[float]) -> Ratio:
    """Ratio A/B of positive values measured independently; the counts may differ.

    Welch's t on logarithms: exp(mean log A - mean log B), with the interval and p of unequal
    variances. There is no interval, and so no verdict, unless both samples hold two values.
    """
    if not len(a) or not len(b):
        return NO_RATIO
    return welch(logarithms(a), logarithms(b))


@dataclass(frozen=True)
class Difference:
    """A difference of two means of logarithms: its standard error and degrees of freedom.

    error, degrees: None where a sample holds fewer than two values, or neither has any spread.
    """

    log_ratio: float
    error: float | None
    degrees: float | None

    def interval(self, level: float = LEVEL) -> Interval | None:
        """Student's t interval of the logarithm; a point where nothing has any spread."""
        if self.error is None:
            return None
        if not self.error or self.degrees is None:
            return self.log_ratio, self.log_ratio
        half = float(stats.t.ppf((1 + level) / 2, self.degrees)) * self.error
        return self.log_ratio - half, self.log_ratio + half

    @property
    def p(self) -> float | None:
        """Two-sided p of "no difference"."""
        if not self.error or self.degrees is None:
            return None
        return float(2 * stats.t.sf(abs(self.log_ratio) / self.error, self.degrees))


def difference(a: np.ndarray, b: np.ndarray) -> Difference:
    """Welch's: log of A less log of B, with unequal variances."""
    found = float(a.mean() - b.mean())
    if min(len(a), len(b)) < 2:
        return Difference(found, None, None)
    parts = [(float(x.var(ddof=1)) / len(x), len(x) - 1) for x in (a, b)]
    variance = sum(v for v, _ in parts)
    if not variance:
        # no spread at all: the interval is the point, and no t statistic exists
        return Difference(found, 0.0, None)
    degrees = variance**2 / sum(v**2 / n for v, n in parts)
    return Difference(found, math.sqrt(variance), degrees)


def between_runs(within: Difference, sd: float, degrees: int | None) -> Difference:
    """The same between runs of which the means spread by `sd` by themselves: √2·sd, with the
    degrees of freedom with which that is known, or the blocks' own error where that is larger.

    degrees: None where sd is stated and not estimated: it comes on top of the blocks' error.
    """
    if within.error is None:
        return within
    if degrees is None:
        error = math.sqrt(within.error**2 + 2 * sd**2)
        return Difference(within.log_ratio, error, within.degrees or 1e6)
    return Difference(within.log_ratio, max(math.sqrt(2) * sd, within.error), float(degrees))


def welch(a: np.ndarray, b: np.ndarray) -> Ratio:
    """`Ratio` of two independent samples of logarithms (or of log-ratios of engines)."""
    return as_ratio(difference(a, b), min(len(a), len(b)))


def as_ratio(found: Difference, n: int) -> Ratio:
    """A difference of logarithms as a ratio."""
    interval = found.interval()
    return Ratio(
        n=n,
        ratio=math.exp(found.log_ratio),
        log_ratio=found.log_ratio,
        t_interval=exponential(interval),
        bca_interval=None,
        interval=exponential(interval),
        p=found.p,
        p_floor=None,
        half_width=None if interval is None else (interval[1] - interval[0]) / 2,
        n_for_one_percent=None,
    )
