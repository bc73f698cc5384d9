"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from myad.errors import OptionError
from myad.ops import activations, functions

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": activations.relu,
    "sigmoid": activations.sigmoid,
    "tanh": functions.tanh,
    "softmax": activations.softmax_along,
    "softplus": activations.softplus,
    "silu": activations.silu,
    "elu": activations.elu,
    "leaky_relu": activations.leaky_relu,
}


def activation(name: str | None) -> Callable[[Any], Any]:
    """The activation function of that name (None is "linear"). Raises OptionError."""
    if name is None:
        return ACTIVATIONS["linear"]
    if name not in ACTIVATIONS:
        raise OptionError(f"activation: {name!r} is none of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
