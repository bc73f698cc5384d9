"""Runs over time: what there is, and one metric of one engine over the runs that compare."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from harness.analysis import machines
from harness.analysis.decision import decide_run
from harness.analysis.metrics import BY_KEY, Metric
from harness.errors import RecordError, UsageError
from harness.records.find import folders
from harness.records.manifest import Manifest
from harness.records.sameness import machine, unlike
from harness.records.store import Run, read_run
from harness.stats import Summary, summarize
from harness.stats.change import Change, change_points

JUDGED = BY_KEY["train_wall_s"]


@dataclass(frozen=True)
class Entry:
    """One run of a list. verdicts: engine -> one word on its training time against `baseline`."""

    run: Run
    baseline: str
    verdicts: dict[str, str]

    @property
    def manifest(self) -> Manifest:
        """Of the run."""
        return self.run.manifest

    @property
    def planned(self) -> int:
        """Measured trials of the schedule."""
        return len(self.run.planned())


@dataclass(frozen=True)
class History:
    """A metric of an engine over the runs of one machine that did the same work, oldest first.

    summaries: of each run's valid trials. changes: places in `runs` from which on the level is
    another one, with both levels in the metric's unit. left_out: how many other runs of the engine
    there are, on other machines or of other work.
    """

    engine: str
    metric: Metric
    machine: str
    runs: list[Run]
    summaries: list[Summary]
    changes: list[Change]
    left_out: int


def read_all(results: Path) -> tuple[list[Run], list[str]]:
    """The runs in a folder, newest first, and one line for each that cannot be read."""
    runs, problems = [], []
    for folder in folders(results):
        try:
            runs.append(read_run(folder))
        except RecordError as error:
            problems.append(str(error))
    return sorted(runs, key=_age, reverse=True), sorted(problems)


def entry(run: Run) -> Entry:
    """What a list says of a run."""
    baseline = run.manifest.decides.baseline
    rivals = [e.name for e in run.manifest.engines if e.name != baseline]
    if machines.apart(run):  # the line over them is worked out by a report
        return Entry(run, baseline, {})
    decision = decide_run(run)
    cells = {name: decision.of(name, baseline, JUDGED.key) for name in rivals}
    return Entry(run, baseline, {name: cell.word or "" for name, cell in cells.items() if cell})


def history(runs: Sequence[Run], metric: Metric, engine: str, of: str | None = None) -> History:
    """The history that ends with a run.

    Args:
        runs: newest first. engine: its name. of: machine, as `machine` names it; that of the
            newest run of the engine by default.
    Raises: UsageError where no run has a value of it.
    """
    known = [run for run in runs if _values(run, engine, metric)]
    ours = [run for run in known if of in (None, machine(run.manifest))]
    if not ours:
        others = ", ".join(sorted({e.name for run in runs for e in run.manifest.engines})) or "none"
        where = f" on machine {of}" if of else ""
        raise UsageError(
            f"history: no run has {metric.key} of engine '{engine}'{where}. Engines: {others}."
        )
    newest = ours[0].manifest
    same = [run for run in ours if not unlike(newest, run.manifest, "compare")][::-1]
    summaries = [summarize(_values(run, engine, metric)) for run in same]
    medians = [summary.median or 0.0 for summary in summaries]
    changes = _changes(medians, metric, newest)
    return History(
        engine, metric, machine(newest), same, summaries, changes, len(known) - len(same)
    )


def _changes(medians: list[float], metric: Metric, newest: Manifest) -> list[Change]:
    """Changes of the medians: relative for times and memory, of points for shares."""
    if metric.quantity.is_share:
        return change_points(medians, margin=newest.margins.accuracy_points / 100)
    if not all(median > 0 for median in medians):
        return []
    logs = [math.log(median) for median in medians]
    found = change_points(logs, margin=math.log1p(newest.margins.time_share))
    return [Change(c.place, math.exp(c.before), math.exp(c.after), c.p) for c in found]


def _values(run: Run, engine: str, metric: Metric) -> list[float]:
    trials = (trial for trial in run.valid() if trial.engine == engine)
    return [value for value in map(metric.read, trials) if value is not None]


def _age(run: Run) -> tuple[datetime, str]:
    return datetime.fromisoformat(run.manifest.created), run.folder.name
