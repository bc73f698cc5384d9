"""Activation functions by name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from myad.errors import OptionError
from myad.ops import functions

ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "linear": lambda x: x,
    "relu": functions.relu,
    "sigmoid": functions.sigmoid,
    "tanh": functions.tanh,
    "softmax": functions.softmax_along,
    "softplus": functions.softplus,
    "silu": functions.silu,
    "elu": functions.elu,
    "leaky_relu": functions.leaky_relu,
}


def activation(name: str | None) -> Callable[[Any], Any]:
    """The activation function of that name (None is "linear"). Raises OptionError."""
    if name is None:
        return ACTIVATIONS["linear"]
    if name not in ACTIVATIONS:
        raise OptionError(f"activation: {name!r} is none of {', '.join(ACTIVATIONS)}.")
    return ACTIVATIONS[name]
