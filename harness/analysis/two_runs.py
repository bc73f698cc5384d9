"""Two runs side by side: are they alike, and what changed from the first to the second."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from harness import units
from harness.analysis.analysis import Analysis, analyze, one_machine
from harness.analysis.between import RunToRun, repeated, run_to_run
from harness.analysis.history import read_all
from harness.analysis.metrics import RATIO_METRICS, Metric
from harness.analysis.pairs import of_engine, paired, too_many_failures, values
from harness.errors import NothingMeasuredError, UsageError
from harness.records.find import find_run
from harness.records.manifest import Manifest
from harness.records.sameness import unlike
from harness.records.store import Run
from harness.stats import AccuracyDifference, Ratio, accuracy_change, decide
from harness.stats.describe import LEVEL
from harness.stats.family import ALPHA
from harness.stats.paired import NO_RATIO, exponential
from harness.stats.unpaired import Difference, as_ratio, between_runs, difference

MOST_NOTES = 12


@dataclass(frozen=True)
class Change:
    """One metric of one engine (or of a pair "a/b": their ratio), from BASE to NEW.

    ratio: NEW/BASE. base, new: geometric means in the metric's unit (for a pair: ratios), None
    without a value. spread: how much runs differ by themselves; None where no repeated runs tell,
    and then the interval is of these two runs alone and there is no word. error: what the interval
    is made of; None without values. verdict: on NEW, one of the four words, of an interval that
    holds together with those of all primary metrics; None for the others, and for memory that
    changed. base_failed,
    new_failed: where more than one trial in ten failed, in words; else "".
    """

    subject: str
    metric: Metric
    is_pair: bool
    base: float | None
    new: float | None
    base_n: int
    new_n: int
    ratio: Ratio
    verdict: str | None
    base_failed: str = ""
    new_failed: str = ""
    error: Difference | None = None
    spread: RunToRun | None = None
    p_adjusted: float | None = None

    @property
    def withheld(self) -> str:
        """Why the change is no result; "" if it is one."""
        return " ".join(filter(None, (self.base_failed, self.new_failed)))


@dataclass(frozen=True)
class TwoRuns:
    """Two runs and everything that changed. allowed: differences that `--allow` let pass."""

    base: str
    new: str
    margin: float
    allowed: list[str]
    notes: list[str]
    changes: list[Change]
    accuracies: dict[str, AccuracyDifference]
    analyses: tuple[Analysis, Analysis]

    def spread_told(self) -> str:
        """What is known of how runs differ by themselves, in a sentence."""
        known = [change.spread for change in self.changes if change.spread is not None]
        if not known:
            return (
                "How much runs on this machine differ by themselves is not known: no run was "
                "repeated. Intervals are of these two runs alone, and there are no words. Repeat "
                "a run, state it by --run-to-run, or measure both side by side: bench ab."
            )
        stated = known[0].degrees is None
        widest = units.significant(100 * max(spread.sd for spread in known), 2)
        if stated:
            return f"Runs differ by {widest} % by themselves, as stated by --run-to-run."
        return (
            f"Intervals hold what {max(s.runs for s in known)} repeated runs on this machine "
            f"differ by themselves: a standard deviation of up to {widest} %."
        )


def load_two_runs(
    base: str,
    new: str,
    results: Path,
    *,
    allow: list[str],
    margin: float | None,
    stated: float | None = None,
) -> TwoRuns:
    """Read two runs and compare them; the margin is the new run's own unless given.

    stated: how much runs differ by themselves, a share, in the place of what repeated runs tell.

    Raises: UsageError if the runs are not alike, NothingMeasuredError if nothing is valid in both.
    """
    check_margin(margin)
    first, second = (
        one_machine(analyze(find_run(name, results)), "compare") for name in (base, new)
    )
    then, now = first.run.manifest, second.run.manifest
    groups = repeated(_others(first, second, results), first.run)
    know = partial(_spread, groups, stated)
    chosen = now.margins.time_share if margin is None else margin
    return TwoRuns(
        base=then.run,
        new=now.run,
        margin=chosen,
        allowed=refuse_unlike(then, now, allow),
        notes=notes(then, now),
        changes=changes(first, second, chosen, know),
        accuracies=accuracy_changes(first, second),
        analyses=(first, second),
    )


def _others(base: Analysis, new: Analysis, results: Path) -> list[Run]:
    """Every run beside the two, but the new one: what is judged does not say how runs differ."""
    places = {
        folder.resolve() for folder in (results, base.run.folder.parent, new.run.folder.parent)
    }
    found = [run for place in sorted(places) for run in read_all(place)[0]]
    return [run for run in found if run.folder.resolve() != new.run.folder.resolve()]


def _spread(
    groups: list[list[Run]], stated: float | None, engines: list[str], metric: Metric
) -> RunToRun | None:
    if stated is not None:
        return RunToRun(math.log1p(stated), 0, None)
    return run_to_run(groups, partial(_logs, engines=engines, metric=metric))


def _logs(run: Run, engines: list[str], metric: Metric) -> np.ndarray:
    """Logarithms of one engine's values, or of the ratios of two, block by block."""
    trials = [of_engine(run, name) for name in engines]
    if len(engines) == 2:
        return values(paired(*trials), metric).logs
    known = [value.value for t in trials[0] if (value := metric.value(t)) and value.value > 0]
    return np.log(known)


