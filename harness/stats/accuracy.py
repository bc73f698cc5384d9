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
        margin_points: the margin asked for.
        tost_p: larger p of the two one-sided tests; at most 0.025 where the interval lies inside
            the margin. None when n < 2.
        needed_images: the size of a test set whose accuracy has no larger standard error than the
            margin, where this one is smaller; else None.
        verdict: "equivalent" where the interval lies inside the margin, "different" where it lies
            beyond, else (and on too few images) "inconclusive"; None where no word is due.
    """

    n: int
    difference_points: float | None
    interval: Interval | None
    margin_points: float
    tost_p: float | None
    needed_images: int | None
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
        margin_points: differences below this are equivalent, whatever the size of the test set.
    Raises: ValueError if the counts differ or a value is no fraction.
    Source: Schuirmann 1987, Journal of Pharmacokinetics and Biopharmaceutics 15, 657-680.
    """
    if len(a) != len(b):
        raise ValueError(f"accuracy: {len(a)} values of A and {len(b)} of B; pairs need both.")
    first, second = _checked(a, b)
    needed = _needed(first, second, images, margin_points)
    if first.size == 0:
        return _judged(0, None, None, margin_points, None, needed)
    points = 100 * (first - second)
    p = tost_p(points, margin_points)
    return _judged(len(a), float(points.mean()), t_interval(points), margin_points, p, needed)


def accuracy_change(
    a: Sequence[float],
    b: Sequence[float],
    *,
    images: int,
    margin_points: float = MARGIN_POINTS,
    level: float = LEVEL,
) -> AccuracyDifference:
    """The same for two independent samples, such as one engine in two runs: Welch's t.

    level: of the interval. n is the smaller count; the counts may differ.
    Raises: ValueError if a value is no fraction.
    """
    first, second = _checked(a, b)
    margin, needed = margin_points, _needed(first, second, images, margin_points)
    n = min(first.size, second.size)
    if n == 0:
        return _judged(0, None, None, margin, None, needed)
    x, y = 100 * first, 100 * second
    difference = float(x.mean() - y.mean())
    if n < 2:
        return _judged(n, difference, None, margin, None, needed)
    if not (has_spread(x) or has_spread(y)):
        p = 0.0 if abs(difference) < margin else 1.0
        return _judged(n, difference, (difference, difference), margin, p, needed)
    with warnings.catch_warnings():
        # SciPy warns where one sample is constant; the other's variance carries the error alone
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = stats.ttest_ind(x, y, equal_var=False).confidence_interval(level)
        below = stats.ttest_ind(x + margin, y, equal_var=False, alternative="greater").pvalue
        above = stats.ttest_ind(x - margin, y, equal_var=False, alternative="less").pvalue
    ends = (float(interval.low), float(interval.high))
    return _judged(n, difference, ends, margin, float(max(below, above)), needed)


def _checked(a: Sequence[float], b: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    both = np.concatenate([first, second])
    if not np.all((both >= 0) & (both <= 1)):
        raise ValueError(f"accuracy: every value must lie in [0, 1], got {[*a, *b]}.")
    return first, second


def _needed(a: np.ndarray, b: np.ndarray, images: int, margin: float) -> int | None:
    """The number of images that would do, where there are some and too few."""
    both = np.concatenate([a, b])
    needed = needed_images(float(both.mean()), margin) if both.size else 0
    return needed if 0 < images < needed else None


def _judged(
    n: int,
    difference: float | None,
    interval: Interval | None,
    margin: float,
    p: float | None,
    needed: int | None,
) -> AccuracyDifference:
    verdict = "inconclusive" if needed else accuracy_verdict(interval, margin)
    return AccuracyDifference(n, difference, interval, margin, p, needed, verdict)


def accuracy_verdict(interval: Interval | None, margin: float) -> str:
    """The word of a difference in points from its interval."""
    if interval is not None and -margin <= interval[0] and interval[1] <= margin:
        return "equivalent"
    if interval is not None and (interval[0] > margin or interval[1] < -margin):
        return "different"
    return "inconclusive"


def needed_images(accuracy: float, margin_points: float) -> int:
    """Fewest test images on which the standard error √(p(1 − p)/images) of one accuracy is within
    the margin: on fewer, seeds that agree say little of other images."""
    p = min(max(accuracy, 0.0), 1.0)
    # rounded first: 0.9·0.1 in binary must not ask for one image more
    return max(1, math.ceil(round(p * (1 - p) * (100 / margin_points) ** 2, 6)))


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
