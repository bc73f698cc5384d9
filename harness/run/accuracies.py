"""Accuracy outside of anything timed: from more starts, and on the test set after each epoch.

The weights after each epoch are those that the engine left there in one training: in the timed one
where the workload has a target, else in one that is not timed. An engine that speaks protocol 1
leaves none, and is trained anew for every epoch: the weights after epoch e are those of a job of e
epochs with the same start and orders. A curve of E epochs then costs E·(E+1)/2 epochs.

`bench run --seeds N --curves` does it after its last block; `bench curves` does it alone, without a
run's folder.
"""

import contextlib
import statistics
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from harness.errors import Interrupted
from harness.process.supervise import Control
from harness.records.models import Planned, Point, PointKey, Trial
from harness.records.store import Run
from harness.run.plan import Plan
from harness.safe import files
from harness.trial.trial import Bench, record, run_trial, test_alone, train_alone


class Finder:
    """Finds the accuracies of one run, each when it is asked for.

    bench: that of the measured trials; what is done here lies in folders below its `work/`, without
    a timeline, and is not kept. run: the run whose timed trials may have left checkpoints.
    """

    def __init__(self, bench: Bench, run: Run | None = None) -> None:
        self._bench = replace(
            bench, cold=False, limits=replace(bench.limits, sample_interval_s=None)
        )
        self._run = run
        self._older: set[str] = set()  # engines that leave no checkpoints
        self._failed: dict[tuple[str, int], Trial] = {}

    def find(self, key: PointKey) -> Point | None:
        """The record of one accuracy; None where `bench.control` asked to stop before.

        All epochs of an engine and a seed come from one training, while they are asked for one
        after the other.
        """
        if key.epoch == self._epochs and self._run is not None:
            trial = self._trained_anew(key)  # a further start alone: nobody asks for its epochs
        else:
            trial = self._after_epoch(key)
        stopped = self._bench.control.stopping and trial.accuracy is None
        return None if stopped or trial.state == "interrupted" else _point(key, trial)

    @property
    def _asks_for_curves(self) -> bool:
        return self._run is None or self._run.manifest.curves

    @property
    def _epochs(self) -> int:
        return int(self._bench.workload["training"]["epochs"])

    def _after_epoch(self, key: PointKey) -> Trial:
        timed = timed_trial(self._run, key)
        kept = self._bench.checkpoints_of(timed.id) / f"{key.epoch}.npz" if timed else None
        if kept is not None and files.is_regular(kept):
            return self._tested(key, kept)
        if timed is not None and not timed.valid and not self._asks_for_curves:
            failed = record(_planned(key), "finished")
            failed.failure = f"its trial failed: {timed.failure}"
            return failed
        if key.engine in self._older:
            return self._trained_anew(key)
        if (key.engine, key.seed) in self._failed:
            return self._failed[key.engine, key.seed]
        own = replace(self._bench, folder=self._bench.folder / "work" / "curve", checkpoints=True)
        planned = _planned(key)
        folder = own.checkpoints_of(planned.id)
        if not files.is_regular(folder / f"{self._epochs}.npz"):
            trained = train_alone(own, planned)
            if older_protocol(trained):
                self._older.add(key.engine)
                return self._trained_anew(key)
            if trained.failure:
                self._failed[key.engine, key.seed] = trained
                return trained
        trial = self._tested(key, folder / f"{key.epoch}.npz")
        last = self._epochs if self._run is None else self._epochs - 1  # a trial knows its own end
        if key.epoch == last:
            with contextlib.suppress(OSError):
                files.remove(own.folder, "trials", planned.id)
        return trial

    def _tested(self, key: PointKey, weights: Path) -> Trial:
        """What an engine's own test process makes of weights that are there."""
        ours = replace(self._bench, folder=self._bench.folder / "work" / "tests")
        planned = _planned(key)
        trial = test_alone(ours, planned, weights)
        with contextlib.suppress(OSError):
            files.remove(ours.folder, "trials", planned.id)
        return trial

    def _trained_anew(self, key: PointKey) -> Trial:
        """Train for `key.epoch` epochs from the seed, and test."""
        training = {**self._bench.workload["training"], "epochs": key.epoch}
        # an order has as many rows as epochs
        folder = self._bench.folder / "work" / f"accuracy-{key.epoch}"
        workload = {**self._bench.workload, "training": training}
        ours = replace(self._bench, folder=folder, workload=workload, checkpoints=False)
        planned = _planned(key)
        trial = run_trial(ours, planned)
        with contextlib.suppress(OSError):
            files.remove(folder, "trials", planned.id)
        return trial


