"""Trials of two engines, block by block: which are pairs, and what each is worth."""

from dataclasses import dataclass

import numpy as np

from harness.analysis.metrics import Metric
from harness.records.models import Trial
from harness.records.store import Run

MOST_FAILURES = 0.1  # with a larger share of failed trials a ratio is no result


@dataclass(frozen=True)
class Values:
    """One metric of two engines over their common blocks.

    blocks: their numbers, rising. a, b: positive values, a[k] and b[k] of blocks[k]. a_least,
    b_least: the value is a lower bound, of a process that was stopped at its time limit.
    """

    blocks: tuple[int, ...]
    a: np.ndarray
    b: np.ndarray
    a_least: np.ndarray
    b_least: np.ndarray

    @property
    def logs(self) -> np.ndarray:
        """log a − log b of each block."""
        return np.log(self.a) - np.log(self.b)

    @property
    def bound(self) -> str:
        """What the ratio a/b is: "at least", "at most", "between" bounds on both sides, or ""."""
        if self.a_least.any() and self.b_least.any():
            return "between"
        return "at least" if self.a_least.any() else "at most" if self.b_least.any() else ""


def paired(a: list[Trial], b: list[Trial]) -> list[tuple[Trial, Trial]]:
    """The trials of two engines that share a block, in the order of the blocks."""
    of_b = {t.block: t for t in b}
    return sorted(
        ((t, of_b[t.block]) for t in a if t.block in of_b), key=lambda pair: pair[0].block
    )


def values(pairs: list[tuple[Trial, Trial]], metric: Metric) -> Values:
    """The pairs that have a ratio: both values are known, or bounded, and above zero."""
    both = [(x.block, metric.value(x), metric.value(y)) for x, y in pairs]
    known = [(block, x, y) for block, x, y in both if x and y and x.value > 0 and y.value > 0]
    return Values(
        tuple(block for block, _, _ in known),
        np.array([x.value for _, x, _ in known]),
        np.array([y.value for _, _, y in known]),
        np.array([x.is_least for _, x, _ in known], dtype=bool),
        np.array([y.is_least for _, _, y in known], dtype=bool),
    )


def of_engine(run: Run, engine: str) -> list[Trial]:
    """The measured trials of an engine that say something of its times: the valid ones, and
    those that were stopped at their time limit."""
    return [t for t in run.finished() if t.engine == engine and (t.valid or t.timed_out)]


def too_many_failures(run: Run, engine: str) -> str:
    """ "2 of 10 trials of myad failed" where that is more than 1 in 10, else "".

    A trial that was stopped at its time limit is no missing one: its time is at least the limit.
    """
    finished = [t for t in run.finished() if t.engine == engine]
    failed = sum(not (t.valid or t.timed_out) for t in finished)
    few = failed <= MOST_FAILURES * len(finished)
    return "" if few else f"{failed} of {len(finished)} trials of {engine} failed"
