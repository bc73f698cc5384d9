"""What `fit(..., compiled=True)` runs: the epochs of training in native code."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from myad.compile.dtypes import native
from myad.compile.function import CompiledPredict
from myad.compile.llvm.native import host
from myad.compile.training import CompiledTraining
from myad.errors import CompileError
from myad.schedules import Table
from myad.step import check_finite, read_images, training_step


def available() -> bool:
    """Whether native code can be made here; if not, one line on standard error says why."""
    try:
        host()
    except CompileError as reason:
        print(f"{reason} Training eagerly.", file=sys.stderr)
        return False
    return True


def compile_training(
    model: Any, loss: Any, optimizer: Any, images: Any, labels: Any, *, batch_size: int = 32,
    seed: int = 0, optimizer_state: Any = None, threads: int = 1, counted: bool = False,
) -> CompiledTraining:  # fmt: skip
    """The training step of `model` compiled for data like `images` and `labels`.

    Args: as `fit`. The model's parameters are the starting values; they are not changed, the
        trained ones are `.parameters` of the result. counted: as in `CompiledTraining`.
    Raises: CompileError naming an operation that cannot be compiled; OptionError.
    """
    if optimizer_state is None:
        optimizer_state = optimizer.init({n: model.parameters[n] for n in model.trainable})
    key = np.array([seed % 2**32, 0], np.uint32)
    step = training_step(model, loss, optimizer)
    table, rates = optimizer.learning_rate, None
    if isinstance(table, Table):
        dtype = model.dtype

        def rates(first: int, count: int) -> np.ndarray:
            return table.of_steps(first, count).astype(dtype)

    return CompiledTraining(
        step, model.parameters, optimizer_state, images, labels, batch_size=batch_size, key=key,
        rates=rates, first_step=int(optimizer_state["step"]), threads=threads, counted=counted,
    )  # fmt: skip


def compile_predict(
    model: Any, images: Any, *, batch_size: int = 32, threads: int = 1
) -> CompiledPredict:
    """The output of `model`, as in testing, compiled for images like these.

    Args: threads: how many work on a batch, as in `fit`.
    Raises: CompileError naming an operation that cannot be compiled; OptionError.
    """

    def apply(parameters: Any, batch: Any) -> Any:
        return model.apply(parameters, read_images(batch, model.dtype))[0]

    return CompiledPredict(apply, model.parameters, images, batch_size=batch_size,
                           threads=threads)  # fmt: skip


def compiled_epochs(
    model: Any, loss: Any, optimizer: Any, images: np.ndarray, labels: np.ndarray,
    orders: Sequence[np.ndarray | None], batch_size: int, seed: int, threads: int, history: Any,
    watchers: Sequence[Any],
) -> Iterator[float]:  # fmt: skip
    """Yield the mean loss of each epoch after training it natively; the model follows."""
    images, labels = native(images), native(labels)  # once, not in every epoch
    training = compile_training(
        model, loss, optimizer, images, labels, batch_size=batch_size, seed=seed,
        optimizer_state=history.optimizer_state, threads=threads,
    )  # fmt: skip
    for epoch, order in enumerate(orders):
        start = time.perf_counter()
        mean = training.epoch(images, labels, order, done=_teller(watchers))
        check_finite(mean, epoch + 1)
        model.parameters = training.parameters
        history.optimizer_state = training.optimizer_state
        history.seconds.append(time.perf_counter() - start)
        yield mean


def _teller(watchers: Sequence[Any]) -> Callable[[int], None]:
    def done(examples: int) -> None:
        for watcher in watchers:
            watcher.step_done(examples)

    return done