def timed_trial(run: Run | None, key: PointKey) -> Trial | None:
    """The measured trial that began as the point did, if there is one."""
    for trial in run.finished() if run is not None else ():
        if (trial.engine, trial.seed) == (key.engine, key.seed):
            return trial
    return None


def older_protocol(trial: Trial) -> bool:
    """Whether an engine refused checkpoints, which are of protocol 2, or knows nothing of them."""
    trained = trial.train
    knows_nothing = trained is not None and trained.outcome == "contract_broken"
    return "protocol" in trial.failure or (knows_nothing and "checkpoints: 0 of" in trial.failure)


def _planned(key: PointKey) -> Planned:
    name = f"{key.seed}-{key.engine}"
    return Planned(id=name, block=0, slot=0, engine=key.engine, seed=key.seed)


def _point(key: PointKey, trial: Trial) -> Point:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if trial.accuracy is None or trial.failure:
        return Point(**key._asdict(), at=now, failure=trial.failure or "no accuracy.")
    return Point(
        **key._asdict(),
        at=now,
        accuracy=trial.accuracy,
        correct=trial.correct,
        test_count=trial.test_count,
    )


def expected_s(run: Run, keys: list[PointKey]) -> float:
    """Seconds that points are expected to take, from the valid trials of their engines."""
    each: dict[tuple[str, int], float] = {}
    for key in keys:
        if (key.engine, key.epoch) not in each:
            trials = [t for t in run.valid() if t.engine == key.engine]
            tested = run.manifest.target is not None and key.epoch < run.manifest.epochs
            times = [_seconds(trial, key.epoch, tested=tested) for trial in trials]
            each[key.engine, key.epoch] = statistics.median(times) if times else 0.0
    return sum(each[key.engine, key.epoch] for key in keys)


def _seconds(trial: Trial, epoch: int, *, tested: bool) -> float:
    """A trial's own seconds less those of the epochs that a shorter job leaves out; of weights that
    are there and are only `tested`, those of its test."""
    if tested and trial.test is not None:
        return trial.test.wall_s or 0.0
    left_out = trial.train.epochs[epoch:] if trial.train is not None else []
    return max((trial.total_wall_s or 0.0) - sum(e.seconds for e in left_out), 0.0)


def collect(
    plan: Plan, control: Control, on_point: Callable[[Point], None] = lambda point: None
) -> list[Point]:
    """Every engine from every seed of a plan after every epoch, each shown as it is done.

    Raises: Interrupted when `control` is asked to stop.
    """
    manifest = plan.manifest
    all_further = manifest.model_copy(
        update={"seeds": [], "further_seeds": manifest.seeds, "curves": True}
    )
    found, names = [], [engine.name for engine in plan.engines]
    with tempfile.TemporaryDirectory(prefix="bench-curves-") as folder:
        finder = Finder(replace(plan.bench(Path(folder)), control=control))
        for key in sorted(
            all_further.points(), key=lambda k: (k.seed, names.index(k.engine), k.epoch)
        ):
            point = None if control.stopping else finder.find(key)
            if point is None:
                raise Interrupted("interrupted.")
            found.append(point)
            on_point(point)
    return found


def document(plan: Plan, found: list[Point], summary: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Points as JSON-ready data, with what the caller worked out over their seeds."""
    return {
        "preset": plan.manifest.preset,
        "dataset": plan.dataset.name,
        "seeds": plan.manifest.seeds,
        "summary": list(summary),
        "points": [
            {**point.key._asdict(), "accuracy": point.accuracy, "failure": point.failure}
            for point in found
        ],
    }
