"""Time and epochs to a target: when an engine's weights were first as good as the workload wants.

Of every valid trial the epochs are gone through in order: the first whose weights classify at least
the wanted share of the test images is the end, and the harness's stamp of these weights the time,
from the start of the process. A trial that never comes there is censored at its last epoch: it
needs more than that, and nobody knows how much. It is kept, as a slow one, and never averaged.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from harness.analysis.analysis import Analysis
from harness.records.models import Trial
from harness.stats import Ratio, paired_ratio


@dataclass(frozen=True)
class Course:
    """One trial on its way to the target.

    epochs, seconds, accuracies: of each checkpoint, in order; an accuracy is None where it is not
    known (yet). place: of the first that reached the target; None where none did, or where one
    before it is not known.
    """

    engine: str
    block: int
    seed: int
    epochs: tuple[int, ...]
    seconds: tuple[float, ...]
    accuracies: tuple[float | None, ...]
    place: int | None

    @property
    def is_known(self) -> bool:
        """Whether it is known that, and when, the target was reached, or that it was not."""
        upto = len(self.accuracies) if self.place is None else self.place + 1
        return bool(self.epochs) and None not in self.accuracies[:upto]

    @property
    def reached(self) -> bool:
        """Whether it came there; else it is censored at the last epoch."""
        return self.place is not None

    @property
    def to_target_s(self) -> float:
        """Seconds to the target; of a censored one, those to the last epoch."""
        return self.seconds[-1 if self.place is None else self.place]

    @property
    def to_target_epochs(self) -> int:
        """Epochs to the target; of a censored one, all of them."""
        return self.epochs[-1 if self.place is None else self.place]


@dataclass(frozen=True)
class Reach:
    """An engine's trials on their way to the target, those whose course is known."""

    engine: str
    courses: tuple[Course, ...]

    @property
    def reached(self) -> int:
        """How many came there."""
        return sum(course.reached for course in self.courses)

    def median_s(self) -> float | None:
        """The median time to the target, a censored trial counting as slower than every other;
        None where it is a censored one, so that all that is known is that it is later."""
        return _median([c.to_target_s if c.reached else None for c in self.courses])

    def median_epochs(self) -> float | None:
        """The same in epochs."""
        return _median([c.to_target_epochs if c.reached else None for c in self.courses])

    def times(self) -> list[float]:
        """Of the trials that reached it, in the order of blocks."""
        return [course.to_target_s for course in self.courses if course.reached]


@dataclass(frozen=True)
class ToTarget:
    """Everything a report says of a run's target. accuracy: the share wanted."""

    accuracy: float
    max_epochs: int
    baseline: str
    reaches: tuple[Reach, ...]

    @cached_property
    def ratios(self) -> dict[str, Ratio | None]:
        """Each engine's time to the target over the baseline's, paired over the blocks; None where
        a trial of either is censored: a ratio of those that came there would flatter who failed."""
        by_name = {reach.engine: reach for reach in self.reaches}
        base = by_name[self.baseline]
        return {
            name: _ratio(reach, base) for name, reach in by_name.items() if name != self.baseline
        }

    def document(self) -> dict[str, Any]:
        """As JSON-ready data, unrounded."""
        return {
            "accuracy": self.accuracy,
            "max_epochs": self.max_epochs,
            "engines": {reach.engine: _document(reach) for reach in self.reaches},
            "ratios": {
                f"{name}/{self.baseline}": None
                if found is None
                else {"n": found.n, "ratio": found.ratio, "interval": found.interval}
                for name, found in self.ratios.items()
            },
        }


def to_target(analysis: Analysis) -> ToTarget | None:
    """The way to the run's target; None where its workload has none, or several machines ran it."""
    manifest = analysis.run.manifest
    if manifest.target is None or analysis.machines:
        return None
    known = {(one.engine, one.seed, one.epoch): one.value for one in analysis.found}
    reaches = []
    for name in analysis.engines:
        trials = sorted(
            (t for t in analysis.run.valid() if t.engine == name), key=lambda t: t.block
        )
        courses = [_course(trial, known, manifest.target) for trial in trials]
        reaches.append(Reach(name, tuple(c for c in courses if c.is_known)))
    return ToTarget(manifest.target, manifest.epochs, analysis.baseline, tuple(reaches))


def _course(trial: Trial, known: dict[tuple[str, int, int], float | None], target: float) -> Course:
    checkpoints = trial.train.checkpoints if trial.train is not None else []
    found = tuple(known.get((trial.engine, trial.seed, c.epoch)) for c in checkpoints)
    place = None
    for at, accuracy in enumerate(found):
        if accuracy is None:
            break
        if accuracy >= target:
            place = at
            break
    return Course(
        trial.engine,
        trial.block,
        trial.seed,
        tuple(c.epoch for c in checkpoints),
        tuple(c.seconds for c in checkpoints),
        found,
        place,
    )


def _median(values: list[Any]) -> float | None:
    """The middle one, None being larger than all numbers; of an even count the mean of two."""
    ordered = sorted(values, key=lambda value: (value is None, value or 0))
    if not ordered:
        return None
    pair = ordered[(len(ordered) - 1) // 2], ordered[len(ordered) // 2]
    return None if None in pair else sum(pair) / 2


def _ratio(a: Reach, b: Reach) -> Ratio | None:
    of_b = {course.block: course for course in b.courses}
    pairs = [(course, of_b[course.block]) for course in a.courses if course.block in of_b]
    if not pairs or not all(x.reached and y.reached for x, y in pairs):
        return None
    return paired_ratio([x.to_target_s for x, _ in pairs], [y.to_target_s for _, y in pairs])


def _document(reach: Reach) -> dict[str, Any]:
    return {
        "trials": len(reach.courses),
        "reached": reach.reached,
        "median_s": reach.median_s(),
        "median_epochs": reach.median_epochs(),
        "courses": [
            {
                "block": course.block,
                "seed": course.seed,
                "reached": course.reached,
                "seconds": course.to_target_s,
                "epochs": course.to_target_epochs,
                "checkpoints": [
                    {"epoch": epoch, "seconds": seconds, "accuracy": accuracy}
                    for epoch, seconds, accuracy in zip(
                        course.epochs, course.seconds, course.accuracies, strict=True
                    )
                ],
            }
            for course in reach.courses
        ],
    }