def check_margin(margin: float | None) -> None:
    """Raises: UsageError unless it is a share, or none."""
    if margin is not None and not (math.isfinite(margin) and 0 < margin <= 10):
        raise UsageError(
            f"--margin {margin:g}: expected a share above 0 and up to 10, such as 0.02."
        )


def refuse_unlike(base: Manifest, new: Manifest, allowed: Iterable[str] = ()) -> list[str]:
    """Check that two runs may be compared; returns the differences that were allowed.

    Args:
        allowed: fields, or sections such as "host" or "workload.training", that may differ.
    Raises: UsageError naming every field that differs and how to allow it.
    """
    permitted = tuple(allowed)
    found = differences(base, new)
    refused = [field for field in found if not _is_allowed(field, permitted)]
    if refused:
        told = "; ".join(f"{field}: {found[field]}" for field in refused)
        options = " ".join(f"--allow {field}" for field in refused)
        raise UsageError(f"the runs are not alike: {told}. To compare them all the same: {options}")
    return [f"{field}: {text}" for field, text in found.items()]


def _is_allowed(field: str, allowed: tuple[str, ...]) -> bool:
    return any(field == name or field.startswith(f"{name}.") for name in allowed)


def differences(base: Manifest, new: Manifest) -> dict[str, str]:
    """Fields that must be equal for seconds to mean the same, where they are not."""
    found = unlike(base, new, "compare")
    return {field: _both(base, new, found[field]) for field in sorted(found)}


def _both(base: Manifest, new: Manifest, values: tuple[Any, Any]) -> str:
    return f"{values[0]} in {base.run}, {values[1]} in {new.run}"


def notes(base: Manifest, new: Manifest) -> list[str]:
    """What else differs, without being a reason to refuse: commits, engines, versions, packages."""
    found = []
    if base.git and new.git and base.git != new.git:
        found.append(f"git: {_commit(base)} in {base.run}, {_commit(new)} in {new.run}")
    for field, both in unlike(base, new, "note").items():
        part, _, name = field.partition(".")
        if part == "engine_files":
            found.append(f"engine {name}: another file or command")
        else:
            found.append(f"{field}: {_both(base, new, both)}")
    if len(found) > MOST_NOTES:
        return [*found[:MOST_NOTES], f"and {len(found) - MOST_NOTES} more"]
    return found


