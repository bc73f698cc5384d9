"""One trial: write the jobs, run the train and the test process, check everything, one record."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from harness.data.cache import DataSet, load_array
from harness.machine.noise import disturbances
from harness.process.supervise import Control, Limits
from harness.records.models import Planned, ProcessResult, State, Trial
from harness.safe import files
from harness.trial.answer import Fault, read_predictions
from harness.trial.job import Process, job, run_job
from harness.workload import start as weights
from harness.workload.rates import learning_rates


@dataclass
class Bench:
    """What all trials of a run have in common.

    commands: argument list per engine. workload: the `workload` object of every job.
    dataset, warmup_dataset: arrays of measured and of warm-up trials.
    cold, sandboxed: see `--cold`, `--sandbox`. checkpoints: training leaves the weights after each
    epoch; the harness keeps them in the trial's folder. settle_s, quiet_s: see `Rule`.
    """

    folder: Path
    commands: dict[str, tuple[str, ...]]
    workload: dict[str, Any]
    dataset: DataSet
    warmup_dataset: DataSet
    threads: int = 1
    cold: bool = False
    sandboxed: bool = False
    checkpoints: bool = False
    settle_s: float = 0.0
    quiet_s: float = 0.0
    limits: Limits = field(default_factory=Limits)
    control: Control = field(default_factory=Control)
    on_tick: Callable[[], None] = lambda: None

    def dataset_of(self, planned: Planned) -> DataSet:
        """The arrays that this trial gets."""
        return self.warmup_dataset if planned.warmup else self.dataset

    def checkpoints_of(self, name: str) -> Path:
        """The folder with the weights after each epoch, `<epoch>.npz`, of the trial of that id."""
        return self.folder / "trials" / name / "checkpoints"

    def cache_of(self, engine: str) -> Path:
        """The engine's own folder for compile caches, for as long as the run lasts."""
        return self.folder / "work" / "cache" / engine


def run_trial(bench: Bench, planned: Planned) -> Trial:
    """Run one trial from nothing and return its record, whatever happens to the engine."""
    # what a trial that was interrupted has left, or an engine put there in advance
    files.remove(bench.folder, "trials", planned.id)
    if bench.cold:
        files.remove(bench.folder, "work", "cache", planned.engine)
    trial = record(planned, "finished")
    trial.train, _ = _run_process(bench, planned, "train")
    if trial.train.outcome == "ok" and not bench.control.stopping:
        _test(bench, planned, trial)
    _close(trial, bench.folder)
    if planned.warmup and bench.checkpoints:
        files.remove(bench.folder, "trials", planned.id, "checkpoints")
    if bench.control.stopping and not trial.valid:
        trial.state = "interrupted"
    return trial


def train_alone(bench: Bench, planned: Planned) -> Trial:
    """The train process of a trial, for the checkpoints that it leaves."""
    files.remove(bench.folder, "trials", planned.id)
    trial = record(planned, "finished")
    trial.train, _ = _run_process(bench, planned, "train")
    _close(trial, bench.folder)
    return trial


def test_alone(bench: Bench, planned: Planned, weights: Path) -> Trial:
    """The test process of a trial, with weights that are there already; its accuracy counts."""
    trial = record(planned, "finished")
    _test(bench, planned, trial, weights)
    _close(trial, bench.folder)
    return trial


def _test(bench: Bench, planned: Planned, trial: Trial, weights: Path | None = None) -> None:
    trial.test, document = _run_process(bench, planned, "test", weights)
    if trial.test.outcome == "ok":
        _score(bench, planned, trial, trial.test, document)


def record(planned: Planned, state: State, machine: str = "") -> Trial:
    """A record of this moment for a trial of the schedule; machine: see Trial."""
    now = datetime.now(UTC).isoformat(timespec="milliseconds")
    fields = {name: getattr(planned, name) for name in Planned.model_fields}
    return Trial(**fields, state=state, at=now, machine=machine)


