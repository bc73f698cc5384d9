"""Training: the loop around a step, and testing."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from myad.callbacks import Callback, Progress
from myad.core import Tensor
from myad.errors import DataError, OptionError
from myad.losses import Loss, loss_from
from myad.memory import keep_freed_memory
from myad.nn import Sequential
from myad.optim import Optimizer, optimizer_from
from myad.recording import no_grad
from myad.step import absorbed, check_finite, read_images, training_step


@dataclass
class History:
    """What `fit` measured, one number per epoch; names as in Keras' history.

    `loss` mean of the losses of the steps, weighted by examples; `seconds` of the epoch's steps;
    `val_loss` where validation data was given, and `val_accuracy` where its labels are classes.
    `optimizer_state` is that after the last step; give it to the next `fit` to go on.
    """

    loss: list[float] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    val_loss: list[float] = field(default_factory=list)
    val_accuracy: list[float] = field(default_factory=list)
    optimizer_state: dict[str, Any] = field(default_factory=dict)


def fit(
    model: Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    loss: str | Loss = "sparse_categorical_crossentropy",
    optimizer: str | Optimizer = "sgd",
    epochs: int = 1,
    batch_size: int = 32,
    shuffle: bool = True,
    order: np.ndarray | None = None,
    seed: int = 0,
    validation_data: tuple[np.ndarray, np.ndarray] | None = None,
    callbacks: Sequence[Callback] = (),
    progress: bool = True,
    optimizer_state: dict[str, Any] | None = None,
    compiled: bool = False,
    threads: int = 1,
) -> History:
    """Train `model` in place. Equal arguments give equal weights, bit for bit.

    Args:
        images: (N, *input_shape), in the model's dtype, or uint8, read as numbers in [0, 1].
        labels: (N,) integers, or whatever the loss takes as targets.
        shuffle: draw a new order for every epoch from `seed`; `order`, (epochs, N), gives one.
        batch_size: the last batch may be shorter; its gradient is the mean over what it holds.
        seed: of the order and of dropout.
        validation_data: (images, labels), evaluated after every epoch.
        callbacks: called after every epoch; one that returns True ends the training.
        progress: a line per epoch on standard error, with a bar while it runs.
        compiled: run the steps as native code; eagerly, with one line that says so, where llvmlite
            cannot work.
        threads: how many run a compiled step together, on as many processors; results do not
            depend on it by a bit. Eager steps leave threads to NumPy.
    Raises: DataError for data that does not fit; NotFiniteError if the loss of an epoch is NaN or
        infinite, naming the epoch.
    """
    images, labels = np.asarray(images), np.asarray(labels)
    wanted, rule = loss_from(loss), optimizer_from(optimizer)
    check_data(model, images, labels, wanted)
    orders = epoch_orders(len(images), epochs, shuffle, order, seed)
    _at_least_one("batch_size", batch_size)
    _at_least_one("threads", threads)
    state = optimizer_state or rule.init({n: model.parameters[n] for n in model.trainable})
    run = _compiled_epochs if compiled else _eager_epochs
    watchers = [*([Progress(len(images), epochs)] if progress else []), *callbacks]
    history = History(optimizer_state=state)
    more = (batch_size, seed, threads, history, watchers)
    losses = run(model, wanted, rule, images, labels, orders, *more)
    for epoch, mean_loss in enumerate(losses, start=1):
        history.loss.append(mean_loss)
        if validation_data is not None:
            found = evaluate(model, *validation_data, loss=wanted, batch_size=256)
            history.val_loss.append(found["loss"])
            if "accuracy" in found:
                history.val_accuracy.append(found["accuracy"])
        stops = [watcher.epoch_done(epoch, model, history) for watcher in watchers]
        if any(stops):
            break
    return history


def _eager_epochs(
    model: Sequential,
    loss: Loss,
    optimizer: Optimizer,
    images: np.ndarray,
    labels: np.ndarray,
    orders: Sequence[np.ndarray | None],
    batch_size: int,
    seed: int,
    threads: int,
    history: History,
    watchers: Sequence[Callback],
) -> Iterator[float]:
    """Yield the mean loss of each epoch after training it step by step in Python."""
    keep_freed_memory()
    step = training_step(model, loss, optimizer)
    count = 0
    for epoch, order in enumerate(orders):
        parameters, state = model.parameters, history.optimizer_state
        total, start = 0.0, time.perf_counter()
        # a diverging loss is reported below, once; NumPy would warn of every operation
        with np.errstate(all="ignore"):
            for first in range(0, len(images), batch_size):
                at = slice(first, first + batch_size)
                batch = at if order is None else order[at]
                key = np.array([seed % 2**32, count % 2**32], np.uint32)
                value, parameters, state = step(
                    parameters, state, images[batch], labels[batch], key
                )
                count += 1
                total += float(value) * min(batch_size, len(images) - first)
                for watcher in watchers:
                    watcher.step_done(min(first + batch_size, len(images)))
        check_finite(total, epoch + 1)
        model.parameters, history.optimizer_state = parameters, state
        history.seconds.append(time.perf_counter() - start)
        yield total / len(images)


def _compiled_epochs(*arguments: Any) -> Iterator[float]:
    """As `_eager_epochs`, in native code where that can be made."""
    from myad.compiled import available, compiled_epochs  # llvmlite: eager training never needs it

    return compiled_epochs(*arguments) if available() else _eager_epochs(*arguments)


def predict(model: Sequential, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """The model's output for every image: (N, *output_shape), as in testing.

    Args: images: (N, *input_shape), in the model's dtype, or uint8, read as numbers in [0, 1].
    """
    _at_least_one("batch_size", batch_size)
    images = np.asarray(images)
    if len(images) == 0:
        return np.zeros((0, *model.output_shape), model.dtype)
    outputs = [
        outputs_of(model, images[first : first + batch_size])
        for first in range(0, len(images), batch_size)
    ]
    return outputs[0] if len(outputs) == 1 else np.concatenate(outputs)


def outputs_of(model: Sequential, images: np.ndarray, activate_last: bool = True) -> np.ndarray:
    """The model's output for one batch, as an array."""
    x = read_images(images, model.dtype)
    with no_grad():
        found = model.apply(model.parameters, x, activate_last=activate_last)[0]
    return found.value if type(found) is Tensor else found


