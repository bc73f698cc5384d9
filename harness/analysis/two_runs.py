"""Two runs side by side: are they alike, and what changed from the first to the second."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.analysis.analysis import (
    Analysis,
    analyze,
    one_machine,
)
from harness.analysis.metrics import RATIO_METRICS, Metric
from harness.analysis.pairs import of_engine, paired, too_many_failures, values
from harness.errors import NothingMeasuredError, UsageError
from harness.records.find import find_run
from harness.records.models import Manifest
from harness.records.sameness import unlike
from harness.stats import (
    AccuracyDifference,
    Ratio,
    accuracy_change,
    decide,
    holm,
    ratio_of_samples,
)
from harness.stats.unpaired import welch

MOST_NOTES = 12


@dataclass(frozen=True)
class Change:
    """One metric of one engine (or of a pair "a/b": their ratio), from BASE to NEW.

    ratio: NEW/BASE. base, new: geometric means in the metric's unit (for a pair: ratios), None
    without a value. verdict: on NEW, one of the four words; for memory None where it changed.
    base_failed, new_failed: where more than one trial in ten failed, in words; else "".
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
    p_holm: float | None = None

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


def load_two_runs(
    base: str, new: str, results: Path, *, allow: list[str], margin: float | None
) -> TwoRuns:
    """Read two runs and compare them; the margin is the new run's own unless given.

    Raises: UsageError if the runs are not alike, NothingMeasuredError if nothing is valid in both.
    """
    if margin is not None and not (math.isfinite(margin) and 0 < margin <= 10):
        raise UsageError(
            f"--margin {margin:g}: expected a share above 0 and up to 10, such as 0.02."
        )
    first, second = (
        one_machine(analyze(find_run(name, results)), "compare") for name in (base, new)
    )
    then, now = first.run.manifest, second.run.manifest
    chosen = now.margins.time_share if margin is None else margin
    return TwoRuns(
        base=then.run,
        new=now.run,
        margin=chosen,
        allowed=refuse_unlike(then, now, allow),
        notes=notes(then, now),
        changes=changes(first, second, chosen),
        accuracies=accuracy_changes(first, second),
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


def changes(base: Analysis, new: Analysis, margin: float) -> list[Change]:
    """Every metric of every engine that both runs hold, then the ratios between those engines.

    The runs were measured at different times, so their blocks are no pairs: Welch's t on
    logarithms. p is Holm-corrected over all of them.
    Raises: NothingMeasuredError if no engine has a valid trial in both runs.
    """
    common = [name for name in base.engines if name in new.engines]
    found = [_engine_change(base, new, name, m, margin) for name in common for m in RATIO_METRICS]
    found += [
        _pair_change(base, new, a, b, m, margin)
        for i, a in enumerate(common)
        for b in common[i + 1 :]
        for m in RATIO_METRICS
        if m.quantity.is_time
    ]
    if not any(change.base_n and change.new_n for change in found):
        raise NothingMeasuredError(
            f"{base.run.manifest.run} and {new.run.manifest.run} have no engine with a valid "
            "trial in both."
        )
    corrected = holm([change.ratio.p for change in found])
    return [replace(change, p_holm=p) for change, p in zip(found, corrected, strict=True)]


def _engine_change(
    base: Analysis, new: Analysis, name: str, metric: Metric, margin: float
) -> Change:
    """Change of one engine's mean."""
    samples = [[v for v in a.summary(name, metric.key).values if v > 0] for a in (base, new)]
    ratio = ratio_of_samples(samples[1], samples[0])
    logs = [np.log(values) for values in samples]
    return _change((base, new), [name], metric, margin, logs, ratio)


def _pair_change(
    base: Analysis, new: Analysis, a: str, b: str, metric: Metric, margin: float
) -> Change:
    """Change of the ratio a/b, each run's log-ratios paired over its own blocks."""
    logs = [log_ratios(analysis, a, b, metric) for analysis in (base, new)]
    ratio = welch(logs[1], logs[0]) if len(logs[0]) and len(logs[1]) else ratio_of_samples([], [])
    return _change((base, new), [a, b], metric, margin, logs, ratio)


def _change(
    runs: tuple[Analysis, Analysis],
    engines: list[str],
    metric: Metric,
    margin: float,
    logs: list[np.ndarray],
    ratio: Ratio,
) -> Change:
    """The change of a value of which `logs` holds the logarithms, in BASE and in NEW."""
    means = [float(np.exp(part.mean())) if len(part) else None for part in logs]
    failed = [_failed(analysis, engines) for analysis in runs]
    return Change(
        "/".join(engines),
        metric,
        len(engines) > 1,
        means[0],
        means[1],
        len(logs[0]),
        len(logs[1]),
        ratio,
        speed_verdict(ratio, metric, margin, " ".join(failed).strip()),
        base_failed=failed[0],
        new_failed=failed[1],
    )


def accuracy_changes(base: Analysis, new: Analysis) -> dict[str, AccuracyDifference]:
    """Accuracy of each common engine in NEW minus that in BASE; the runs' blocks are no pairs."""
    found = {}
    for name in (name for name in base.engines if name in new.engines):
        counts = [t.test_count for t in new.run.valid() if t.engine == name and t.test_count]
        found[name] = accuracy_change(
            new.summary(name, "accuracy").values,
            base.summary(name, "accuracy").values,
            images=min(counts, default=0),
            margin_points=new.margins.accuracy_points,
        )
    return found


def log_ratios(analysis: Analysis, a: str, b: str, metric: Metric) -> np.ndarray:
    """log(value of a / value of b) of every block in which both are valid."""
    return values(paired(of_engine(analysis.run, a), of_engine(analysis.run, b)), metric).logs


def speed_verdict(ratio: Ratio, metric: Metric, margin: float, withheld: str) -> str | None:
    """One of the four words; None for a clear difference in what is no time: less memory is not
    speed. A ratio that is withheld is inconclusive."""
    verdict = "inconclusive" if withheld else decide(ratio.interval, margin)
    is_speed = verdict in ("faster", "slower")
    return None if is_speed and not metric.quantity.is_time else verdict


def _failed(analysis: Analysis, engines: list[str]) -> str:
    told = filter(None, (too_many_failures(analysis.run, name) for name in engines))
    return " ".join(f"{text} in {analysis.run.manifest.run}." for text in told)
