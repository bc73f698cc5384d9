"""The kinds of layer that a workload's model may have, with their settings and Keras' defaults."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from harness.workload.settings import Count, Settings, Share

Activation = Literal["linear", "relu", "sigmoid", "tanh", "softmax"]
Padding = Literal["valid", "same"]


def _as_pair(value: Any) -> Any:
    return (value, value) if isinstance(value, int) and not isinstance(value, bool) else value


Pair = Annotated[tuple[Count, Count], BeforeValidator(_as_pair)]


class Conv2D(Settings):
    """Cross-correlation with a bias and an activation, as Keras' Conv2D (channels last)."""

    type: Literal["conv2d"]
    filters: Count
    kernel_size: Pair
    strides: Pair = (1, 1)
    padding: Padding = "valid"
    activation: Activation = "linear"
    use_bias: bool = True


class _Pooling(Settings):
    pool_size: Pair = (2, 2)
    strides: Pair | None = None  # None: the same as pool_size, filled in when resolved
    padding: Padding = "valid"


class MaxPooling2D(_Pooling):
    """The largest value of each window."""

    type: Literal["max_pooling2d"]


class AveragePooling2D(_Pooling):
    """The mean of each window; with padding "same", of what lies inside the image."""

    type: Literal["average_pooling2d"]


class Flatten(Settings):
    """(H, W, C) to (H·W·C,), the channel running fastest."""

    type: Literal["flatten"]


class Dense(Settings):
    """x @ kernel + bias, then the activation."""

    type: Literal["dense"]
    units: Count
    activation: Activation = "linear"
    use_bias: bool = True


class Dropout(Settings):
    """Zeroes a share `rate` of its inputs while training, and scales the rest by 1/(1 - rate).

    Which inputs is each engine's own choice, so a workload with dropout cannot be verified step by
    step.
    """

    type: Literal["dropout"]
    rate: Share


class ActivationLayer(Settings):
    """An activation as a layer of its own."""

    type: Literal["activation"]
    activation: Activation


LAYERS = (Conv2D, MaxPooling2D, AveragePooling2D, Flatten, Dense, Dropout, ActivationLayer)
Layer = Annotated[
    Conv2D | MaxPooling2D | AveragePooling2D | Flatten | Dense | Dropout | ActivationLayer,
    Field(discriminator="type"),
]
