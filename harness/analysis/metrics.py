"""The metrics of the report: how each is read off a trial, its unit and its words."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from harness import units
from harness.records.models import ProcessResult, Trial

Kind = Literal["time", "memory", "accuracy"]


@dataclass(frozen=True)
class Metric:
    """One number of a trial.

    Attributes:
        key: its name in JSON, CSV and figures; the suffix is the unit.
        title: for headings. verb: for sentences ("myad <verb> 3 times faster than ...").
        kind: time (seconds), memory (bytes) or accuracy (a fraction); decides how engines are
            compared: by ratio, or for accuracy by difference.
        read: the value in a trial; None when the trial lacks it.
    """

    key: str
    title: str
    verb: str
    kind: Kind
    read: Callable[[Trial], float | None]

    def text(self, value: float | None) -> str:
        """The value for people, with its unit."""
        forms = {"time": units.seconds, "memory": units.size, "accuracy": units.percent}
        return forms[self.kind](value)


def _wall(process: str) -> Callable[[Trial], float | None]:
    def read(trial: Trial) -> float | None:
        result = getattr(trial, process)
        return result.wall_s if result is not None else None

    return read


def _loop(process: str) -> Callable[[Trial], float | None]:
    def read(trial: Trial) -> float | None:
        result = getattr(trial, process)  # its own loop is the phase of the same name
        return result.phases.get(process) if result is not None else None

    return read


def peak_bytes(process: ProcessResult | None) -> float | None:
    """Peak memory of one process: of its tree if it had children, else the kernel's own figure."""
    if process is None:
        return None
    figure = process.tree_peak or process.peak_rss
    return float(figure.bytes) if figure is not None else None


def _peak(trial: Trial) -> float | None:
    peaks = [peak for peak in map(peak_bytes, (trial.train, trial.test)) if peak is not None]
    return max(peaks, default=None)


METRICS = (
    Metric("train_wall_s", "Training time", "trains", "time", _wall("train")),
    Metric("test_wall_s", "Testing time", "tests", "time", _wall("test")),
    Metric("total_wall_s", "Total time", "trains and tests", "time", lambda t: t.total_wall_s),
    Metric("train_phase_s", "Training loop", "runs the training loop", "time", _loop("train")),
    Metric("test_phase_s", "Testing loop", "runs the testing loop", "time", _loop("test")),
    Metric("peak_rss_bytes", "Peak memory", "needs", "memory", _peak),
    Metric("accuracy", "Accuracy", "classifies", "accuracy", lambda t: t.accuracy),
)
"""In the order of every table. `*_wall_s` is the whole process, from outside; `*_phase_s` the
engine's own loop, without import, load and compile; memory the larger of the two processes."""

BY_KEY = {metric.key: metric for metric in METRICS}
RATIO_METRICS = tuple(metric for metric in METRICS if metric.kind != "accuracy")
FIGURE_METRICS = tuple(
    BY_KEY[key] for key in ("train_wall_s", "test_wall_s", "total_wall_s", "accuracy")
)
"""The study's four figures."""
HEADLINES = ("train_wall_s", "test_wall_s", "peak_rss_bytes")
"""What is told of each engine where many are compared; the tables hold the rest."""
