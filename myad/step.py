"""One training step as a pure function: what eager and compiled training share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from myad.errors import NotFiniteError
from myad.losses import Loss, loss_from
from myad.nn import Sequential
from myad.ops.compare import cast
from myad.optim import Optimizer
from myad.recording import thread_state
from myad.transforms import value_and_grad

Step = Callable[..., tuple[Any, dict[str, Any], dict[str, Any]]]


def read_images(images: Any, dtype: Any) -> Any:
    """Bytes as numbers in [0, 1]: uint8 · 1/255 in `dtype`; other images are returned unchanged."""
    if images.dtype != np.uint8:
        return images
    dtype = np.dtype(dtype)
    return cast(images, dtype=dtype) * np.asarray(1 / 255, dtype)


def absorbed(model: Sequential, loss: Loss) -> tuple[Loss, bool]:
    """The loss to compute, and whether the model's last activation is to be applied before it.

    A cross-entropy takes the activation it fits out of the model and works on the logits.
    """
    last = getattr(model.layers[-1], "activation", None)
    if loss.absorbs is not None and last == loss.absorbs and not getattr(loss, "from_logits", True):
        return loss.on_logits(), False
    return loss, True


def training_step(model: Sequential, loss: str | Loss, optimizer: Optimizer) -> Step:
    """One step of training as a pure function:

        step(parameters, optimizer_state, images, labels, key=None, rate=None)
            -> (loss, new parameters, new optimizer_state)

    Args of the step: all parameters of the model by name, those that are not trained included;
        the state as from `optimizer.init` of the trainable ones; a batch, uint8 images being read
        as numbers in [0, 1]; a key for dropout; a learning rate in place of the optimizer's own.
        Arrays give arrays, tensors give tensors.
    """
    wanted, activate = absorbed(model, loss_from(loss))

    def step(
        parameters: Any, optimizer_state: Any, images: Any, labels: Any, key: Any = None,
        rate: Any = None,
    ):  # fmt: skip
        def objective(trainable: Any) -> Any:
            thread_state.scope = "images"
            x = read_images(images, model.dtype)
            thread_state.scope = "loss"
            outputs, updates = model.apply(
                {**parameters, **trainable}, x, training=True, key=key, activate_last=activate
            )
            return wanted(labels, outputs), updates

        trainable = {name: parameters[name] for name in model.trainable}
        rule = optimizer if rate is None else replace(optimizer, learning_rate=lambda _: rate)
        try:
            (value, updates), gradients = value_and_grad(objective, has_aux=True)(trainable)
            thread_state.scope = "update"
            changed, state = rule.update(gradients, optimizer_state, trainable)
        finally:
            thread_state.scope = None
        return value, {**parameters, **changed, **updates}, state

    return step


def check_finite(total: float, epoch: int) -> None:
    """Raise NotFiniteError if the loss of an epoch is NaN or infinite."""
    if not np.isfinite(total):
        raise NotFiniteError(
            f"fit: the loss became {total} in epoch {epoch}. Look for NaN in the data, or take a"
            " smaller learning rate."
        )
