"""TensorFlow with what Keras offers for speed: XLA, many steps per call, batches from tensors.

Still `fit` and `predict`, with three settings that `engine_tensorflow.py` leaves as they come.
`engine_tensorflow_scan.py` goes further and leaves `fit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_reference.engine_tensorflow import TensorFlow

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


# Steps in one call of the compiled function. 1,000 gained nothing over 100 at batch 1.
STEPS_PER_EXECUTION = 100


class TunedTensorFlow(TensorFlow):
    """`fit` and `predict` on data sets of tensors, compiled by XLA."""

    def imports(self) -> None:
        """The same, with names for this file."""
        global reference, tf
        super().imports()
        import tensorflow as tf

        from tf_reference import model as reference

    def build_training(self) -> None:
        """Give the model its optimizer, its loss, and what makes it fast."""
        self.model.compile(
            optimizer=self.optimizer_of(),
            loss=self.job.workload.training.loss,
            jit_compile=True,
            steps_per_execution=STEPS_PER_EXECUTION,
        )

    def build_testing(self) -> None:
        """Tell the model what makes it fast."""
        self.model.compile(jit_compile=True, steps_per_execution=STEPS_PER_EXECUTION)

    def fit(self, x: np.ndarray, y: np.ndarray, first: int, end: int) -> None:
        """Train from epoch `first` to before `end`, counted from 0."""
        self.model.fit(
            self._batches((x, y), self.job.workload.training.batch_size),
            initial_epoch=first,
            epochs=end,
            shuffle=False,
            verbose=0,
            callbacks=self.callbacks(len(y)),
        )

    def classify(self) -> np.ndarray:
        """The classes of the test images."""
        batches = self._batches(self.images, self.job.workload.testing.batch_size)
        return self.model.predict(batches, verbose=0).argmax(axis=1)

    def _batches(self, arrays: Any, batch_size: int) -> tf.data.Dataset:
        """Batches in order, the last one short where it has to be, cut by the threads allowed."""
        options = tf.data.Options()
        options.threading.private_threadpool_size = self.job.threads
        return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).with_options(options)


if __name__ == "__main__":
    TunedTensorFlow.main()
