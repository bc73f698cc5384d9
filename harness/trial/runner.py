"""The seam between who decides what is measured and where it is measured.

A runner carries a block out on one machine and gives its records as they are made. All that reads
the host, samples memory or witnesses noise stands behind it, on the side of the engines' processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Protocol

from harness.records.models import Planned, Trial
from harness.trial.settle import settle
from harness.trial.trial import Bench, record, run_trial


@dataclass(frozen=True)
class Block:
    """What is left of one block of the schedule: its trials in their order, at least one."""

    trials: tuple[Planned, ...]

    @property
    def number(self) -> int:
        """From 0; warm-ups are counted apart."""
        return self.trials[0].block

    @property
    def warmup(self) -> bool:
        """Whether it is recorded and never counted."""
        return self.trials[0].warmup


def blocks(pending: Sequence[Planned]) -> list[Block]:
    """Trials of a schedule, in its order, as blocks."""
    grouped = groupby(pending, key=lambda planned: (planned.warmup, planned.block))
    return [Block(tuple(trials)) for _, trials in grouped]


class Runner(Protocol):
    """Carries out one block at a time, on one machine that nothing else measures on."""

    def run(self, block: Block) -> Iterator[Trial]:
        """Every trial of the block, "started" and then as it ended; fewer if it is stopped."""
        ...


class LocalRunner:
    """Runs blocks here: engines as processes of this one, files in the folder of `bench`."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._before_s = 0.0

    def run(self, block: Block) -> Iterator[Trial]:
        """See Runner. Raises: OSError where the folder cannot be written."""
        for planned in block.trials:
            if self.bench.control.stopping:
                return
            waited_s = self._settle(planned)
            if self.bench.control.stopping:
                return
            yield record(planned, "started")
            trial = run_trial(self.bench, planned)
            trial.waited_s = waited_s
            walls = [p.wall_s or 0.0 for p in (trial.train, trial.test) if p is not None]
            self._before_s = sum(walls)
            yield trial

    def _settle(self, planned: Planned) -> float:
        """Warm-ups wait for nothing."""
        bench = self.bench
        return settle(
            self._before_s,
            most_s=bench.settle_s,
            quiet_s=0.0 if planned.warmup else bench.quiet_s,
            control=bench.control,
            on_tick=bench.on_tick,
        )