def prepare_inputs(bench: Bench, planned: Planned) -> dict[str, Path | None]:
    """Starting weights, order of the images, learning rates: equal for every engine of a block."""
    training = bench.workload["training"]
    examples = bench.dataset_of(planned).counts["train"]
    folder = files.folder(bench.folder, "work", f"seed-{planned.seed}-{examples}")
    start = folder / "initial.npz"
    if not files.is_regular(start):
        weights.save(
            start,
            weights.initial_weights(bench.workload["model"], planned.seed, training["dtype"]),
        )
    order, rates = None, learning_rates(training, examples)
    if training["shuffle"]:
        order = weights.order(planned.seed, training["epochs"], examples)
    return {
        "initial_weights": start,
        "order": _kept(folder / "order.npy", order),
        "learning_rates": _kept(folder / "learning_rates.npy", rates),
    }


def _kept(path: Path, array: np.ndarray | None) -> Path | None:
    """The file of an array, written once; None for no array."""
    if array is None:
        return None
    if not files.is_regular(path):
        content = io.BytesIO()
        np.save(content, array)
        files.replace(path, content.getvalue())
    return path


def _run_process(
    bench: Bench, planned: Planned, process: Process, weights: Path | None = None
) -> tuple[ProcessResult, dict[str, Any]]:
    folder = files.folder(bench.folder, "trials", planned.id, process).absolute()
    asked = _job(bench, planned, process, folder, weights)
    result = run_job(
        asked,
        bench.commands[planned.engine],
        folder,
        bench.cache_of(planned.engine),
        examples=bench.dataset_of(planned).counts["train"],
        limits=bench.limits,
        control=bench.control,
        kept=bench.checkpoints_of(planned.id).absolute(),
        sandboxed=bench.sandboxed,
        on_tick=bench.on_tick,
    )
    return result, asked


def _job(
    bench: Bench, planned: Planned, process: Process, folder: Path, weights: Path | None
) -> dict[str, Any]:
    dataset, inputs = bench.dataset_of(planned), prepare_inputs(bench, planned)
    training = process == "train"
    return job(
        process,
        planned.engine,
        bench.workload,
        folder,
        images=dataset.paths[f"{process}_images"],
        labels=dataset.paths["train_labels"] if training else None,
        order=inputs["order"] if training else None,
        learning_rates=inputs["learning_rates"] if training else None,
        checkpoints=training and bench.checkpoints,
        initial_weights=inputs["initial_weights"],
        weights=weights or folder.parent / "train" / "weights.npz",
        seed=planned.seed,
        threads=bench.threads,
    )


def _score(
    bench: Bench, planned: Planned, trial: Trial, test: ProcessResult, document: dict[str, Any]
) -> None:
    """Recompute the accuracy from the predictions; the engine's own word is never taken."""
    labels = load_array(bench.dataset_of(planned).paths["test_labels"])
    try:
        folder = bench.folder / "trials" / planned.id
        predictions = read_predictions(document, len(labels), below=folder)
    except Fault as fault:
        test.outcome, test.reason = fault.outcome, fault.reason
        return
    trial.test_count = len(labels)
    trial.correct = int(np.count_nonzero(predictions == labels))
    trial.accuracy = trial.correct / trial.test_count


def _close(trial: Trial, run: Path) -> None:
    """Say whether the trial counts, why not, and whether the machine was disturbed."""
    for name in ("train", "test"):
        result = getattr(trial, name)
        if result is None:
            continue
        trial.disturbances += disturbances(name, result)
        if result.outcome != "ok" and not trial.failure:
            trial.failure = f"{name}: {result.outcome}: {result.reason}"
    trial.disturbed = bool(trial.disturbances)
    whole = trial.train is not None and trial.test is not None
    trial.valid = whole and trial.accuracy is not None and not trial.failure
    if trial.valid:
        files.remove(run, "trials", trial.id, "train", "weights.npz")  # megabytes; reproducible
