"""TensorFlow as a Keras user writes it: arrays given to `fit` and `predict`, nothing tuned.

Progress bars and metrics are off: the harness computes the accuracy, and both would cost
TensorFlow time that the other engines do not spend.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.contract import Skeleton

if TYPE_CHECKING:
    import keras
    import numpy as np

    from tf_reference import model as reference


class TensorFlow(Skeleton):
    """`fit`, one call for all epochs unless each has an order of its own, and `predict`."""

    protocol: ClassVar[int] = 2
    marks: Sequence[Any] = ()  # more callbacks, of an epoch that is profiled
    is_watched = True  # whether an epoch is reported

    def imports(self) -> None:
        """TensorFlow and Keras, which the model's file imports."""
        global np, reference
        import numpy as np

        from tf_reference import model as reference

    def configure(self) -> None:
        """Threads, number type and seed."""
        reference.configure(self.job)

    def read_images(self, path: str) -> Any:
        """Images scaled to [0, 1], in the workload's number type: (N, H, W, C)."""
        return reference.load_images(path, self.job.workload.training.dtype)

    def read_labels(self, path: str) -> Any:
        """The array of the file."""
        return np.load(path)

    def read_order(self, path: str) -> np.ndarray:
        """The array of the file."""
        return np.load(path)

    def read_rates(self, path: str) -> np.ndarray:
        """The array of the file."""
        return np.load(path)

    def build(self, weights: str) -> None:
        """The Keras model with the weights of a file."""
        self.model = reference.build(self.job.workload)
        reference.read_weights(self.model, weights)

    def build_training(self) -> None:
        """Give the model its optimizer and loss."""
        settings = self.job.workload.training
        self.model.compile(optimizer=self.optimizer_of(), loss=settings.loss)

    def optimizer_of(self) -> keras.optimizers.Optimizer:
        """The workload's optimizer with the job's learning rates."""
        rates = None if self.job.data.learning_rates is None else self.rates
        return reference.optimizer(self.job.workload, rates)

    def train(self) -> None:
        """All epochs; Keras times and reports each by a callback."""
        epochs = self.job.workload.training.epochs
        if self.job.data.order is None and self.job.profile is None:
            self.fit(self.images, self.labels, 0, epochs)
            return
        for epoch, order in enumerate(self.orders):
            images, labels = self.images, self.labels
            if order is not None:
                images, labels = images[order], labels[order]
            with self.profiled(epoch + 1):
                self.fit(images, labels, epoch, epoch + 1)

    def profile(self) -> AbstractContextManager[None]:
        """TensorFlow's own profiler, on a training function made anew.

        After 90 steps TensorFlow (2.21) takes what is cheap for known, and leaves it out of the
        trace at every level. What XLA has compiled is always in it.
        """
        from tf_reference import profile

        if self.model.compiled and not self.model.jit_compile:
            few = profile.WARM_UP * self.job.workload.training.batch_size
            self.model.make_train_function(force=True)
            self.is_watched = False
            self.fit(self.images[:few], self.labels[:few], 0, 1)
            self.is_watched = True
        self.marks = [profile.Mark()]
        return profile.recorded(self.job.workload.model.layers, self.report)

    def callbacks(self, examples: int) -> list[Any]:
        """What watches an epoch of so many images."""
        if not self.is_watched:
            return []
        return [reference.EpochReport(self, examples), *self.marks]

    def fit(self, x: np.ndarray, y: np.ndarray, first: int, end: int) -> None:
        """Train from epoch `first` to before `end`, counted from 0."""
        self.model.fit(
            x,
            y,
            batch_size=self.job.workload.training.batch_size,
            initial_epoch=first,
            epochs=end,
            shuffle=False,
            verbose=0,
            callbacks=self.callbacks(len(y)),
        )

    def classify(self) -> np.ndarray:
        """The classes of the test images."""
        size = self.job.workload.testing.batch_size
        return self.model.predict(self.images, batch_size=size, verbose=0).argmax(axis=1)

    def write_weights(self, path: str) -> None:
        """The model's weights in the shared layout, which is Keras' own."""
        reference.write_weights(self.model, path)

    def write_predictions(self, path: str, classes: np.ndarray) -> None:
        """The classes in a byte each."""
        np.save(path, classes.astype(np.uint8))

    def facts(self) -> dict[str, Any]:
        """What the model and TensorFlow themselves say."""
        return reference.facts(self.model)


if __name__ == "__main__":
    TensorFlow.main()
