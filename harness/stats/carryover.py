"""Does a trial suffer from the one before it? The effect of what went before, estimated.

    log tᵢ = block + engine + predecessor + noise,   Σ over the predecessors = 0

by least squares. The predecessor's effect is that on whoever runs right behind it; that of the
first trial of a block is the last trial of the block before. In a Williams design each engine runs
behind each other one equally often, so that these effects nearly leave the ratios.
Source: B. Jones, M. G. Kenward, Design and Analysis of Cross-Over Trials, 3rd ed. 2014, ch. 4
(first-order carry-over, additive).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import special

from harness.stats.describe import LEVEL, Interval
from harness.stats.paired import logarithms


@dataclass(frozen=True)
class CarryOver:
    """effects: predecessor -> ratio of the times behind it to those behind the others, and its 95 %
    interval. p: F test of "it makes no difference what ran before"."""

    effects: dict[str, tuple[float, Interval]]
    p: float


def carry_over(
    blocks: Sequence[int], engines: Sequence[str], before: Sequence[str], values: Sequence[float]
) -> CarryOver | None:
    """The effects from trials; None where there are too few, or nothing but noise of rounding.

    Args:
        blocks, engines, before: of each trial its block, its engine and what ran right before it.
        values: positive seconds.
    """
    names = sorted(set(before))
    if len(names) < 2:
        return None
    y = logarithms(values)
    what = _sum_to_zero(before, names)
    # Blocks are many: their effects are taken out as their means, of both sides (Frisch, Waugh and
    # Lovell's theorem), instead of solved for.
    kinds, block = np.unique(np.asarray(blocks), return_inverse=True)
    y, base, what = (_less_means(part, block) for part in (y, _dummies(engines)[:, 1:], what))
    full = np.hstack([base, what])
    rank = int(np.linalg.matrix_rank(full))
    degrees = len(y) - len(kinds) - rank
    if degrees < 3 or rank < full.shape[1]:
        return None
    solution = np.linalg.lstsq(full, y, rcond=None)[0]
    left, left_without = _squares(full, y), _squares(base, y)
    if left <= len(y) * 1e-24:
        return None
    count = what.shape[1]
    f = (left_without - left) / count / (left / degrees)
    covariance = left / degrees * np.linalg.inv(full.T @ full)[-count:, -count:]
    contrast = np.vstack([np.eye(count), -np.ones(count)])  # the last effect is less all others
    logs = contrast @ solution[-count:]
    errors = np.sqrt(np.diag(contrast @ covariance @ contrast.T))
    half = float(special.stdtrit(degrees, (1 + LEVEL) / 2)) * errors
    effects = {
        name: (float(np.exp(log)), (float(np.exp(log - h)), float(np.exp(log + h))))
        for name, log, h in zip(names, logs, half, strict=True)
    }
    return CarryOver(effects, float(special.fdtrc(count, degrees, max(f, 0.0))))


def _less_means(part: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Rows less the mean of their block's rows."""
    sums = np.zeros((block.max() + 1, *part.shape[1:]))
    np.add.at(sums, block, part)
    counts = np.bincount(block).reshape(-1, *(1,) * (part.ndim - 1))
    return part - (sums / counts)[block]


def _dummies(values: Sequence[str]) -> np.ndarray:
    kinds, place = np.unique(np.asarray(values), return_inverse=True)
    return np.eye(len(kinds))[place]


def _sum_to_zero(values: Sequence[str], names: list[str]) -> np.ndarray:
    """A column for each but the last name, which is −1 in all of them."""
    rows = np.vstack([np.eye(len(names) - 1), -np.ones(len(names) - 1)])
    return rows[[names.index(value) for value in values]]


def _squares(design: np.ndarray, y: np.ndarray) -> float:
    residuals = y - design @ np.linalg.lstsq(design, y, rcond=None)[0]
    return float(residuals @ residuals)
