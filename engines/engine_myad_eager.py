"""myad, eager: the workload's CNN, trained step by step in NumPy."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from harness.contract import Job, Report, Unsupported, run_engine

if TYPE_CHECKING:
    from myad.nn import Sequential


def train(job: Job, report: Report) -> None:
    """Train with `fit` and save the weights."""
    with report.phase("import"):
        import numpy as np

        import myad
    settings = job.workload.training
    with report.phase("load"):
        images, labels = mapped(job.data.images), np.load(job.data.labels)
        order = np.load(job.data.order) if job.data.order else None
    with report.phase("build"):
        model = build(job)
        model.parameters = myad.weights.read_weights(job.initial_weights)
        optimizer = myad.optim.optimizer_from(settings.optimizer, **optimizer_settings(job))

    watcher = epoch_watcher(report, len(images))
    with report.phase("train"):
        try:
            myad.fit(
                model,
                images,
                labels,
                loss=settings.loss,
                optimizer=optimizer,
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                shuffle=False,
                order=order,
                seed=job.seed,
                callbacks=[watcher],
                progress=False,
            )
        except myad.errors.NotFiniteError as fault:
            watcher.not_finite()
            raise SystemExit(str(fault)) from fault
    with report.phase("save"):
        myad.save(model, job.weights)
    finish(job, report, model, settings.batch_size)


def epoch_watcher(report: Report, examples: int) -> Any:
    """A callback that reports each epoch, the last one of a diverging run included."""
    import myad

    class Watcher(myad.Callback):
        epochs = 0
        begun = time.perf_counter()

        def epoch_done(self, epoch: int, model: Sequential, history: Any) -> bool:
            seconds, loss = history.seconds[-1], history.loss[-1]
            report.epoch(epoch, seconds=seconds, loss=loss, examples=examples)
            self.epochs, self.begun = epoch, time.perf_counter()
            return False

        def not_finite(self) -> None:
            # the contract wants the epoch; that its loss is not finite is for the harness to say
            seconds = time.perf_counter() - self.begun
            report.epoch(self.epochs + 1, seconds=seconds, loss=float("nan"), examples=examples)

    return Watcher()


def test(job: Job, report: Report) -> None:
    """Classify the test images with `predict`."""
    with report.phase("import"):
        import numpy as np

        import myad
    batch_size = job.workload.testing.batch_size
    with report.phase("load"):
        images = mapped(job.data.images)
    with report.phase("build"):
        model = build(job)
        myad.load(model, job.weights)
    with report.phase("test"):
        classes = myad.predict(model, images, batch_size=batch_size).argmax(axis=1)
    with report.phase("save"):
        np.save(job.predictions, classes.astype(np.uint8))
    finish(job, report, model, batch_size)


def build(job: Job) -> Sequential:
    """The workload's model. Raises: Unsupported naming the layer or setting."""
    import myad

    workload = job.workload
    try:
        layers = [layer.settings for layer in workload.model.layers]
        return myad.Sequential(layers, workload.model.input_shape, workload.training.dtype)
    except myad.MyadError as fault:
        raise Unsupported(str(fault)) from fault


def optimizer_settings(job: Job) -> dict[str, float]:
    """What the workload's optimizer takes, by its name in myad."""
    names = {"sgd": ("momentum",), "adam": ("beta_1", "beta_2", "epsilon")}
    settings = job.workload.training
    if settings.optimizer not in names:
        raise Unsupported(f"optimizer '{settings.optimizer}'; there are: {', '.join(names)}")
    return {name: getattr(settings, name) for name in ("learning_rate", *names[settings.optimizer])}


def mapped(path: str) -> Any:
    """The array of an `.npy` file, its pages read as they are needed, never copied."""
    import numpy as np

    return np.asarray(np.load(path, mmap_mode="r"))


def finish(job: Job, report: Report, model: Sequential, batch_size: int) -> None:
    """Close the report with what the model itself says."""
    import numpy as np

    import myad

    report.done(
        parameters=model.count_parameters(),
        layers=[layer.kind for layer in model.layers],
        dtype=str(model.dtype),
        batch_size=batch_size,
        threads=job.threads,
        versions={"myad": myad.__version__, "numpy": np.__version__},
    )


if __name__ == "__main__":
    run_engine(train=train, test=test)
