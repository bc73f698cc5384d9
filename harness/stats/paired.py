"""Ratio of two engines from paired blocks: log-ratios, t interval, BCa bootstrap, exact test."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import stats

from harness.stats.describe import LEVEL, Interval, t_interval

RESAMPLES = 9_999
SEED = 20_240_101
EXACT_LIMIT = 16  # 2^16 sign patterns take a few milliseconds; beyond, they are drawn
LARGE = 200  # from here on t and bootstrap agree within a per cent of their width: t alone
TIE_PLACES = 12  # log-ratios that agree to this many decimals are one value


@dataclass(frozen=True)
class Ratio:
    """Ratio A/B of a positive quantity, from values of A and of B.

    Attributes:
        n: number of pairs (or the smaller sample, for unpaired samples).
        ratio: exp(mean of log A - log B); None when there is no pair.
        log_ratio: its natural logarithm, which changes sign exactly when A and B are swapped.
        t_interval: t interval of the ratio; None when n < 2, and without spread when n < 6.
        bca_interval: expanded BCa bootstrap interval; None when n < 3, n > 200 or without spread.
        interval: the hull of the two: what the verdict is decided on.
        p: exact sign-flip permutation p, two-sided; None when n < 2.
        p_floor: the smallest p that n pairs can give.
        half_width: half the width of the log interval: 0.01 is about one per cent.
        n_for_one_percent: pairs at which the half width would reach one per cent, if the spread
            stays what it is; None when n < 2.
    """

    n: int
    ratio: float | None
    log_ratio: float | None
    t_interval: Interval | None
    bca_interval: Interval | None
    interval: Interval | None
    p: float | None
    p_floor: float | None
    half_width: float | None
    n_for_one_percent: int | None


NO_RATIO = Ratio(0, None, None, None, None, None, None, None, None, None)


def paired_ratio(
    a: Sequence[float] | np.ndarray, b: Sequence[float] | np.ndarray, *, t_alone: bool = False
) -> Ratio:
    """Ratio A/B over blocks; a[k] and b[k] are of the same block.

    Args:
        a, b: positive finite numbers, equally many.
        t_alone: leave resampling out, as for more than LARGE pairs.
    Raises: ValueError if the counts differ or a value is not a positive finite number.
    """
    if len(a) != len(b):
        raise ValueError(f"paired_ratio: {len(a)} values of A and {len(b)} of B; pairs need both.")
    if not len(a):
        return NO_RATIO
    return ratio_of_logs(logarithms(a) - logarithms(b), t_alone=t_alone)


def logarithms(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Natural logarithms of positive finite numbers; ValueError for any other."""
    sample = np.asarray(values, dtype=np.float64)
    if not np.all(np.isfinite(sample) & (sample > 0)):
        raise ValueError(f"ratio: every value must be finite and positive, got {values}.")
    return np.log(sample)


def ratio_of_logs(logs: np.ndarray, *, t_alone: bool = False) -> Ratio:
    """`Ratio` from paired differences of logarithms, computed so that swapping is exact.

    The bootstrap is not antisymmetric to the last bit (its quantiles interpolate), so the
    larger side always stands above: what comes out for the swapped pair is the same numbers
    with their signs changed.
    """
    if _is_flipped(logs):
        return _negated(_worked_out((-logs).tobytes(), t_alone))
    return _worked_out(logs.tobytes(), t_alone)


def _is_flipped(logs: np.ndarray) -> bool:
    mean = float(logs.mean())
    if mean:
        return mean < 0
    return list(np.sort(logs)) < list(np.sort(-logs))


def _negated(r: Ratio) -> Ratio:
    def turn(interval: Interval | None) -> Interval | None:
        return None if interval is None else (1 / interval[1], 1 / interval[0])

    assert r.log_ratio is not None
    assert r.ratio is not None
    return Ratio(
        r.n,
        1 / r.ratio,
        -r.log_ratio,
        turn(r.t_interval),
        turn(r.bca_interval),
        turn(r.interval),
        r.p,
        r.p_floor,
        r.half_width,
        r.n_for_one_percent,
    )


