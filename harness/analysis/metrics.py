"""The metrics: one table, from which every comparison, table, plot and export is made.

A new metric is a new entry of METRICS and nothing else.
"""

import statistics
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from harness import units
from harness.records.models import ProcessResult, Trial


@dataclass(frozen=True)
class Quantity:
    """What a metric counts: how its numbers are written, drawn, compared and exported.

    Attributes:
        unit: in words, for other tools. pyperf: its name there; None where pyperf has none.
        text: a value for people, with its unit.
        axis: the label of an axis, on which a value is drawn times `scale`.
        noun: for sentences ("needs less <noun>"); "" for times, of which less is *faster*.
        is_share: a part of the test images. Engines are compared by the difference of their
            accuracies, and more is better; everything else by ratio, and less is better.
    """

    unit: str
    text: Callable[[float | None], str]
    axis: str
    scale: float = 1.0
    noun: str = ""
    pyperf: str | None = None
    is_share: bool = False

    @property
    def is_time(self) -> bool:
        """Whether less of it is called faster."""
        return not (self.noun or self.is_share)


TIME = Quantity("seconds", units.seconds, axis="seconds", pyperf="second")
MEMORY = Quantity("bytes", units.size, axis="MB", scale=1e-6, noun="memory", pyperf="byte")
SHARE = Quantity("per cent", units.percent, axis="%", scale=100.0, is_share=True)


@dataclass(frozen=True)
class Value:
    """One trial's number; is_least: the truth is this or more."""

    value: float
    is_least: bool = False


@dataclass(frozen=True)
class Metric:
    """One number of a trial.

    Attributes:
        key: its name in JSON, CSV and exports; the suffix is the unit.
        title: for headings. verb: for sentences ("myad <verb> 3 times faster than ...").
        read: the value in a trial; None when the trial lacks it.
        headline: told of each engine where many are compared; the tables hold the rest.
        drawn: has a plot of its own in a report. swept: has one in the report of a sweep.
        axis: label of its own plot where it says more than the quantity's.
        line: place and word in the line of a finished trial; None where it is not told.
        own_clock: told by the engine itself, so it is the engine's word.
        processes: those whose wall time it is: of a trial that was stopped at its time limit it
            is known to be at least what had passed.
    """

    key: str
    title: str
    verb: str
    quantity: Quantity
    read: Callable[[Trial], float | None]
    headline: bool = False
    drawn: bool = False
    swept: bool = False
    axis: str = ""
    line: tuple[int, str] | None = None
    processes: tuple[str, ...] = ()
    own_clock: bool = False

    def value(self, trial: Trial) -> "Value | None":
        """The value of a valid trial, or the bound that one stopped at its time limit gives."""
        if trial.valid:
            found = self.read(trial)
            return None if found is None else Value(found)
        if not trial.timed_out:
            return None
        parts = [getattr(trial, name) for name in self.processes]
        walls = [part.wall_s for part in parts if part is not None and part.wall_s is not None]
        if not walls:
            return None
        whole = all(part is not None and part.outcome == "ok" for part in parts)
        return Value(sum(walls), is_least=not whole)

    @property
    def name(self) -> str:
        """The title inside a sentence: in small letters, but for abbreviations."""
        return " ".join(word if word.isupper() else word.lower() for word in self.title.split())

    @property
    def text(self) -> Callable[[float | None], str]:
        """Writes a value for people, with its unit."""
        return self.quantity.text


def _wall(trial: Trial, process: str) -> float | None:
    result = getattr(trial, process)
    return result.wall_s if result is not None else None


def _loop(trial: Trial, process: str) -> float | None:
    result = getattr(trial, process)  # its own loop is the phase of the same name
    return result.phases.get(process) if result is not None else None


def peak_bytes(process: ProcessResult | None) -> float | None:
    """Peak memory of one process: of its tree if it had children, else the kernel's own number."""
    if process is None:
        return None
    memory = process.tree_peak or process.peak_rss
    return float(memory.bytes) if memory is not None else None


def _peak(trial: Trial) -> float | None:
    peaks = [peak for peak in map(peak_bytes, (trial.train, trial.test)) if peak is not None]
    return max(peaks, default=None)


def steady_epoch_s(process: ProcessResult | None) -> float | None:
    """Median of the epochs after the first one; None without a second epoch."""
    later = [epoch.seconds for epoch in process.epochs[1:]] if process is not None else []
    return statistics.median(later) if later else None


def compile_s(process: ProcessResult | None) -> float | None:
    """Its compile phase, and what its first epoch took beyond a later one.

    Engines that trace or compile at their first call do so inside of the training loop, others in a
    phase of their own: only the sum is the same quantity of both. None without a second epoch.
    """
    steady = steady_epoch_s(process)
    if process is None or steady is None:
        return None
    return process.phases.get("compile", 0.0) + max(0.0, process.epochs[0].seconds - steady)


METRICS = (
    Metric(
        "train_wall_s",
        "Training time",
        "trains",
        TIME,
        partial(_wall, process="train"),
        processes=("train",),
        headline=True,
        drawn=True,
        swept=True,
        axis="seconds, wall time",
        line=(1, "train"),
    ),
    Metric(
        "test_wall_s",
        "Testing time",
        "tests",
        TIME,
        partial(_wall, process="test"),
        processes=("test",),
        headline=True,
        drawn=True,
        swept=True,
        axis="seconds, wall time",
        line=(2, "test"),
    ),
    Metric(
        "total_wall_s",
        "Total time",
        "trains and tests",
        TIME,
        lambda trial: trial.total_wall_s,
        processes=("train", "test"),
        drawn=True,
        swept=True,
        axis="seconds, wall time",
    ),
    Metric(
        "train_phase_s",
        "Training loop",
        "runs the training loop",
        TIME,
        partial(_loop, process="train"),
        own_clock=True,
    ),
    Metric(
        "test_phase_s",
        "Testing loop",
        "runs the testing loop",
        TIME,
        partial(_loop, process="test"),
        own_clock=True,
    ),
    Metric(
        "compile_s",
        "Compilation",
        "compiles",
        TIME,
        lambda trial: compile_s(trial.train),
        own_clock=True,
    ),
    Metric(
        "epoch_s",
        "Epoch, once compiled",
        "trains an epoch",
        TIME,
        lambda trial: steady_epoch_s(trial.train),
        own_clock=True,
    ),
    Metric(
        "peak_rss_bytes",
        "Peak memory",
        "needs",
        MEMORY,
        _peak,
        headline=True,
        swept=True,
        line=(4, "peak"),
    ),
    Metric(
        "accuracy",
        "Accuracy",
        "classifies",
        SHARE,
        lambda trial: trial.accuracy,
        drawn=True,
        swept=True,
        axis="accuracy, % of the test images",
        line=(3, "accuracy"),
    ),
)
"""In the order of every table. `*_wall_s` is the whole process, from outside; `*_phase_s` the
engine's own loop, without import, load and a phase of compiling; what is traced or compiled inside
of it is in `compile_s`, too. Memory is the larger of the two processes."""

BY_KEY = {metric.key: metric for metric in METRICS}
RATIO_METRICS = tuple(metric for metric in METRICS if not metric.quantity.is_share)
LINE = tuple(
    (word, metric)
    for (_, word), metric in sorted(
        ((metric.line, metric) for metric in METRICS if metric.line), key=lambda pair: pair[0]
    )
)
"""Word and metric of the line of a finished trial, in its order."""