def _commit(manifest: Manifest) -> str:
    assert manifest.git is not None
    return manifest.git.commit[:10] + (" with changes" if manifest.git.dirty else "")


def changes(
    base: Analysis,
    new: Analysis,
    margin: float,
    know: Callable[[list[str], Metric], RunToRun | None],
) -> list[Change]:
    """Every metric of every engine that both runs hold, then the ratios between those engines.

    The runs were measured at different times, so their blocks are no pairs: Welch's t on
    logarithms, or what is known of repeated runs. Words are of the primary metrics of NEW alone and
    come from intervals that hold together for them (Bonferroni's correction); p is corrected alike.
    Raises: NothingMeasuredError if no engine has a valid trial in both runs.
    """
    common = [name for name in base.engines if name in new.engines]
    subjects = [([name], m) for name in common for m in RATIO_METRICS]
    subjects += [
        ([a, b], m)
        for i, a in enumerate(common)
        for b in common[i + 1 :]
        for m in RATIO_METRICS
        if m.quantity.is_time
    ]
    found = [_change((base, new), names, m, know(names, m)) for names, m in subjects]
    if not any(change.base_n and change.new_n for change in found):
        raise NothingMeasuredError(
            f"{base.run.manifest.run} and {new.run.manifest.run} have no engine with a valid "
            "trial in both."
        )
    primary = new.run.manifest.decides.primary
    made = max(1, sum(c.ratio.interval is not None and c.metric.key in primary for c in found))
    return [_worded(c, margin, made) if c.metric.key in primary else c for c in found]


def _change(
    runs: tuple[Analysis, Analysis], engines: list[str], metric: Metric, spread: RunToRun | None
) -> Change:
    """The change of one engine's values, or of the ratios of two, from BASE to NEW."""
    logs = [_logs(analysis.run, engines, metric) for analysis in runs]
    means = [float(np.exp(part.mean())) if len(part) else None for part in logs]
    failed = [_failed(analysis, engines) for analysis in runs]
    error = difference(logs[1], logs[0]) if all(map(len, logs)) else None
    if error is not None and spread is not None:
        error = between_runs(error, spread.sd, spread.degrees)
    return Change(
        "/".join(engines),
        metric,
        len(engines) > 1,
        means[0],
        means[1],
        len(logs[0]),
        len(logs[1]),
        NO_RATIO if error is None else as_ratio(error, min(map(len, logs))),
        None,
        base_failed=failed[0],
        new_failed=failed[1],
        error=error,
        spread=spread,
    )


def _worded(change: Change, margin: float, made: int) -> Change:
    p = change.ratio.p
    adjusted = None if p is None else min(1.0, made * p)
    if change.spread is None or change.error is None:
        return replace(change, p_adjusted=adjusted)
    ends = exponential(change.error.interval(1 - ALPHA / made))
    word: str | None = "inconclusive" if change.withheld else decide(ends, margin)
    if word in ("faster", "slower") and not change.metric.quantity.is_time:
        word = None
    return replace(
        change, p_adjusted=adjusted, verdict=word, ratio=replace(change.ratio, interval=ends)
    )


def accuracy_changes(
    base: Analysis, new: Analysis, level: float = LEVEL
) -> dict[str, AccuracyDifference]:
    """Accuracy of each common engine in NEW minus that in BASE; the runs' blocks are no pairs."""
    found = {}
    for name in (name for name in base.engines if name in new.engines):
        counts = [t.test_count for t in new.run.valid() if t.engine == name and t.test_count]
        found[name] = accuracy_change(
            new.summary(name, "accuracy").values,
            base.summary(name, "accuracy").values,
            images=min(counts, default=0),
            margin_points=new.margins.accuracy_points,
            level=level,
        )
    return found


def _failed(analysis: Analysis, engines: list[str]) -> str:
    told = filter(None, (too_many_failures(analysis.run, name) for name in engines))
    return " ".join(f"{text} in {analysis.run.manifest.run}." for text in told)
