"""One effect from several machines that each measured it: a random-effects line.

Machine m measured y_m (a mean of log-ratios) with variance v_m. The effects themselves differ from
machine to machine: y_m = μ + u_m + e_m, u_m ~ N(0, τ²), e_m ~ N(0, v_m). With w_m = 1/(v_m + τ²):

    μ = Σ w_m y_m / Σ w_m
    τ² by restricted maximum likelihood, the fixed point of
         τ² = max(0, Σ w_m² ((y_m − μ)² − v_m) / Σ w_m² + 1 / Σ w_m)
    interval by Hartung and Knapp: μ ± t_{k−1} √(q / Σ w_m), q = max(1, Σ w_m (y_m − μ)² / (k − 1))

Sources: Viechtbauer 2005, Journal of Educational and Behavioral Statistics 30, 261-293 (REML);
Hartung and Knapp 2001, Statistics in Medicine 20, 3875-3889; q not below 1: Röver, Knapp and Friede
2015, BMC Medical Research Methodology 15:99; Q and I²: Higgins and Thompson 2002, Statistics in
Medicine 21, 1539-1558; prediction: Higgins, Thompson and Spiegelhalter 2009, JRSS A 172, 137-159.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from harness.stats.describe import LEVEL, Interval
from harness.stats.paired import exponential

SMALLEST = 1e-12  # of a variance: equal log-ratios are equal to rounding only
STEPS = 500
CLOSE = 1e-10


@dataclass(frozen=True)
class Across:
    """The ratio A/B over machines; every figure is of the random-effects model.

    Attributes:
        machines: how many have a ratio with a variance (two blocks or more).
        ratio: exp(μ). log_ratio, error: μ and its standard error. interval: Hartung-Knapp, 95 %;
            None with one machine.
        prediction: where the ratio of one more machine is expected in 95 of 100 cases; None with
            fewer than three machines.
        tau: standard deviation of the machines' own log-ratios: 0.01 is about one per cent.
        q, q_p: Cochran's heterogeneity and its p. i_squared: share of the variation between
            machines that is more than the noise within them, in [0, 1].
    """

    machines: int
    ratio: float
    interval: Interval | None
    prediction: Interval | None
    tau: float
    q: float
    q_p: float | None
    i_squared: float
    log_ratio: float
    error: float


def across_machines(log_ratios: Sequence[Sequence[float] | np.ndarray]) -> Across | None:
    """The random-effects line from the log-ratios of each machine's blocks.

    Machines with fewer than two blocks tell nothing of their noise and are left out; None where
    none is left.
    """
    samples = [np.asarray(logs, dtype=np.float64) for logs in log_ratios if len(logs) > 1]
    if not samples:
        return None
    means = np.array([sample.mean() for sample in samples])
    variances = np.array([max(sample.var(ddof=1) / sample.size, SMALLEST) for sample in samples])
    return random_effects(means, variances)


def random_effects(effects: np.ndarray, variances: np.ndarray) -> Across:
    """The line from effects (k,) on the log scale and their variances (k,), all above 0."""
    k = len(effects)
    tau2 = _reml(effects, variances) if k > 1 else 0.0
    weights = 1 / (variances + tau2)
    mean = float(weights @ effects / weights.sum())
    q = max(1.0, float(weights @ (effects - mean) ** 2) / max(k - 1, 1))
    error = math.sqrt(q / float(weights.sum()))
    fixed = 1 / variances
    cochran = float(fixed @ (effects - fixed @ effects / fixed.sum()) ** 2)
    return Across(
        machines=k,
        ratio=math.exp(mean),
        interval=_around(mean, error, k - 1),
        prediction=_around(mean, math.sqrt(tau2 + error**2), k - 2),
        tau=math.sqrt(tau2),
        q=cochran,
        q_p=float(stats.chi2.sf(cochran, k - 1)) if k > 1 else None,
        i_squared=max(0.0, 1 - (k - 1) / cochran) if cochran > 0 and k > 1 else 0.0,
        log_ratio=mean,
        error=error,
    )


def _reml(effects: np.ndarray, variances: np.ndarray) -> float:
    """τ² by fixed-point iteration, from the spread of the effects."""
    tau2 = float(effects.var(ddof=1))
    for _ in range(STEPS):
        weights = 1 / (variances + tau2)
        mean = weights @ effects / weights.sum()
        squares = weights**2 @ ((effects - mean) ** 2 - variances)
        new = max(0.0, float(squares / (weights**2).sum() + 1 / weights.sum()))
        if abs(new - tau2) <= CLOSE * (tau2 + CLOSE):
            return new
        tau2 = new
    return tau2


def _around(mean: float, error: float, degrees: int) -> Interval | None:
    if degrees < 1:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, degrees)) * error
    return exponential((mean - half, mean + half))