@lru_cache(maxsize=256)  # a report asks for A/B and for B/A
def _worked_out(content: bytes, t_alone: bool) -> Ratio:
    logs = np.frombuffer(content)
    n = len(logs)
    t, bca = t_interval(logs), None if t_alone else bca_interval(logs)
    if not has_spread(logs) and n < 6 and np.any(logs):
        # one value n times: the t interval has no width and knows nothing; from n = 6 on the
        # exact test can reach 0.05 and carries the claim
        t = None
    hull = _hull(t, bca)
    mean = float(logs.mean())
    half = None if hull is None else (hull[1] - hull[0]) / 2
    return Ratio(
        n=n,
        ratio=math.exp(mean),
        log_ratio=mean,
        t_interval=exponential(t),
        bca_interval=exponential(bca),
        interval=exponential(hull),
        p=sign_flip_p(logs, t_alone=t_alone),
        p_floor=2.0 ** (1 - n) if n >= 2 else None,
        half_width=half,
        n_for_one_percent=needed_pairs(float(logs.std(ddof=1))) if n > 1 else None,
    )


def exponential(interval: Interval | None) -> Interval | None:
    """The interval of a ratio from the interval of its logarithm."""
    return None if interval is None else (math.exp(interval[0]), math.exp(interval[1]))


def _hull(first: Interval | None, second: Interval | None) -> Interval | None:
    if first is None or second is None:
        return first
    return min(first[0], second[0]), max(first[1], second[1])


def has_spread(values: np.ndarray) -> bool:
    """Whether the values differ by more than rounding."""
    return bool(np.unique(np.round(values, TIE_PLACES)).size > 1)


def expanded_level(n: int, level: float = LEVEL) -> float:
    """Nominal level at which a bootstrap interval of n values covers `level`.

    A bootstrap interval of a mean is too narrow by √((n-1)/n) and by normal instead of t
    quantiles: at n = 10 a nominal 95 % covers 90 %. Hesterberg's expansion asks for the tail
    Φ(-√(n/(n-1))·t_{α/2, n-1}) instead of α/2.
    Source: Hesterberg 2015, The American Statistician 69(4), "expanded percentile" interval.
    """
    t = stats.t.ppf((1 + level) / 2, n - 1)
    return float(1 - 2 * stats.norm.cdf(-math.sqrt(n / (n - 1)) * t))


def bca_interval(differences: np.ndarray, resamples: int = RESAMPLES) -> Interval | None:
    """Expanded BCa bootstrap interval of the mean; None when n < 3, n > 200 or without spread.

    Source: Efron 1987, JASA 82, as in `scipy.stats.bootstrap`; level: `expanded_level`.
    """
    n = len(differences)
    if n < 3 or n > LARGE or not has_spread(differences):
        return None
    with warnings.catch_warnings():
        # SciPy warns and answers NaN where the correction degenerates; that is our None
        warnings.simplefilter("ignore")
        interval = stats.bootstrap(
            (differences,),
            np.mean,
            vectorized=True,
            n_resamples=resamples,
            confidence_level=expanded_level(n),
            method="BCa",
            rng=np.random.default_rng(SEED),
        ).confidence_interval
    low, high = float(interval.low), float(interval.high)
    return (low, high) if math.isfinite(low) and math.isfinite(high) else None


def sign_flip_p(differences: np.ndarray, *, t_alone: bool = False) -> float | None:
    """Two-sided permutation p of "the mean difference is zero", by flipping signs.

    All 2ⁿ patterns up to n = 16 (1,024 at n = 10), beyond that 65,536 drawn ones, and beyond
    n = 200 (and with `t_alone`) the t test, which the permutation distribution of a mean has come
    to by then.
    None when n < 2. Equal values (all differences zero) give 1.
    """
    if len(differences) < 2:
        return None
    if not np.any(np.round(differences, TIE_PLACES)):
        return 1.0
    if not has_spread(differences):
        return 2.0 ** (1 - len(differences))  # only all plus and all minus are as extreme
    if len(differences) > LARGE or t_alone:
        return float(stats.ttest_1samp(differences, 0.0).pvalue)
    result = stats.permutation_test(
        (differences,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=2**EXACT_LIMIT,
        batch=4096,
        rng=np.random.default_rng(SEED),
    )
    return float(result.pvalue)


def needed_pairs(sd: float, half_width: float = 0.01) -> int:
    """Fewest pairs whose t interval of a mean has at most this half width, at this spread.

    n is searched for upwards because t depends on n: t_{n-1}·sd/√n <= half_width.
    """
    n = max(2, math.ceil((stats.norm.ppf((1 + LEVEL) / 2) * sd / half_width) ** 2))
    while stats.t.ppf((1 + LEVEL) / 2, n - 1) * sd / math.sqrt(n) > half_width:
        n += 1
    return n
