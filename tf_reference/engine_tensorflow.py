"""TensorFlow as a Keras user writes it: arrays given to `fit` and `predict`, nothing tuned.

Progress bars and metrics are off: the harness computes the accuracy, and both would cost
TensorFlow time that the other engines do not spend.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from harness.contract import Job, Report, run_engine

if TYPE_CHECKING:
    import keras
    import numpy as np


def train(job: Job, report: Report) -> None:
    """Train with `model.fit`, one call for all epochs unless each has an order of its own."""
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
        model.compile(optimizer=reference.optimizer(job.workload), loss=settings.loss)

    def fit(x: np.ndarray, y: np.ndarray, first: int, end: int) -> None:
        model.fit(
            x,
            y,
            batch_size=settings.batch_size,
            initial_epoch=first,
            epochs=end,
            shuffle=False,
            verbose=0,
            callbacks=[reference.EpochReport(report, len(y))],
        )

    with report.phase("train"):
        if orders is None:
            fit(images, labels, 0, settings.epochs)
        else:
            for epoch, order in enumerate(orders):
                fit(images[order], labels[order], epoch, epoch + 1)
    with report.phase("save"):
        reference.write_weights(model, job.weights)
    reference.report_done(report, model, job, settings.batch_size)


def test(job: Job, report: Report) -> None:
    """Classify the test images with `model.predict`."""
    with report.phase("import"):
        from tf_reference import model as reference

    def classifier(model: keras.Sequential) -> Callable[[np.ndarray], np.ndarray]:
        size = job.workload.testing.batch_size
        return lambda images: model.predict(images, batch_size=size, verbose=0).argmax(axis=1)

    reference.classify_with(job, report, classifier)


if __name__ == "__main__":
    run_engine(train=train, test=test)
