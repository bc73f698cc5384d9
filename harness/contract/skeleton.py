"""What engines have in common: the phases of both processes, in order, and what is reported."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, ClassVar

from harness.contract.job import Job
from harness.contract.program import Unsupported, run_engine
from harness.contract.report import Report


class Skeleton:
    """An engine in phases; a subclass fills in what is its own.

    phase               in training                      in testing
    `import`            imports                          imports
    (not in a phase)    configure                        configure
    `load`              read_images, _labels, _order,    read_images
                        _rates
    `build`             build, build_training            build, build_testing
    `compile`           compile_training, if any         compile_testing, if any
    `train`, `test`     train, which calls epoch,        classify
                        and checkpoint after each
    `save`              write_weights                    write_predictions
    (not in a phase)    facts                            facts

    Attributes: `job` and `report` from the start; from `load` on `images`, and in training `labels`
    and `orders`: per epoch the places of its images, None for the images' own order; of an engine
    that speaks protocol 2, `rates`: per epoch what `read_rates` made of the rates of its steps,
    None for a constant rate.
    """

    protocol: ClassVar[int] = 1  # the highest that the engine speaks

    images: Any
    labels: Any
    orders: Any
    rates: Any
    epoch_s: float  # of the latest epoch
    compile_training: Callable[[], None] | None = None
    compile_testing: Callable[[], None] | None = None

    def __init__(self, job: Job, report: Report) -> None:
        self.job, self.report = job, report

    @classmethod
    def main(cls, argv: list[str] | None = None) -> None:
        """The engine as a program; see `run_engine`."""

        def run(job: Job, report: Report) -> None:
            cls(job, report).run()

        run_engine(train=run, test=run, argv=argv, protocol=cls.protocol)

    def imports(self) -> None:
        """Import the framework."""

    def configure(self) -> Skeleton | None:
        """Set threads, number type and seed. May return another engine, which then does the rest
        in this one's place."""

    def read_images(self, path: str) -> Any:
        """The images of an `.npy` file, uint8 (N, H, W, C), as this engine takes them."""
        raise NotImplementedError

    def read_labels(self, path: str) -> Any:
        """The labels of an `.npy` file, uint8 (N,)."""
        raise NotImplementedError

    def read_order(self, path: str) -> Any:
        """The order of the images in each epoch, of an `.npy` file, int32 (epochs, N)."""
        raise NotImplementedError

    def read_rates(self, path: str) -> Any:
        """The rates of an `.npy` file, in the workload's dtype (epochs, steps of an epoch)."""
        raise NotImplementedError

    def build(self, weights: str) -> None:
        """Make the model and read its weights. Raises: Unsupported naming the layer."""
        raise NotImplementedError

    def build_training(self) -> None:
        """Make what training needs beside the model. Raises: Unsupported naming the optimizer."""

    def build_testing(self) -> None:
        """Make what testing needs beside the model."""

    def train(self) -> None:
        """Train for all epochs and report each."""
        for number, order in enumerate(self.orders, start=1):
            with self.profiled(number):
                start = time.perf_counter()
                loss = self.epoch(number, order)
                self.epoch_s = seconds = time.perf_counter() - start
            self.report.epoch(number, seconds=seconds, loss=loss, examples=len(self.labels))
            self.checkpoint(number)

    def checkpoint(self, number: int) -> None:
        """Leave the weights after an epoch, where the job asks for them: whole, or not at all."""
        if self.job.checkpoints is not None:
            folder = Path(self.job.checkpoints)
            self.write_weights(str(folder / "unfinished.npz"))
            (folder / "unfinished.npz").replace(folder / f"{number}.npz")

    def profiled(self, number: int) -> AbstractContextManager[None]:
        """The context of epoch `number`: with the profiler on, if it is the one to profile."""
        is_last = number == self.job.workload.training.epochs
        return self.profile() if self.job.profile and is_last else nullcontext()

    def profile(self) -> AbstractContextManager[None]:
        """A context with the engine's profiler on, which reports its operations at its end."""
        raise Unsupported("profile: this engine reports no operations")

    def epoch(self, number: int, order: Any) -> float:
        """Train for one epoch, `number` from 1. Returns the mean loss per example."""
        raise NotImplementedError

    def classify(self) -> Any:
        """The class of each test image, (N,)."""
        raise NotImplementedError

    def write_weights(self, path: str) -> None:
        """Write the trained weights to an `.npz` file."""
        raise NotImplementedError

    def write_predictions(self, path: str, classes: Any) -> None:
        """Write what `classify` gave to an `.npy` file, uint8 (N,)."""
        raise NotImplementedError

    def facts(self) -> dict[str, Any]:
        """`parameters`, `layers`, `dtype` and `versions` as the engine's own objects say them, and
        `threads` where those can tell; see `Report.done`."""
        raise NotImplementedError

    def run(self) -> None:
        """All phases of the job's process."""
        with self.report.phase("import"):
            self.imports()
        engine = self.configure() or self
        if self.job.phase == "train":
            engine._train_process()
        else:
            engine._test_process()

    def _train_process(self) -> None:
        job, phase = self.job, self.report.phase
        with phase("load"):
            self.images = self.read_images(job.data.images)
            self.labels = self.read_labels(job.data.labels)
            self.orders = [None] * job.workload.training.epochs
            if job.data.order is not None:
                self.orders = self.read_order(job.data.order)
            self.rates = [None] * job.workload.training.epochs
            if job.data.learning_rates is not None:
                self.rates = self.read_rates(job.data.learning_rates)
        with phase("build"):
            self.build(job.initial_weights)
            self.build_training()
        self._compile(self.compile_training)
        with phase("train"):
            self.train()
        with phase("save"):
            self.write_weights(job.weights)
        self._done(job.workload.training.batch_size)

    def _test_process(self) -> None:
        job, phase = self.job, self.report.phase
        with phase("load"):
            self.images = self.read_images(job.data.images)
        with phase("build"):
            self.build(job.weights)
            self.build_testing()
        self._compile(self.compile_testing)
        with phase("test"):
            classes = self.classify()
        with phase("save"):
            self.write_predictions(job.predictions, classes)
        self._done(job.workload.testing.batch_size)

    def _compile(self, compile: Callable[[], None] | None) -> None:
        if compile is not None:
            with self.report.phase("compile"):
                compile()

    def _done(self, batch_size: int) -> None:
        facts = {"threads": self.job.threads, **self.facts()}
        self.report.done(batch_size=batch_size, **facts)
