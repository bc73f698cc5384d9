"""myad, eager: the workload's CNN, trained step by step in NumPy."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.contract import Skeleton, Unsupported

if TYPE_CHECKING:
    import numpy as np

    import myad


class Eager(Skeleton):
    """`fit` and `predict`."""

    protocol: ClassVar[int] = 2

    def imports(self) -> None:
        """The library."""
        global np, myad
        import numpy as np

        import myad

    def read_images(self, path: str) -> np.ndarray:
        """The array of the file, its pages read as they are needed, never copied."""
        return np.asarray(np.load(path, mmap_mode="r"))

    def read_labels(self, path: str) -> np.ndarray:
        """The array of the file."""
        return np.load(path)

    def read_order(self, path: str) -> np.ndarray:
        """The array of the file."""
        return np.load(path)

    def read_rates(self, path: str) -> np.ndarray:
        """The array of the file."""
        return np.load(path)

    def build(self, weights: str) -> None:
        """The workload's model with the weights of a file."""
        model = self.job.workload.model
        layers = [layer.settings for layer in model.layers]
        try:
            self.model = myad.Sequential(
                layers, model.input_shape, self.job.workload.training.dtype
            )
        except myad.MyadError as fault:
            raise Unsupported(str(fault)) from fault
        myad.load(self.model, weights)

    def build_training(self) -> None:
        """The optimizer, and the callback that reports the epochs."""
        settings = self.job.workload.training
        names = {
            "sgd": ("momentum", "nesterov"),
            "adam": ("beta_1", "beta_2", "epsilon"),
            "rmsprop": ("rho", "momentum", "epsilon"),
        }
        if settings.optimizer not in names:
            raise Unsupported(f"optimizer '{settings.optimizer}'; there are: {', '.join(names)}")
        given = {name: getattr(settings, name) for name in names[settings.optimizer]}
        rate: Any = settings.learning_rate
        if self.job.data.learning_rates is not None:
            rate = myad.schedules.Table(self.rates.ravel())
        self.optimizer = myad.optim.optimizer_from(
            settings.optimizer,
            learning_rate=rate,
            weight_decay=settings.weight_decay or None,
            **given,
        )
        self.watcher = epoch_watcher(self)

    def train(self) -> None:
        """One call of `fit` for all epochs; of an epoch that is profiled, a call of its own."""
        epochs = self.job.workload.training.epochs
        state = self.fit(0, epochs - 1 if self.job.profile else epochs)
        if self.job.profile:
            with self.profile():
                self.fit(epochs - 1, epochs, state)

    def profile(self) -> AbstractContextManager[None]:
        """A clock around every primitive and every gradient."""
        from engines import profile_myad

        layers = self.job.workload.model.layers
        return profile_myad.recorded(
            layers, self.optimizer, self.report, lambda: self.watcher.window
        )

    def fit(self, first: int, end: int, state: dict[str, Any] | None = None) -> dict[str, Any]:
        """Train from epoch `first` to before `end`, counted from 0; the optimizer's state."""
        settings = self.job.workload.training
        self.watcher.epochs = first
        try:
            history = myad.fit(
                self.model,
                self.images,
                self.labels,
                loss=settings.loss,
                optimizer=self.optimizer,
                epochs=end - first,
                batch_size=settings.batch_size,
                shuffle=False,
                order=None if self.job.data.order is None else self.orders[first:end],
                optimizer_state=state,
                seed=self.job.seed,
                callbacks=[self.watcher],
                progress=False,
            )
        except myad.errors.NotFiniteError as fault:
            self.watcher.not_finite()
            raise SystemExit(str(fault)) from fault
        return history.optimizer_state

    def classify(self) -> np.ndarray:
        """The classes of the test images, batch by batch."""
        size = self.job.workload.testing.batch_size
        return myad.predict(self.model, self.images, batch_size=size).argmax(axis=1)

    def write_weights(self, path: str) -> None:
        """The model's file, which is the shared layout."""
        myad.save(self.model, path)

    def write_predictions(self, path: str, classes: np.ndarray) -> None:
        """The classes in a byte each."""
        np.save(path, classes.astype(np.uint8))

    def facts(self) -> dict[str, Any]:
        """What the model itself says."""
        return {
            "parameters": self.model.count_parameters(),
            "layers": [layer.kind for layer in self.model.layers],
            "dtype": str(self.model.dtype),
            "versions": {"myad": myad.__version__, "numpy": np.__version__},
        }


def epoch_watcher(engine: Eager) -> Any:
    """A callback that reports each epoch, the last one of a diverging run included."""
    report, examples = engine.report, len(engine.images)

    class Watcher(myad.Callback):
        epochs = 0
        begun = time.perf_counter()
        window = (0.0, 0.0)  # when the latest epoch began and ended

        def epoch_done(self, epoch: int, model: myad.Sequential, history: Any) -> bool:
            seconds, loss = history.seconds[-1], history.loss[-1]
            self.epochs, self.begun = self.epochs + 1, time.perf_counter()
            self.window = self.begun - seconds, self.begun
            report.epoch(self.epochs, seconds=seconds, loss=loss, examples=examples)
            engine.checkpoint(self.epochs)
            self.begun = time.perf_counter()
            return False

        def not_finite(self) -> None:
            # the contract wants the epoch; that its loss is not finite is for the harness to say
            seconds = time.perf_counter() - self.begun
            report.epoch(self.epochs + 1, seconds=seconds, loss=float("nan"), examples=examples)

    return Watcher()


if __name__ == "__main__":
    Eager.main()
