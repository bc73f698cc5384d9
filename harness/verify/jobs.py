"""Jobs outside of a run: small parts of a data set, trained on and classified by one engine."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from harness.contract import EXIT_UNSUPPORTED
from harness.data.cache import DataSet, load_array
from harness.errors import Interrupted
from harness.process.supervise import Control, Limits
from harness.safe.text import one_line
from harness.trial.answer import Fault, read_predictions
from harness.trial.engines import Engine
from harness.trial.job import Process, job, run_job
from harness.verify.checks import Check
from harness.workload import start as weights
from harness.workload.rates import learning_rates

TEST_IMAGES = 500
LONGEST_S = 600.0  # that any process of a verification takes


class NoResult(Exception):
    """An engine that did not do a job of the verification; the message says why."""


@dataclass(frozen=True)
class Result:
    """Weights before and after a job, and the loss of each epoch."""

    start: dict[str, np.ndarray]
    weights: dict[str, np.ndarray]
    losses: list[float]

    @property
    def moved(self) -> dict[str, np.ndarray]:
        """How far each parameter moved: the gradient, where one step had a learning rate of 1."""
        return {name: self.start[name] - end for name, end in self.weights.items()}


@dataclass
class Jobs:
    """One workload and its data; every job gets a folder of its own below `folder`.

    timeout_s: of every process, but not of those of the engine that is `trusted`.
    """

    workload: dict[str, Any]
    dataset: DataSet
    folder: Path
    threads: int = 1
    seed: int = 0
    timeout_s: float = LONGEST_S
    trusted: str = ""
    sandboxed: bool = False
    control: Control = field(default_factory=Control)

    def classes(self, engine: Engine, dtype: str, trained: dict[str, np.ndarray]) -> np.ndarray:
        """Classes of the first test images with the given weights. Raises: NoResult."""
        folder = self._new_folder(engine)
        workload = self._workload({}, dtype)
        images = load_array(self.dataset.paths["test_images"])[:TEST_IMAGES]
        given = {"images": folder / "images.npy", "weights": folder / "weights.npz"}
        np.save(given["images"], images)
        weights.save(given["weights"], {name: w.astype(dtype) for name, w in trained.items()})
        asked = self._job("test", engine, workload, folder, **given)
        self._run(engine, asked, folder, len(images))
        try:
            return read_predictions(asked, len(images), below=folder.parent)
        except Fault as fault:
            raise NoResult(f"test: {fault.reason}") from fault

    def train(
        self, engine: Engine, check: Check, dtype: str, changes: dict[str, Any] | None = None
    ) -> Result:
        """Do the job of a check, or that of a mistake. Raises: NoResult."""
        changes = changes or {}
        folder = self._new_folder(engine)
        workload = self._workload({**check.training, "epochs": check.epochs}, dtype)
        batch = workload["training"]["batch_size"]
        chosen = self._images(check)
        images = load_array(self.dataset.paths["train_images"])[chosen]
        labels = load_array(self.dataset.paths["train_labels"])[chosen]
        if "keep" in changes:
            images, labels = images[changes["keep"](batch)], labels[changes["keep"](batch)]
        given = {name: folder / f"{name}.npy" for name in ("images", "labels")}
        np.save(given["images"], images)
        np.save(given["labels"], labels)
        start = weights.initial_weights(workload["model"], self.seed, dtype)
        if "start" in changes:
            start = {name: changes["start"](values) for name, values in start.items()}
        given |= {"initial_weights": folder / "initial.npz", "weights": folder / "weights.npz"}
        weights.save(given["initial_weights"], start)
        if workload["training"]["shuffle"]:
            order = weights.order(self.seed, check.epochs, len(images))
            order = changes.get("order", lambda given: given)(order)
            given["order"] = folder / "order.npy"
            np.save(given["order"], order)
        rates = learning_rates(workload["training"], len(images))
        if rates is not None:
            given["learning_rates"] = folder / "learning_rates.npy"
            np.save(given["learning_rates"], changes.get("rates", lambda given: given)(rates))
        asked = self._job("train", engine, workload, folder, **given)
        losses = self._run(engine, asked, folder, len(images))
        end = self._read(given["weights"], workload["model"])
        return Result(start, end, losses)

    def _read(self, path: Path, model: dict[str, Any]) -> dict[str, np.ndarray]:
        """Trained weights. Raises: NoResult."""
        try:
            return weights.load(path, model, below=self.folder)
        except (OSError, weights.WeightsError) as error:
            raise NoResult(f"train: {one_line(error)}") from error

    def places(self, check: Check) -> int:
        """How many stretches of images, none in two of them, there are for a check's job."""
        return max(self.dataset.counts["train"] // self._span(check)[1], 1)

    def _span(self, check: Check) -> tuple[int, int]:
        """The number of images of a check's job, and of those that differ."""
        batch = {**self.workload["training"], **check.training}["batch_size"]
        count = min(max(int(check.batches * batch), 1), self.dataset.counts["train"])
        return count, min(check.distinct or count, count)

    def _images(self, check: Check) -> np.ndarray:
        """Places in the data set of the images of a check's job, in order."""
        count, distinct = self._span(check)
        return check.place * distinct + np.arange(count) * distinct // count

    def _workload(self, training: dict[str, Any], dtype: str) -> dict[str, Any]:
        changed = {**self.workload["training"], **training, "dtype": dtype}
        return {**self.workload, "training": changed}

    def _new_folder(self, engine: Engine) -> Path:
        folder = self.folder / f"{engine.name}-{secrets.token_hex(4)}"
        folder.mkdir(parents=True)
        return folder

    def _job(
        self,
        process: Process,
        engine: Engine,
        workload: dict[str, Any],
        folder: Path,
        **given: Path,
    ) -> dict[str, Any]:
        options: dict[str, Any] = {"seed": self.seed, "threads": self.threads, **given}
        options["checkpoints"] = process == "train" and "target" in workload
        return job(process, engine.name, workload, folder, **options)

    def _run(
        self, engine: Engine, asked: dict[str, Any], folder: Path, examples: int
    ) -> list[float]:
        """Run one process; returns the losses of its epochs. Raises: NoResult."""
        result = run_job(
            asked,
            engine.command,
            folder,
            self.folder / "cache" / engine.name,
            examples=examples,
            limits=Limits(
                timeout_s=LONGEST_S if engine.name == self.trusted else self.timeout_s,
                sample_interval_s=None,
            ),
            control=self.control,
            kept=folder / "kept",
            sandboxed=self.sandboxed,
        )
        if self.control.stopping:
            raise Interrupted("interrupted.")
        if result.exit_code == EXIT_UNSUPPORTED:
            lines = result.stderr_tail.strip().splitlines()
            raise NoResult(one_line(lines[-1])[:300] if lines else "unsupported workload")
        if result.outcome != "ok":
            raise NoResult(f"{asked['phase']}: {result.outcome}: {result.reason}")
        return [float(epoch.loss or 0.0) for epoch in result.epochs]
