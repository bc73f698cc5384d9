"""TensorFlow with what Keras offers for speed: XLA, many steps per call, batches from tensors.

Still `fit` and `predict`, with three settings that `engine_tensorflow.py` leaves as they come.
`engine_tensorflow_scan.py` goes further and leaves `fit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.contract import Job, Report, run_engine

if TYPE_CHECKING:
    import keras
    import numpy as np
    import tensorflow as tf

# Steps in one call of the compiled function. 1,000 gained nothing over 100 at batch 1.
STEPS_PER_EXECUTION = 100


def train(job: Job, report: Report) -> None:
    """Train with `model.fit` on a data set of tensors."""
    with report.phase("import"):
        import numpy as np

        from tf_reference import model as reference
    reference.configure(job)
    settings = job.workload.training
    with report.phase("load"):
        images = reference.load_images(job.data.images, settings.dtype)
        labels = np.load(job.data.labels)
        orders = np.load(job.data.order) if job.data.order else None
    with report.phase("build"):
        model = reference.build(job.workload)
        reference.read_weights(model, job.initial_weights)
        model.compile(
            optimizer=reference.optimizer(job.workload),
            loss=settings.loss,
            jit_compile=True,
            steps_per_execution=STEPS_PER_EXECUTION,
        )

    def fit(batches: tf.data.Dataset, first: int, end: int) -> None:
        callback = reference.EpochReport(report, len(labels))
        model.fit(
            batches, initial_epoch=first, epochs=end, shuffle=False, verbose=0, callbacks=[callback]
        )

    with report.phase("train"):
        if orders is None:
            fit(_batches((images, labels), settings.batch_size, job.threads), 0, settings.epochs)
        else:
            for epoch, order in enumerate(orders):
                pair = (images[order], labels[order])
                fit(_batches(pair, settings.batch_size, job.threads), epoch, epoch + 1)
    with report.phase("save"):
        reference.write_weights(model, job.weights)
    reference.report_done(report, model, job, settings.batch_size)


def test(job: Job, report: Report) -> None:
    """Classify the test images with `model.predict` on a data set of tensors."""
    with report.phase("import"):
        from tf_reference import model as reference

    def classifier(model: keras.Sequential) -> Callable[[np.ndarray], np.ndarray]:
        model.compile(jit_compile=True, steps_per_execution=STEPS_PER_EXECUTION)

        def classify(images: np.ndarray) -> np.ndarray:
            batches = _batches(images, job.workload.testing.batch_size, job.threads)
            return model.predict(batches, verbose=0).argmax(axis=1)

        return classify

    reference.classify_with(job, report, classifier)


def _batches(arrays: object, batch_size: int, threads: int) -> tf.data.Dataset:
    """Batches in order, the last one short where it has to be, cut by the threads allowed."""
    import tensorflow as tf

    options = tf.data.Options()
    options.threading.private_threadpool_size = threads
    return tf.data.Dataset.from_tensor_slices(arrays).batch(batch_size).with_options(options)


if __name__ == "__main__":
    run_engine(train=train, test=test)
