"""Losses: the mean over a batch of what the outputs cost, given the targets.

Each takes probabilities, or logits with `from_logits=True`. In training, a loss that fits the last
layer's activation is computed from the logits before it, which is exact where probabilities round
to 0 or 1. Probabilities are limited to [ε, 1 − ε], ε = 1e-7, as in Keras.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from myad.core import describe
from myad.errors import OptionError, ShapeError
from myad.ops.activations import log_softmax, softplus
from myad.ops.compare import clip
from myad.ops.functions import log
from myad.ops.loss import sparse_softmax_cross_entropy
from myad.ops.reduce import mean
from myad.ops.reduce import sum as reduced_sum
from myad.ops.specs import as_operand, same_dtype

EPSILON = 1e-7


@dataclass(frozen=True)
class Loss:
    """What all losses have in common: `loss(targets, outputs)` is a scalar."""

    name: ClassVar[str]
    absorbs: ClassVar[str | None] = None  # the activation that from_logits stands for

    def __call__(self, targets: Any, outputs: Any) -> Any:
        return mean(self.each(as_operand(targets), as_operand(outputs)))

    def each(self, targets: Any, outputs: Any) -> Any:
        """The loss of every example."""
        raise NotImplementedError

    def on_logits(self) -> Loss:
        """This loss, for outputs whose last activation was left out."""
        return replace(self, from_logits=True)  # type: ignore[call-arg]


@dataclass(frozen=True)
class SparseCategoricalCrossentropy(Loss):
    """−ln p[label]: targets (N,) integers in [0, K), outputs (N, K)."""

    from_logits: bool = False
    name: ClassVar[str] = "sparse_categorical_crossentropy"
    absorbs: ClassVar[str | None] = "softmax"

    def each(self, targets: Any, outputs: Any) -> Any:
        logits = outputs if self.from_logits else log(_limited(outputs))
        return sparse_softmax_cross_entropy(logits, targets)


@dataclass(frozen=True)
class CategoricalCrossentropy(Loss):
    """−Σ_k t_k·ln p_k: targets and outputs (…, K); targets are probabilities."""

    from_logits: bool = False
    name: ClassVar[str] = "categorical_crossentropy"
    absorbs: ClassVar[str | None] = "softmax"

    def each(self, targets: Any, outputs: Any) -> Any:
        _check_alike(self.name, targets, outputs)
        if self.from_logits:
            logs = log_softmax(outputs)
        else:
            logs = log(_limited(outputs / reduced_sum(outputs, axis=-1, keepdims=True)))
        return -reduced_sum(targets * logs, axis=-1)


@dataclass(frozen=True)
class BinaryCrossentropy(Loss):
    """−(t·ln p + (1 − t)·ln(1 − p)), averaged over the last axis: targets and outputs alike.

    From logits x: softplus(x) − t·x.
    """

    from_logits: bool = False
    name: ClassVar[str] = "binary_crossentropy"
    absorbs: ClassVar[str | None] = "sigmoid"

    def each(self, targets: Any, outputs: Any) -> Any:
        _check_alike(self.name, targets, outputs)
        if self.from_logits:
            return mean(softplus(outputs) - targets * outputs, axis=-1)
        p = _limited(outputs)
        return mean(-(targets * log(p) + (1.0 - targets) * log(1.0 - p)), axis=-1)


@dataclass(frozen=True)
class MeanSquaredError(Loss):
    """(t − y)², averaged over the last axis: targets and outputs alike."""

    name: ClassVar[str] = "mean_squared_error"

    def each(self, targets: Any, outputs: Any) -> Any:
        _check_alike(self.name, targets, outputs)
        difference = targets - outputs
        return mean(difference * difference, axis=-1)


LOSSES: dict[str, type[Loss]] = {
    loss.name: loss
    for loss in (
        SparseCategoricalCrossentropy,
        CategoricalCrossentropy,
        BinaryCrossentropy,
        MeanSquaredError,
    )
}


def loss_from(name: str | Loss) -> Loss:
    """The loss of that name; a loss is returned as it is. Raises OptionError."""
    if isinstance(name, Loss):
        return name
    if name not in LOSSES:
        raise OptionError(f"loss: {name!r} is none of {', '.join(LOSSES)}.")
    return LOSSES[name]()


def _limited(probabilities: Any) -> Any:
    return clip(probabilities, EPSILON, 1 - EPSILON)


def _check_alike(name: str, targets: Any, outputs: Any) -> None:
    # an operator would stretch (N,) against (N, 1) to (N, N) and train on nonsense
    if tuple(targets.shape) != tuple(outputs.shape) or not outputs.shape:
        raise ShapeError(
            f"{name}: targets and outputs must have one shape.{describe(targets, outputs)}"
        )
    same_dtype(name, targets, outputs)
