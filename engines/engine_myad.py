"""myad, compiled: the workload's CNN, the whole training loop as one native function."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from engines.engine_myad_eager import Eager
from harness.contract import Skeleton

if TYPE_CHECKING:
    import numpy as np

    import myad
    import myad.compiled as compiler


class Compiled(Eager):
    """The eager engine's model; its training step and its forward pass compiled."""

    def imports(self) -> None:
        """The library and its compiler."""
        global np, myad, compiler
        super().imports()
        import numpy as np

        import myad
        import myad.compiled as compiler

    def configure(self) -> Skeleton | None:
        """Where no native code can be made, the eager engine does the work, as in the library."""
        return None if compiler.available() else Eager(self.job, self.report)

    def read_order(self, path: str) -> np.ndarray:
        """The array of the file, read as it is needed."""
        return np.load(path, mmap_mode="r")

    def compile_training(self) -> None:
        """Compile the loop over an epoch's steps."""
        settings = self.job.workload.training
        self.training = compiler.compile_training(
            self.model, settings.loss, self.optimizer, self.images, self.labels,
            batch_size=settings.batch_size, seed=self.job.seed, threads=self.job.threads,
        )  # fmt: skip

    def compile_testing(self) -> None:
        """Compile the loop over the test images."""
        size = self.job.workload.testing.batch_size
        self.predict = compiler.compile_predict(
            self.model, self.images, batch_size=size, threads=self.job.threads
        )

    train = Skeleton.train  # epoch by epoch, without `fit`

    def epoch(self, number: int, order: np.ndarray | None) -> float:
        """One call of the compiled loop."""
        loss = self.training.epoch(self.images, self.labels, order)
        myad.step.check_finite(loss, number)
        return loss

    @contextmanager
    def profile(self) -> Iterator[None]:
        """A build of its own, which counts the time of each kernel; it has warmed up before."""
        from engines import profile_myad

        settings, job = self.job.workload.training, self.job
        assert job.profile is not None
        self.model.parameters = self.training.parameters
        self.training = compiler.compile_training(
            self.model, settings.loss, self.optimizer, self.images, self.labels,
            batch_size=settings.batch_size, seed=job.seed, threads=job.threads,
            optimizer_state=self.training.optimizer_state, counted=True,
        )  # fmt: skip
        self.training.epoch(self.images, self.labels, self.orders[-1])
        layers = job.workload.model.layers
        steps, report = job.profile.steps, self.report
        with profile_myad.counted(self.training, layers, steps, report, lambda: self.epoch_s):
            yield

    def classify(self) -> np.ndarray:
        """The classes of the test images by the compiled loop."""
        return self.predict(self.images).argmax(axis=1)

    def write_weights(self, path: str) -> None:
        """What the compiled loop has come to, as the model's file."""
        self.model.parameters = self.training.parameters
        super().write_weights(path)


if __name__ == "__main__":
    Compiled.main()
