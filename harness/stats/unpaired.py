"""Ratio of two independent samples, such as the same engine in two runs."""

import math
import warnings
from collections.abc import Sequence

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


def welch(a: np.ndarray, b: np.ndarray) -> Ratio:
    """`Ratio` of two independent samples of logarithms (or of log-ratios of engines)."""
    n = min(len(a), len(b))
    difference = float(a.mean() - b.mean())
    interval, p = _welch_interval(a, b, difference)
    ratio_interval = exponential(interval)
    return Ratio(
        n=n,
        ratio=math.exp(difference),
        log_ratio=difference,
        t_interval=ratio_interval,
        bca_interval=None,
        interval=ratio_interval,
        p=p,
        p_floor=None,
        half_width=None if interval is None else (interval[1] - interval[0]) / 2,
        n_for_one_percent=None,
    )


def _welch_interval(
    a: np.ndarray, b: np.ndarray, difference: float
) -> tuple[Interval | None, float | None]:
    if min(len(a), len(b)) < 2:
        return None, None
    if not a.var() + b.var():
        # no spread at all: the interval is the point, and no t statistic exists
        return (difference, difference), None
    with warnings.catch_warnings():
        # SciPy warns where one sample is constant; the other's variance carries the error alone
        warnings.simplefilter("ignore", RuntimeWarning)
        test = stats.ttest_ind(a, b, equal_var=False)
    interval = test.confidence_interval(LEVEL)
    return (float(interval.low), float(interval.high)), float(test.pvalue)
