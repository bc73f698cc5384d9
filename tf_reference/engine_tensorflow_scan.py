"""TensorFlow without `fit`: a loop over many steps compiled by XLA into one function.

What is left of Keras is the model, the loss and the optimizer. This is the fastest training loop
we know how to write in TensorFlow; `engine_tensorflow_tuned.py` is the fastest `fit`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from harness.contract import Job, Report, run_engine

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

# Steps in one compiled call. The call copies its images once per step it takes, so the whole epoch
# in one call is slow (60 ms a step); beyond 100 nothing is gained.
CHUNK = 100


def train(job: Job, report: Report) -> None:
    """Train chunk by chunk; a chunk is one compiled call of up to 100 steps."""
    with report.phase("import"):
        import numpy as np
        import tensorflow as tf

        from tf_reference import model as reference
    reference.configure(job)
    settings = job.workload.training
    with report.phase("load"):
        images = tf.constant(reference.load_images(job.data.images, settings.dtype))
        labels = tf.constant(np.load(job.data.labels))
        orders: Any = [None] * settings.epochs
        if job.data.order:
            orders = np.load(job.data.order)
    with report.phase("build"):
        model = reference.build(job.workload)
        reference.read_weights(model, job.initial_weights)
        optimizer = reference.optimizer(job.workload)
        optimizer.build(model.trainable_variables)
        steps = _compiled_steps(model, optimizer)
    with report.phase("train"):
        for epoch, order in enumerate(orders):
            start = time.perf_counter()
            x, y = images, labels
            if order is not None:
                x, y = tf.gather(images, order), tf.gather(labels, order)
            loss = _epoch(steps, x, y, settings.batch_size)
            seconds = time.perf_counter() - start
            report.epoch(epoch + 1, seconds=seconds, loss=loss, examples=len(y))
    with report.phase("save"):
        reference.write_weights(model, job.weights)
    reference.report_done(report, model, job, settings.batch_size)


def _epoch(steps: Callable, images: tf.Tensor, labels: tf.Tensor, batch_size: int) -> float:
    """All batches, in calls of CHUNK steps, then what is left; returns the mean loss."""
    total = 0.0
    for x, y in _chunks(batch_size, images, labels):
        total += x.shape[1] * steps(x, y)
    return float(total) / len(images)


def _compiled_steps(model: Any, optimizer: Any) -> Callable:
    """A function (images (S, B, H, W, C), labels (S, B)) -> summed loss of the S steps it takes."""
    import keras
    import tensorflow as tf

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


def test(job: Job, report: Report) -> None:
    """Classify the test images with one compiled loop over the batches of a chunk."""
    with report.phase("import"):
        import tensorflow as tf

        from tf_reference import model as reference

    def load(path: str, dtype: str) -> tf.Tensor:
        return tf.constant(reference.load_images(path, dtype))

    def classifier(model: keras.Sequential) -> Callable[[tf.Tensor], np.ndarray]:
        return partial(_classes, _compiled_classes(model), job.workload.testing.batch_size)

    reference.classify_with(job, report, classifier, load)


def _classes(classify: Callable, batch_size: int, images: tf.Tensor) -> np.ndarray:
    """Classes of all images, in calls of CHUNK batches, then what is left."""
    import numpy as np

    found = [classify(batches).numpy().ravel() for (batches,) in _chunks(batch_size, images)]
    return np.concatenate(found)


def _compiled_classes(model: keras.Sequential) -> Callable:
    """A function from images (S, B, H, W, C) to their classes (S, B)."""
    import tensorflow as tf

    @tf.function(jit_compile=True)
    def classify(x: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda batch: tf.argmax(model(batch, training=False), axis=1),
            x,
            fn_output_signature=tf.int64,
        )

    return classify


def _chunks(batch_size: int, *arrays: tf.Tensor) -> Iterator[tuple[tf.Tensor, ...]]:
    """Up to CHUNK equal batches at a time, (S, B, …) of each array; a short one comes alone."""
    import tensorflow as tf

    start, examples = 0, len(arrays[0])
    while start < examples:
        size = min(batch_size, examples - start)
        count = min(CHUNK, (examples - start) // size)
        end = start + count * size
        yield tuple(tf.reshape(a[start:end], (count, size, *a.shape[1:])) for a in arrays)
        start = end


if __name__ == "__main__":
    run_engine(train=train, test=test)
