"""TensorFlow without `fit`: a loop over many steps compiled by XLA into one function.

What is left of Keras is the model, the loss and the optimizer. This is the fastest training loop
we know how to write in TensorFlow; `engine_tensorflow_tuned.py` is the fastest `fit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from harness.contract import Skeleton
from tf_reference.engine_tensorflow import TensorFlow

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf


# Steps in one compiled call. The call copies its images once per step it takes, so the whole epoch
# in one call is slow (60 ms a step); beyond 100 nothing is gained.
CHUNK = 100


class ScannedTensorFlow(TensorFlow):
    """Chunk by chunk; a chunk is one compiled call of up to 100 steps."""

    def imports(self) -> None:
        """The same, with names for this file."""
        global keras, np, reference, tf
        super().imports()
        import keras
        import numpy as np
        import tensorflow as tf

        from tf_reference import model as reference

    def read_images(self, path: str) -> tf.Tensor:
        """Scaled images as one tensor."""
        return tf.constant(super().read_images(path))

    def read_labels(self, path: str) -> tf.Tensor:
        """Labels as one tensor."""
        return tf.constant(np.load(path))

    def build_training(self) -> None:
        """The optimizer, its variables, and the function of many steps."""
        self.optimizer = self.optimizer_of()
        self.optimizer.build(self.model.trainable_variables)
        self.steps = compiled_steps(self.model, self.optimizer)

    def build_testing(self) -> None:
        """The function that classifies many batches."""
        self.classes = compiled_classes(self.model)

    train = Skeleton.train  # epoch by epoch, without `fit`

    def epoch(self, number: int, order: np.ndarray | None) -> float:
        """All batches, in calls of CHUNK steps, then what is left; returns the mean loss."""
        images, labels = self.images, self.labels
        if order is not None:
            images, labels = tf.gather(images, order), tf.gather(labels, order)
        total = 0.0
        for x, y in chunks(self.job.workload.training.batch_size, images, labels):
            total += x.shape[1] * self.steps(x, y)
        return float(total) / len(images)

    def classify(self) -> np.ndarray:
        """Classes of all images, in calls of CHUNK batches, then what is left."""
        batches = chunks(self.job.workload.testing.batch_size, self.images)
        return np.concatenate([self.classes(batch).numpy().ravel() for (batch,) in batches])


def compiled_steps(model: Any, optimizer: Any) -> Callable:
    """A function (images (S, B, H, W, C), labels (S, B)) -> summed loss of the S steps it takes."""
    loss_of = keras.losses.SparseCategoricalCrossentropy()

    @tf.function(jit_compile=True)
    def steps(x: Any, y: Any) -> Any:
        total = tf.zeros((), x.dtype)
        for index in tf.range(len(x)):
            with tf.GradientTape() as tape:
                loss = loss_of(y[index], model(x[index], training=True))
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients)
            total += loss
        return total

    return steps


def compiled_classes(model: keras.Sequential) -> Callable:
    """A function from images (S, B, H, W, C) to their classes (S, B)."""

    @tf.function(jit_compile=True)
    def classify(x: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda batch: tf.argmax(model(batch, training=False), axis=1),
            x,
            fn_output_signature=tf.int64,
        )

    return classify


def chunks(batch_size: int, *arrays: tf.Tensor) -> Iterator[tuple[tf.Tensor, ...]]:
    """Up to CHUNK equal batches at a time, (S, B, …) of each array; a short one comes alone."""
    start, examples = 0, len(arrays[0])
    while start < examples:
        size = min(batch_size, examples - start)
        count = min(CHUNK, (examples - start) // size)
        end = start + count * size
        yield tuple(tf.reshape(a[start:end], (count, size, *a.shape[1:])) for a in arrays)
        start = end


if __name__ == "__main__":
    ScannedTensorFlow.main()
