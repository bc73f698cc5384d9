"""Learning curves: the accuracy on the test set after each epoch, outside of anything timed.

An engine needs nothing for it beyond the contract: the weights after epoch e are those of a job of
e epochs with the same start and the same orders. That costs E·(E+1)/2 epochs instead of E, and no
time that is measured.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.plan import Plan
from harness.process import Control, Limits
from harness.record import Planned
from harness.trial import Bench, run_trial


@dataclass(frozen=True)
class Point:
    """Accuracy in [0, 1] of one engine and seed after `epoch` epochs; None where it failed."""

    engine: str
    seed: int
    epoch: int
    accuracy: float | None
    failure: str = ""


def points(plan: Plan, control: Control | None = None) -> Iterator[Point]:
    """One point per seed of the plan, engine and epoch, as each is done.

    Raises: KeyboardInterrupt when `control` is asked to stop.
    """
    control = control or Control()
    epochs = plan.workload["training"]["epochs"]
    with tempfile.TemporaryDirectory(prefix="bench-curves-") as folder:
        for seed in plan.manifest.seeds:
            for engine in plan.engines:
                for epoch in range(1, epochs + 1):
                    bench = _bench(plan, Path(folder) / str(epoch), epoch, control)
                    yield _point(bench, engine.name, seed, epoch)
                    if control.stopping:
                        raise KeyboardInterrupt


def summary(found: list[Point]) -> list[dict[str, Any]]:
    """Mean, standard deviation, least and most accuracy over the seeds, by engine and epoch."""
    rows = []
    for engine, epoch in dict.fromkeys((point.engine, point.epoch) for point in found):
        own = [p for p in found if (p.engine, p.epoch) == (engine, epoch)]
        values = [p.accuracy for p in own if p.accuracy is not None]
        row: dict[str, Any] = {"engine": engine, "epoch": epoch, "n": len(values)}
        row["failed"] = len(own) - len(values)
        row["mean"] = float(np.mean(values)) if values else None
        row["sd"] = float(np.std(values, ddof=1)) if len(values) > 1 else None
        row["min"], row["max"] = min(values, default=None), max(values, default=None)
        rows.append(row)
    return rows


def document(plan: Plan, found: list[Point]) -> dict[str, Any]:
    """Points and their summary as JSON-ready data."""
    return {
        "preset": plan.manifest.preset,
        "dataset": plan.dataset.name,
        "seeds": plan.manifest.seeds,
        "summary": summary(found),
        "points": [asdict(point) for point in found],
    }


def collect(
    plan: Plan, control: Control, on_point: Callable[[Point], None] = lambda point: None
) -> list[Point]:
    """All points, each shown as it is done."""
    found = []
    for point in points(plan, control):
        on_point(point)
        found.append(point)
    return found


def _bench(plan: Plan, folder: Path, epochs: int, control: Control) -> Bench:
    training = {**plan.workload["training"], "epochs": epochs}
    return Bench(
        folder=folder,
        commands={engine.name: engine.command for engine in plan.engines},
        workload={**plan.workload, "training": training},
        dataset=plan.dataset,
        warmup_dataset=plan.dataset,
        threads=plan.manifest.threads,
        limits=Limits(timeout_s=plan.manifest.timeout_s, sample_interval_s=None),
        control=control,
    )


def _point(bench: Bench, engine: str, seed: int, epoch: int) -> Point:
    planned = Planned(id=f"{seed}-{engine}", block=0, slot=0, engine=engine, seed=seed)
    trial = run_trial(bench, planned)
    return Point(engine, seed, epoch, trial.accuracy if trial.valid else None, trial.failure)
