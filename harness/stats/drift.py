"""Did the machine change during the run? Trend over blocks, effect of the slot, memory of noise."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.stats.describe import Interval
from harness.stats.paired import logarithms


@dataclass(frozen=True)
class Drift:
    """Linear trend of log time over the blocks.

    Attributes:
        n: number of values.
        per_block: relative change from one block to the next (0.02 is 2 %); None when n < 3.
        interval: 95 % interval of `per_block`; None when n < 3.
        lag_one: autocorrelation of neighbours, after the trend is taken out; None when n < 4 or
            without spread.
    """

    n: int
    per_block: float | None
    interval: Interval | None
    lag_one: float | None


def drift(positions: Sequence[float], values: Sequence[float]) -> Drift:
    """Least-squares slope of log(value) over its position in the schedule.

    Args:
        positions: block numbers, not all equal.
        values: positive seconds or bytes.
    """
    n = len(values)
    if n < 3 or len(set(positions)) < 2:
        return Drift(n, None, None, None)
    x, y = np.asarray(positions, dtype=np.float64), logarithms(values)
    fit = stats.linregress(x, y)
    half = float(stats.t.ppf(0.975, n - 2)) * float(fit.stderr)
    slope = float(fit.slope)
    residuals = y - (fit.intercept + slope * x)
    return Drift(
        n=n,
        per_block=float(np.expm1(slope)),
        interval=(float(np.expm1(slope - half)), float(np.expm1(slope + half))),
        lag_one=lag_one(residuals),
    )


def lag_one(values: Sequence[float] | np.ndarray) -> float | None:
    """Lag-1 autocorrelation r₁ = Σ (xₖ-x̄)(xₖ₊₁-x̄) / Σ (xₖ-x̄)²; None when n < 4 or no spread.

    Independent values give about -1/n ± 2/√n.
    """
    sample = np.asarray(values, dtype=np.float64)
    if sample.size < 4:
        return None
    centred = sample - sample.mean()
    total = float(centred @ centred)
    if total <= sample.size * (1e-12 * max(1.0, float(np.abs(sample).max()))) ** 2:
        return None
    return float(centred[:-1] @ centred[1:]) / total


def slot_effect(slots: Sequence[int], values: Sequence[float]) -> dict[int, float]:
    """Ratio of each slot's geometric mean to that of the whole sample.

    The slot is the engine's place inside its block, from 0. In a balanced schedule a slot
    effect cancels out of the ratio of engines; this says how large it was.
    """
    if not len(values):
        return {}
    logs = logarithms(values)
    places = np.asarray(slots)
    overall = float(logs.mean())
    return {
        int(slot): float(np.exp(logs[places == slot].mean() - overall))
        for slot in sorted(set(slots))
    }


def slot_p(slots: Sequence[int], values: Sequence[float]) -> float | None:
    """p of "the slot makes no difference": one-way analysis of variance of log values.

    None without two slots of at least two values each, or without spread inside the slots.
    """
    logs, places = logarithms(values) if len(values) else np.empty(0), np.asarray(slots)
    groups = [logs[places == slot] for slot in sorted(set(slots))]
    groups = [group for group in groups if len(group) > 1]
    if len(groups) < 2 or not any(float(np.ptp(group)) for group in groups):
        return None
    return float(stats.f_oneway(*groups).pvalue)
