"""Analysis -> tables of raw values, unrounded, for CSV and Parquet; `docs/report.md` lists them."""

from collections.abc import Callable
from functools import partial
from operator import attrgetter

from harness import contract
from harness.analysis.analysis import Analysis
from harness.analysis.metrics import METRICS, peak_bytes
from harness.analysis.warnings import outcome
from harness.records.models import ProcessResult, Trial
from harness.report.table import Table, texts
from harness.stats import Summary

STATISTICS = ("n", "mean", "median", "sd", "min", "max")
MEAN_ENDS, MEDIAN_ENDS = ("mean_low", "mean_high"), ("median_low", "median_high")
TRIAL = ("block", "slot", "engine", "seed", "warmup", "state", "machine")
VERDICT = ("valid", "disturbed", "failure")
# the loops, `train` and `test`, are metrics with columns of their own
PHASES = [name for name in contract.PHASES if name not in ("train", "test")]
Read = Callable[[Trial], object]


def statistics(summary: Summary) -> list[float | None]:
    """The values of STATISTICS, then the ends of the mean's interval and of the median's."""
    ends = [
        end
        for interval in (summary.mean_interval, summary.median_interval)
        for end in interval or (None, None)
    ]
    return [*(getattr(summary, key) for key in STATISTICS), *ends]


def summary_values(analysis: Analysis) -> Table:
    """One row per engine and metric (and machine of several): statistics, how many failed."""
    heads = ("engine", "metric", *STATISTICS, *MEAN_ENDS, *MEDIAN_ENDS, "failed", "machine")
    rows = [
        [
            name,
            metric.key,
            *statistics(part.summary(name, metric.key)),
            len(part.failures[name]),
            machine,
        ]
        for machine, part in (analysis.machines or {"": analysis}).items()
        for name in analysis.engines
        for metric in METRICS
    ]
    return Table(texts(*heads), rows)


def accuracy_values(analysis: Analysis) -> Table:
    """One row per engine, seed and epoch: the accuracy, whether its training was timed, or why
    there is none."""
    rows = [
        [one.engine, one.seed, one.epoch, one.value, one.timed, one.failure]
        for one in analysis.found
    ]
    return Table(texts("engine", "seed", "epoch", "accuracy", "timed", "failure"), rows)


def trial_values(analysis: Analysis) -> Table:
    """One row per trial that has a record, valid or not, warm-ups marked."""
    columns = _trial_columns()
    rows = [[read(trial) for read in columns.values()] for trial in analysis.run.trials]
    return Table(texts(*columns), rows)


def _trial_columns() -> dict[str, Read]:
    columns: dict[str, Read] = {"trial": attrgetter("id")}
    columns |= {key: attrgetter(key) for key in TRIAL}
    columns |= {"outcome": outcome}
    columns |= {key: attrgetter(key) for key in VERDICT}
    columns |= {metric.key: metric.read for metric in METRICS}
    for process in ("train", "test"):
        for key, read in _process_columns().items():
            columns[f"{process}_{key}"] = _of(process, read)
    return columns


def _process_columns() -> dict[str, Callable[[ProcessResult], object]]:
    return {
        "user_s": attrgetter("user_s"),
        "system_s": attrgetter("system_s"),
        "peak_bytes": peak_bytes,
        **{f"{name}_s": partial(_phase, name=name) for name in PHASES},
        "involuntary_switches": attrgetter("involuntary_switches"),
    }


def _phase(result: ProcessResult, name: str) -> float | None:
    return result.phases.get(name)


def _of(process: str, read: Callable[[ProcessResult], object]) -> Read:
    def value(trial: Trial) -> object:
        result = getattr(trial, process)
        return read(result) if result is not None else None

    return value