def evaluate(
    model: Sequential,
    images: np.ndarray,
    labels: np.ndarray,
    *,
    loss: str | Loss = "sparse_categorical_crossentropy",
    batch_size: int = 32,
) -> dict[str, float]:
    """Mean loss, and for integer labels the accuracy: {"loss": …, "accuracy": …}.

    Raises: DataError for data that does not fit.
    """
    _at_least_one("batch_size", batch_size)
    images, labels = np.asarray(images), np.asarray(labels)
    wanted, activate = absorbed(model, loss_from(loss))
    check_data(model, images, labels, wanted)
    total, right = 0.0, 0
    for first in range(0, len(images), batch_size):
        targets = labels[first : first + batch_size]
        outputs = outputs_of(model, images[first : first + batch_size], activate)
        total += float(wanted(targets, outputs)) * len(targets)
        if labels.dtype.kind in "iu":
            right += int((outputs.argmax(axis=-1) == targets).sum())
    result = {"loss": total / len(images)}
    return {**result, "accuracy": right / len(images)} if labels.dtype.kind in "iu" else result


def check_data(model: Sequential, images: np.ndarray, labels: np.ndarray, loss: Loss) -> None:
    """Raise DataError unless there is data, as many labels as images, and every label a class."""
    if len(images) == 0 or len(images) != len(labels):
        raise DataError(f"data: {len(images)} images and {len(labels)} labels; need equally many.")
    if tuple(images.shape[1:]) != model.input_shape:
        raise DataError(
            f"data: images are {tuple(images.shape[1:])}, the model takes {model.input_shape}."
        )
    classes = model.output_shape[-1]
    if loss.absorbs == "softmax" and labels.dtype.kind in "iu":
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= classes:
            raise DataError(
                f"data: labels must lie in [0, {classes}), the model's classes; got {low} to"
                f" {high}."
            )


def epoch_orders(
    examples: int, epochs: int, shuffle: bool, order: np.ndarray | None, seed: int
) -> Sequence[np.ndarray | None]:
    """For each epoch the order of the examples, or None for that of the data."""
    _at_least_one("epochs", epochs)
    if order is not None:
        order = np.asarray(order)
        expected = np.arange(examples)
        if order.shape != (epochs, examples) or any((np.sort(o) != expected).any() for o in order):
            raise DataError(
                f"order: needs a permutation of the {examples} examples for each of the {epochs}"
                f" epochs; got {order.dtype} {order.shape}."
            )
        return list(order)
    if not shuffle:
        return [None] * epochs
    generator = np.random.default_rng(seed)
    return [generator.permutation(examples) for _ in range(epochs)]


def _at_least_one(name: str, value: Any) -> None:
    if not isinstance(value, int | np.integer) or value < 1:
        raise OptionError(f"{name}: must be an integer >= 1, not {value!r}.")
