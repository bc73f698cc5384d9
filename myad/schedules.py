"""Learning rates that change: pure functions of t, the number of steps done before.

t is an array or a tensor of the weights' dtype. No schedule branches on its value, so a compiled
step can compute the rate itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from myad.errors import OptionError
from myad.ops.arithmetic import power
from myad.ops.compare import floor, where
from myad.ops.extremes import minimum
from myad.ops.functions import cos


@dataclass(frozen=True)
class ExponentialDecay:
    """α·rate^(t/steps); with `staircase`, the exponent is rounded down."""

    initial_learning_rate: float
    decay_steps: int
    decay_rate: float
    staircase: bool = False

    def __call__(self, t: Any) -> Any:
        exponent = t / float(self.decay_steps)
        exponent = floor(exponent) if self.staircase else exponent
        return self.initial_learning_rate * power(np.asarray(self.decay_rate, t.dtype), exponent)


@dataclass(frozen=True)
class CosineDecay:
    """α·((1 − floor)·(1 + cos(π·min(t, steps)/steps))/2 + floor), floor = `alpha`.

    Loshchilov & Hutter 2017, arXiv:1608.03983, equation 5, without restarts.
    """

    initial_learning_rate: float
    decay_steps: int
    alpha: float = 0.0

    def __call__(self, t: Any) -> Any:
        done = minimum(t, np.asarray(self.decay_steps, t.dtype)) / float(self.decay_steps)
        wave = (cos(done * math.pi) + 1.0) * 0.5
        return (wave * (1 - self.alpha) + self.alpha) * self.initial_learning_rate


@dataclass(frozen=True)
class PiecewiseConstantDecay:
    """values[i], where i is the number of boundaries that t has passed (t > boundary)."""

    boundaries: tuple[int, ...]
    values: tuple[float, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        object.__setattr__(self, "values", tuple(self.values))
        if len(self.values) != len(self.boundaries) + 1 or list(self.boundaries) != sorted(
            self.boundaries
        ):
            raise OptionError(
                "PiecewiseConstantDecay: needs rising boundaries and one value more than those."
            )

    def __call__(self, t: Any) -> Any:
        rate: Any = np.asarray(self.values[-1], t.dtype)
        for boundary, value in zip(self.boundaries[::-1], self.values[-2::-1], strict=True):
            rate = where(t <= float(boundary), np.asarray(value, t.dtype), rate)
        return rate


@dataclass(frozen=True)
class Table:
    """values[t]: one number per step, whoever made them; the last one for all steps beyond.

    Compiled training takes the numbers as data, so that another table compiles nothing anew.
    """

    values: Any

    def __post_init__(self) -> None:
        values = np.array(self.values)
        if values.dtype.kind != "f" or values.ndim != 1 or not len(values):
            raise OptionError(
                f"Table: needs a float for each step, not {values.dtype} {values.shape}."
            )
        if not (np.isfinite(values).all() and values.min() >= 0):
            raise OptionError("Table: every rate must be a number >= 0.")
        object.__setattr__(self, "values", values)

    def __call__(self, t: Any) -> Any:
        steps = np.minimum(np.asarray(t, np.int64), len(self.values) - 1)
        return self.values[steps].astype(t.dtype)

    def of_steps(self, first: int, count: int) -> np.ndarray:
        """The rates of `count` steps from number `first` on."""
        found: np.ndarray = self(np.arange(first, first + count, dtype=np.float64))
        return found
