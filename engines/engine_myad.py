"""myad, compiled: the workload's CNN, the whole training loop as one native function."""

from __future__ import annotations

import time

from harness.contract import Job, Report, run_engine


def train(job: Job, report: Report) -> None:
    """Compile the training step, run its epochs, save the weights."""
    with report.phase("import"):
        import numpy as np

        import myad
        import myad.compiled as compiler
        from engines import engine_myad_eager as eager
    if not compiler.available():
        eager.train(job, report)
        return
    settings = job.workload.training
    with report.phase("load"):
        images, labels = eager.mapped(job.data.images), np.load(job.data.labels)
        order = np.load(job.data.order, mmap_mode="r") if job.data.order else None
    with report.phase("build"):
        model = eager.build(job)
        model.parameters = myad.weights.read_weights(job.initial_weights)
        optimizer = myad.optim.optimizer_from(settings.optimizer, **eager.optimizer_settings(job))
    with report.phase("compile"):
        training = compiler.compile_training(
            model, settings.loss, optimizer, images, labels,
            batch_size=settings.batch_size, seed=job.seed,
        )  # fmt: skip
    with report.phase("train"):
        for epoch in range(settings.epochs):
            start = time.perf_counter()
            loss = training.epoch(images, labels, None if order is None else order[epoch])
            myad.step.check_finite(loss, epoch + 1)
            seconds = time.perf_counter() - start
            report.epoch(epoch + 1, seconds=seconds, loss=loss, examples=len(images))
    with report.phase("save"):
        model.parameters = training.parameters
        myad.save(model, job.weights)
    eager.finish(job, report, model, settings.batch_size)


def test(job: Job, report: Report) -> None:
    """Classify the test images with the compiled model."""
    with report.phase("import"):
        import numpy as np

        import myad
        import myad.compiled as compiler
        from engines import engine_myad_eager as eager
    if not compiler.available():
        eager.test(job, report)
        return
    batch_size = job.workload.testing.batch_size
    with report.phase("load"):
        images = eager.mapped(job.data.images)
    with report.phase("build"):
        model = eager.build(job)
        myad.load(model, job.weights)
    with report.phase("compile"):
        predict = compiler.compile_predict(model, images, batch_size=batch_size)
    with report.phase("test"):
        classes = predict(images).argmax(axis=1)
    with report.phase("save"):
        np.save(job.predictions, classes.astype(np.uint8))
    eager.finish(job, report, model, batch_size)


if __name__ == "__main__":
    run_engine(train=train, test=test)
