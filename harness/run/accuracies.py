"""Accuracy outside of anything timed: from more starts, and on the test set after each epoch.

An engine needs nothing for it beyond the contract: the weights after epoch e are those of a job of
e epochs with the same start and the same orders. A curve of E epochs costs E·(E+1)/2 epochs instead
of E, and no time that is measured. `bench run --seeds N --curves` does it after its last block;
`bench curves` does it alone, without a run's folder.
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
from harness.trial.trial import Bench, run_trial


def run_point(bench: Bench, key: PointKey) -> Point | None:
    """Train for `key.epoch` epochs from the seed, test, and return the record.

    bench: that of the measured trials; this one works in a folder of its own below its `work/`,
    without a timeline, and keeps nothing.
    Returns: None where `bench.control` asked to stop before it was done.
    """
    training = {**bench.workload["training"], "epochs": key.epoch}
    folder = bench.folder / "work" / f"accuracy-{key.epoch}"  # an order has as many rows as epochs
    ours = replace(
        bench,
        folder=folder,
        workload={**bench.workload, "training": training},
        cold=False,
        limits=replace(bench.limits, sample_interval_s=None),
    )
    name = f"{key.seed}-{key.engine}"
    trial = run_trial(ours, Planned(id=name, block=0, slot=0, engine=key.engine, seed=key.seed))
    with contextlib.suppress(OSError):
        files.remove(folder, "trials", name)
    return None if trial.state == "interrupted" else _point(key, trial)


def _point(key: PointKey, trial: Trial) -> Point:
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    if not trial.valid:
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
            times = [_seconds(trial, key.epoch) for trial in trials]
            each[key.engine, key.epoch] = statistics.median(times) if times else 0.0
    return sum(each[key.engine, key.epoch] for key in keys)


def _seconds(trial: Trial, epoch: int) -> float:
    """A trial's own seconds less those of the epochs that a shorter job leaves out."""
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
    found = []
    with tempfile.TemporaryDirectory(prefix="bench-curves-") as folder:
        bench = replace(plan.bench(Path(folder)), control=control)
        for key in all_further.points():
            point = None if control.stopping else run_point(bench, key)
            if point is None:
                raise Interrupted("interrupted.")
            found.append(point)
            on_point(point)
    names = [engine.name for engine in plan.engines]
    return sorted(found, key=lambda p: (p.seed, names.index(p.engine), p.epoch))


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
