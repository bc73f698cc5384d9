"""JAX on the CPU: one compiled call per epoch, a `lax.scan` over the steps, images on the device.

Layers are JAX's own operations. `engine_jax_tuned.py` is the same with a convolution by hand.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ClassVar

from harness.contract import Job, Report, Skeleton

if TYPE_CHECKING:
    import jax
    import numpy as np

    from engines import model_jax


class Jax(Skeleton):
    """Compiled before the first image is used; the weights never leave the device."""

    protocol: ClassVar[int] = 2
    rules: ClassVar[str] = "LAYERS"  # the table of `model_jax` that says how a layer is computed

    def __init__(self, job: Job, report: Report) -> None:
        super().__init__(job, report)
        limit_threads(job.threads)
        self.settings = job.workload.training

    def imports(self) -> None:
        """JAX, and the model's file, which needs it."""
        global jax, np, model_jax
        import jax
        import numpy as np

        from engines import model_jax

    def configure(self) -> None:
        """Allow float64 where it is asked for."""
        jax.config.update("jax_enable_x64", self.settings.dtype == "float64")

    def read_images(self, path: str) -> Any:
        """The array on the device, uint8 as it is."""
        return jax.device_put(np.load(path))

    def read_labels(self, path: str) -> Any:
        """The array on the device, uint8 as it is."""
        return jax.device_put(np.load(path))

    def read_order(self, path: str) -> list[Any]:
        """One array per epoch, on the device."""
        return [jax.device_put(order) for order in np.load(path)]

    def read_rates(self, path: str) -> list[Any]:
        """One array per epoch, on the device."""
        return [jax.device_put(rates) for rates in np.load(path)]

    def build(self, weights: str) -> None:
        """A weight file as device arrays."""
        with np.load(weights, allow_pickle=False) as file:
            self.params = {
                name: jax.numpy.asarray(file[name], self.settings.dtype) for name in file.files
            }
        self.layers = getattr(model_jax, self.rules)

    def build_training(self) -> None:
        """The optimizer's state, a key per epoch where a layer draws, the epoch as a function."""
        self.state = model_jax.init_state(self.settings, self.params)
        self.keys = model_jax.epoch_keys(self.job.workload, self.job.seed)
        function = model_jax.epoch_function(self.job.workload, self.layers)
        self.jitted = jax.jit(function, donate_argnums=0)

    def build_testing(self) -> None:
        """All of testing as one function."""
        self.jitted = jax.jit(model_jax.classifier(self.job.workload, self.layers))

    def compile_training(self) -> None:
        """Compile the epoch."""
        data = (self.images, self.labels, self.orders[0], self.keys[0], self.rates[0])
        self.compiled = self.jitted.lower((self.params, self.state), *data).compile()

    def compile_testing(self) -> None:
        """Compile the classification."""
        self.compiled = self.jitted.lower(self.params, self.images).compile()

    def epoch(self, number: int, order: Any) -> float:
        """One call; reading the loss waits for its end."""
        data = (self.images, self.labels, order, self.keys[number - 1], self.rates[number - 1])
        (self.params, self.state), loss = self.compiled((self.params, self.state), *data)
        return float(loss)

    def profile(self) -> AbstractContextManager[None]:
        """`jax.profiler`, its instructions explained by the compiled module's text."""
        from engines import profile_jax

        shapes = {name: value.shape for name, value in self.params.items()}
        layers = self.job.workload.model.layers
        names = profile_jax.Names(self.compiled.as_text(), layers, shapes)
        return profile_jax.recorded(names, self.report)

    def classify(self) -> np.ndarray:
        """The classes of all test images, a `lax.scan` over the batches."""
        return np.asarray(self.compiled(self.params, self.images))

    def write_weights(self, path: str) -> None:
        """The weights in the shared layout, which is JAX's own."""
        weights = {name: np.asarray(value) for name, value in self.params.items()}
        np.savez(path, **weights)  # type: ignore[arg-type]

    def write_predictions(self, path: str, classes: np.ndarray) -> None:
        """The classes as they are."""
        np.save(path, classes)

    def facts(self) -> dict[str, Any]:
        """What the arrays and JAX say."""
        import jaxlib

        return {
            "parameters": sum(value.size for value in self.params.values()),
            "layers": [layer.type for layer in self.job.workload.model.layers],
            "dtype": str(next(iter(self.params.values())).dtype),
            "versions": {
                "jax": jax.__version__,
                "jaxlib": jaxlib.__version__,
                "numpy": np.__version__,
            },
        }


def limit_threads(threads: int) -> None:
    """Tell XLA how many threads it has. It reads this when it starts: before the import."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["NPROC"] = str(threads)  # the size of XLA's own thread pools
    # XLA takes a value without -- in the first place for the name of a file
    flags = [
        os.environ.get("XLA_FLAGS", ""),
        f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'}",
        f"intra_op_parallelism_threads={threads}",
    ]
    os.environ["XLA_FLAGS"] = " ".join(flags).strip()
    if hasattr(os, "sched_setaffinity"):
        # its compiler takes a thread for each processor it may use, whatever the flags say; the
        # last ones, because interrupts usually arrive at the first
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])


if __name__ == "__main__":
    Jax.main()
