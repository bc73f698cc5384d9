"""Layers that do something else in training than in testing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from myad.errors import OptionError
from myad.nn.layer import Layer, Parameter, Shape, Values
from myad.ops.compare import stop_gradient, where
from myad.ops.random import random_uniform
from myad.ops.reduce import mean, var


@dataclass(frozen=True)
class Dropout(Layer):
    """In training, each number is 0 with probability `rate`, else divided by 1 − rate.

    Which ones is a function of the key alone; in testing nothing is changed.
    Source: Srivastava et al. 2014, JMLR 15; scaled in training, as in Keras.
    """

    rate: float
    kind: ClassVar[str] = "dropout"

    def __post_init__(self) -> None:
        if not 0 <= self.rate < 1:
            raise OptionError(f"Dropout: rate must lie in [0, 1), not {self.rate}.")

    def apply(
        self, parameters: Values, x: Any, *, training: bool, key: Any
    ) -> tuple[Any, dict[str, Any]]:
        if not training or self.rate == 0:
            return x, {}
        if key is None:
            raise OptionError("Dropout: training needs a key; see ops.random.random_key.")
        draw = random_uniform(key, shape=tuple(x.shape), dtype=x.dtype)
        kept = where(draw < self.rate, np.zeros((), x.dtype), x * (1 / (1 - self.rate)))
        return kept, {}


@dataclass(frozen=True)
class BatchNormalization(Layer):
    """γ·(x − mean)/√(variance + ε) + β, per channel (the last axis).

    In training, mean and (biased) variance are those of the batch, and the moving ones become
    momentum·old + (1 − momentum)·new; in testing the moving ones are used.
    Source: Ioffe & Szegedy 2015, arXiv:1502.03167, algorithms 1 and 2; defaults as Keras.
    """

    momentum: float = 0.99
    epsilon: float = 1e-3
    center: bool = True
    scale: bool = True
    kind: ClassVar[str] = "batch_normalization"

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        channels = shape[-1:]
        return {
            **({"gamma": Parameter(channels, "ones")} if self.scale else {}),
            **({"beta": Parameter(channels, "zeros")} if self.center else {}),
            "moving_mean": Parameter(channels, "zeros", trainable=False),
            "moving_variance": Parameter(channels, "ones", trainable=False),
        }

    def apply(
        self, parameters: Values, x: Any, *, training: bool, key: Any
    ) -> tuple[Any, dict[str, Any]]:
        center, spread = parameters["moving_mean"], parameters["moving_variance"]
        updates = {}
        if training:
            axes = tuple(range(len(x.shape) - 1))
            new = {"moving_mean": mean(x, axes), "moving_variance": var(x, axes)}
            updates = {
                name: parameters[name] * self.momentum + stop_gradient(v) * (1 - self.momentum)
                for name, v in new.items()
            }
            center, spread = new["moving_mean"], new["moving_variance"]
        factor = (spread + self.epsilon) ** -0.5
        if self.scale:
            factor = factor * parameters["gamma"]
        x = (x - center) * factor
        return (x + parameters["beta"] if self.center else x), updates
