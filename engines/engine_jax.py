"""JAX on the CPU: one compiled call per epoch, a `lax.scan` over the steps, images on the device.

Layers are JAX's own operations. `engine_jax_tuned.py` is the same with a convolution by hand.
"""

from __future__ import annotations

import os
import time
from functools import partial

from harness.contract import Job, Report, run_engine


def configure(job: Job) -> None:
    """Limit the threads. XLA reads all of this when it starts, so it comes before the import."""
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["NPROC"] = str(job.threads)  # the size of XLA's own thread pools
    # XLA takes a value without -- in the first place for the name of a file
    flags = [
        os.environ.get("XLA_FLAGS", ""),
        f"--xla_cpu_multi_thread_eigen={'true' if job.threads > 1 else 'false'}",
        f"intra_op_parallelism_threads={job.threads}",
    ]
    os.environ["XLA_FLAGS"] = " ".join(flags).strip()
    if hasattr(os, "sched_setaffinity"):
        # its compiler takes a thread for each processor it may use, whatever the flags say; the
        # last ones, because interrupts usually arrive at the first
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-job.threads :])


def train_with(rules: str, job: Job, report: Report) -> None:
    """Train with one call of a compiled function per epoch.

    `rules` names the table of `model_jax` that says how a layer is computed.
    """
    configure(job)
    settings = job.workload.training
    with report.phase("import"):
        import jax
        import numpy as np

        from engines import model_jax
    jax.config.update("jax_enable_x64", settings.dtype == "float64")
    with report.phase("load"):
        images = jax.device_put(np.load(job.data.images))
        labels = jax.device_put(np.load(job.data.labels))
        orders = [None] * settings.epochs
        if job.data.order:
            orders = [jax.device_put(order) for order in np.load(job.data.order)]
    with report.phase("build"):
        params = read_weights(job.initial_weights, settings.dtype)
        carry = (params, model_jax.init_state(settings, params))
        keys = model_jax.epoch_keys(job.workload, job.seed)
        epoch_function = model_jax.epoch_function(job.workload, getattr(model_jax, rules))
        run_epoch = jax.jit(epoch_function, donate_argnums=0)
    with report.phase("compile"):
        compiled = run_epoch.lower(carry, images, labels, orders[0], keys[0]).compile()
    with report.phase("train"):
        for epoch, (order, key) in enumerate(zip(orders, keys, strict=True)):
            start = time.perf_counter()
            carry, loss = compiled(carry, images, labels, order, key)
            loss = float(loss)  # waits for the epoch to end
            seconds = time.perf_counter() - start
            report.epoch(epoch + 1, seconds=seconds, loss=loss, examples=len(labels))
    with report.phase("save"):
        weights = {name: np.asarray(value) for name, value in carry[0].items()}
        np.savez(job.weights, **weights)  # type: ignore[arg-type]
    _report_done(report, job, carry[0], settings.batch_size)


def test_with(rules: str, job: Job, report: Report) -> None:
    """Classify the test images, a `lax.scan` over the batches."""
    configure(job)
    dtype = job.workload.training.dtype
    batch_size = job.workload.testing.batch_size
    with report.phase("import"):
        import jax
        import numpy as np

        from engines import model_jax
    jax.config.update("jax_enable_x64", dtype == "float64")
    with report.phase("load"):
        images = jax.device_put(np.load(job.data.images))
    with report.phase("build"):
        params = read_weights(job.weights, dtype)
        classify = jax.jit(model_jax.classifier(job.workload, getattr(model_jax, rules)))
    with report.phase("compile"):
        compiled = classify.lower(params, images).compile()
    with report.phase("test"):
        classes = np.asarray(compiled(params, images))
    with report.phase("save"):
        np.save(job.predictions, classes)
    _report_done(report, job, params, batch_size)


def read_weights(path: str, dtype: str) -> dict:
    """A weight file as device arrays."""
    import jax.numpy as jnp
    import numpy as np

    with np.load(path, allow_pickle=False) as weights:
        return {name: jnp.asarray(weights[name], dtype) for name in weights.files}


def _report_done(report: Report, job: Job, params: dict, batch_size: int) -> None:
    import jax
    import jaxlib
    import numpy as np

    report.done(
        parameters=sum(value.size for value in params.values()),
        layers=[layer.type for layer in job.workload.model.layers],
        dtype=str(next(iter(params.values())).dtype),
        batch_size=batch_size,
        threads=job.threads,
        versions={
            "jax": jax.__version__,
            "jaxlib": jaxlib.__version__,
            "numpy": np.__version__,
        },
    )


if __name__ == "__main__":
    run_engine(train=partial(train_with, "LAYERS"), test=partial(test_with, "LAYERS"))
