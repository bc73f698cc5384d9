"""Do two engines classify equally well? Paired over seeds, and image by image."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from harness.stats.describe import LEVEL, Interval, t_interval
from harness.stats.paired import has_spread

MARGIN_POINTS = 0.5


@dataclass(frozen=True)
class AccuracyDifference:
    """Accuracy of A minus accuracy of B, in points (per cent of the test images).

    Attributes:
        n: number of blocks.
        difference_points: mean over the blocks; None without a block.
        interval: 95 % t interval, points; None when n < 2.
        margin_points: the margin used: the one asked for, or the test set's standard error if
            that is larger.
        tost_p: larger p of the two one-sided tests; below 0.05 the engines are equivalent.
            None when n < 2.
        verdict: "equivalent", "inconclusive", or None when the whole interval lies beyond the
            margin: then the engines differ, and no word of a time comparison fits.
    """

    n: int
    difference_points: float | None
    interval: Interval | None
    margin_points: float
    tost_p: float | None
    verdict: str | None


def accuracy_difference(
    a: Sequence[float],
    b: Sequence[float],
    *,
    images: int,
    margin_points: float = MARGIN_POINTS,
) -> AccuracyDifference:
    """Two one-sided t tests on paired differences of accuracy.

    Args:
        a, b: fractions in [0, 1], a[k] and b[k] of the same block.
        images: size of the test set.
        margin_points: differences below this are equivalent; raised to the standard error of
            one accuracy, √(p(1-p)/images), where the test set is too small for it.
    Raises: ValueError if the counts differ or a value is no fraction.
    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    if len(a) != len(b):
        raise ValueError(f"accuracy: {len(a)} values of A and {len(b)} of B; pairs need both.")
    first, second, margin = _checked(a, b, images, margin_points)
    if first.size == 0:
        return AccuracyDifference(0, None, None, margin, None, "inconclusive")
    points = 100 * (first - second)
    return _judged(len(a), float(points.mean()), t_interval(points), margin, tost_p(points, margin))


def accuracy_change(
    a: Sequence[float],
    b: Sequence[float],
    *,
    images: int,
    margin_points: float = MARGIN_POINTS,
) -> AccuracyDifference:
    """The same for two independent samples, such as one engine in two runs: Welch's t.

    n is the smaller count; the counts may differ. Raises: ValueError if a value is no fraction.
    """
    first, second, margin = _checked(a, b, images, margin_points)
    n = min(first.size, second.size)
    if n == 0:
        return AccuracyDifference(0, None, None, margin, None, "inconclusive")
    x, y = 100 * first, 100 * second
    difference = float(x.mean() - y.mean())
    if n < 2:
        return AccuracyDifference(n, difference, None, margin, None, "inconclusive")
    if not (has_spread(x) or has_spread(y)):
        p = 0.0 if abs(difference) < margin else 1.0
        return _judged(n, difference, (difference, difference), margin, p)
    with warnings.catch_warnings():
        # SciPy warns where one sample is constant; the other's variance carries the error alone
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval(LEVEL)
        below = stats.ttest_ind(x + margin, y, equal_var=False, alternative="greater").pvalue
        above = stats.ttest_ind(x - margin, y, equal_var=False, alternative="less").pvalue
    ends = (float(interval.low), float(interval.high))
    return _judged(n, difference, ends, margin, float(max(below, above)))


def _checked(
    a: Sequence[float], b: Sequence[float], images: int, margin_points: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Both samples as arrays, and the margin, not below the test set's standard error."""
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    both = np.concatenate([first, second])
    if not np.all((both >= 0) & (both <= 1)):
        raise ValueError(f"accuracy: every value must lie in [0, 1], got {[*a, *b]}.")
    return first, second, max(margin_points, standard_error_points(both, images))


def _judged(
    n: int, difference: float, interval: Interval | None, margin: float, p: float | None
) -> AccuracyDifference:
    verdict: str | None = "inconclusive"
    if p is not None and p < 1 - LEVEL:
        verdict = "equivalent"
    elif interval is not None and (interval[0] > margin or interval[1] < -margin):
        verdict = None
    return AccuracyDifference(n, difference, interval, margin, p, verdict)


def standard_error_points(accuracies: np.ndarray, images: int) -> float:
    """Standard error of one accuracy on that many test images, in points."""
    if accuracies.size == 0 or images < 1:
        return 0.0
    p = float(accuracies.mean())
    return 100 * math.sqrt(p * (1 - p) / images)


def tost_p(points: np.ndarray, margin: float) -> float | None:
    """Larger p of "mean <= -margin" and "mean >= margin"; None when n < 2.

    Without any spread the answer is 0 inside the margin and 1 outside: a t statistic does not
    exist, and two engines that agree in every block are as equivalent as can be shown.
    """
    if len(points) < 2:
        return None
    if not has_spread(points):
        return 0.0 if abs(float(points[0])) < margin else 1.0
    below = stats.ttest_1samp(points, -margin, alternative="greater").pvalue
    above = stats.ttest_1samp(points, margin, alternative="less").pvalue
    return float(max(below, above))


def mcnemar(only_a: int, only_b: int) -> float:
    """Exact two-sided McNemar p from the images that only A, and only B, classified rightly.

    Under equal quality each such image is a fair coin: Binomial(only_a + only_b, 1/2).
    Without any such image the answer is 1.
    Source: McNemar 1947, Psychometrika 12, 153-157; exact form as in R's exact2x2.
    """
    if only_a < 0 or only_b < 0:
        raise ValueError(f"mcnemar: counts cannot be negative, got {only_a} and {only_b}.")
    if only_a + only_b == 0:
        return 1.0
    # of a fair coin both tails are alike
    return min(1.0, 2 * float(special.bdtr(min(only_a, only_b), only_a + only_b, 0.5)))


def accuracy_word(difference: AccuracyDifference) -> str:
    """The verdict, or "different" where the interval lies beyond the margin."""
    return difference.verdict or "different"
