"""Which jobs rounding leaves comparable, in networks with kinks.

ReLU and max pooling choose. Where two numbers are as good as equal, rounding decides, and such a
choice soon shows in the second digit of some weight: an honest engine and the reference then differ
as much as a wrong engine would. Whether a job has such a place is measured: the reference does it
in the engine's number type, from starts that differ in the last bit, and is held against its own
float64 result. In a job that stays clear of the tolerance, a difference means something.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.verify.checks import Check, checks

NUDGES = 4
CLEAR = 3  # an engine adds up in another order than the reference; it may deviate so much more
PLACES = 8  # stretches of images tried with a job as it was asked for
FEW_PLACES = 2  # ... and with each shorter one
# Where the order of few batches shows most, and where it still shows and rounding does less.
ORDER_RATES = (0.1, 0.05, 0.02)


@dataclass(frozen=True)
class Tried:
    """A job and the largest deviation that rounding alone made in it."""

    check: Check
    moved: float


class Search:
    """The jobs of one check that rounding leaves clear, found in turn as they are asked for."""

    def __init__(
        self, jobs: Iterator[Check], rounding: Callable[[Check], float], tolerance: float
    ) -> None:
        self._jobs, self._rounding, self._tolerance = jobs, rounding, tolerance
        self._clear: list[Check] = []
        self.tried: list[Tried] = []

    def clear(self, k: int) -> Check | None:
        """The k-th clear job, k = 0, 1, ...; None where there are not so many."""
        while len(self._clear) <= k:
            job = next(self._jobs, None)
            if job is None:
                return None
            moved = self._rounding(job)
            self.tried.append(Tried(job, moved))
            if moved * CLEAR <= self._tolerance:
                self._clear.append(job)
        return self._clear[k]

    def clearest(self) -> Tried:
        """The job tried that rounding moves least."""
        return min(self.tried, key=lambda one: one.moved)


def nudged(dtype: str, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A function that changes weights in the last bit of a number type, at random."""
    rng, size = np.random.default_rng(seed), float(np.finfo(dtype).eps)
    return lambda w: (w * (1 + size * rng.uniform(-1, 1, w.shape))).astype(dtype)


def variants(
    check: Check, workload: dict[str, Any], places: Callable[[Check], int]
) -> Iterator[Check]:
    """Jobs that check the same, the most telling first: other images, lower rates, fewer steps.

    places: how many stretches of images the data set has for a job.
    """
    if check.name == "order":
        for rate in ORDER_RATES:
            training = {**check.training, "learning_rate": rate}
            yield from _places(dataclasses.replace(check, training=training), PLACES, places)
        return
    yield from _places(check, PLACES, places)
    steps = check.steps // 2
    while steps:
        shorter = next(c for c in checks(workload, steps) if c.name == check.name)
        yield from _places(dataclasses.replace(shorter, dtype=check.dtype), FEW_PLACES, places)
        steps //= 2


def _places(check: Check, most: int, places: Callable[[Check], int]) -> Iterator[Check]:
    for place in range(min(most, places(check))):
        yield dataclasses.replace(check, place=place)
