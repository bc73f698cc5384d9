"""The accuracies of a run over its seeds: from the timed trials and from what came after them."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from harness.records.models import Point, Trial
from harness.records.store import Run
from harness.stats import Summary, summarize


@dataclass(frozen=True)
class Accuracy:
    """Accuracy in [0, 1] of an engine from one start after so many epochs; None where it failed.

    timed: it is that of a measured trial. images: size of the test set, 0 where it failed.
    """

    engine: str
    seed: int
    epoch: int
    value: float | None
    images: int
    timed: bool = False
    failure: str = ""

    @classmethod
    def of_point(cls, point: Point) -> "Accuracy":
        """One that was found after the blocks."""
        images = point.test_count or 0
        return cls(*point.key, point.accuracy, images, failure=point.failure)

    @classmethod
    def of_trial(cls, trial: Trial, epochs: int) -> "Accuracy":
        """That of a block, which is known from its trial."""
        value = trial.accuracy if trial.valid else None
        images = trial.test_count or 0
        return cls(trial.engine, trial.seed, epochs, value, images, True, trial.failure)


@dataclass(frozen=True)
class Spread:
    """One engine after one epoch, over the seeds: their summary, and how many seeds failed."""

    engine: str
    epoch: int
    summary: Summary
    failed: int

    def document(self) -> dict[str, Any]:
        """As JSON-ready data."""
        keys = ("n", "mean", "sd", "median", "min", "max")
        numbers = {key: getattr(self.summary, key) for key in keys}
        return {"engine": self.engine, "epoch": self.epoch, **numbers, "failed": self.failed}


def accuracies(run: Run) -> list[Accuracy]:
    """Every accuracy of a run, by engine in its order, then by seed and epoch."""
    manifest = run.manifest
    found = [Accuracy.of_trial(trial, manifest.epochs) for trial in run.finished()]
    found += [Accuracy.of_point(point) for point in run.points]
    order = {entry.name: place for place, entry in enumerate(manifest.engines)}
    return sorted(found, key=lambda a: (order[a.engine], a.seed, a.epoch))


def by_epoch(found: Iterable[Accuracy]) -> list[Spread]:
    """The spread over the seeds of each engine and epoch: engines in the order given."""
    groups: dict[tuple[str, int], list[Accuracy]] = {}
    for one in found:
        groups.setdefault((one.engine, one.epoch), []).append(one)
    engines = list(dict.fromkeys(engine for engine, _ in groups))
    rows = []
    for engine, epoch in sorted(groups, key=lambda key: (engines.index(key[0]), key[1])):
        own = groups[engine, epoch]
        values = [one.value for one in own if one.value is not None]
        rows.append(Spread(engine, epoch, summarize(values), len(own) - len(values)))
    return rows


def last_epoch(run: Run, found: list[Accuracy]) -> list[Accuracy]:
    """Those of fully trained networks."""
    return [one for one in found if one.epoch == run.manifest.epochs]


def is_asked(run: Run) -> bool:
    """Whether the run was to find accuracies beyond those of its blocks."""
    return bool(run.manifest.further_seeds or run.manifest.curves)
