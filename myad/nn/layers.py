"""Layers as data: frozen records of their settings, with rules for sizes, weights and values.

Names and defaults are those of Keras, the layout is (N, H, W, C), kernels are (KH, KW, C, F) and
(D, K): weights travel to Keras and back unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from myad.errors import OptionError, ShapeError
from myad.init import Initializer, initializer
from myad.nn.activations import activation
from myad.nn.layer import Layer, Parameter, Shape, Values
from myad.nn.training_layers import BatchNormalization, Dropout
from myad.ops.conv import conv2d, pair
from myad.ops.linalg import matmul
from myad.ops.pool import average_pooling2d, max_pooling2d
from myad.ops.reduce import mean
from myad.ops.shaping import reshape


@dataclass(frozen=True)
class _Activated(Layer):
    """A layer that ends in an activation function."""

    def __post_init__(self) -> None:
        activation(self.activation)  # type: ignore[attr-defined]

    def activate(self, x: Any) -> Any:
        return activation(self.activation)(x)  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Conv2D(_Activated):
    """Cross-correlation with `filters` kernels, a bias and an activation.

    (H, W, C) → (H', W', F). Settings as `ops.conv.conv2d`; the kernel is (KH, KW, C, F).
    """

    filters: int
    kernel_size: int | tuple[int, int]
    strides: int | tuple[int, int] = 1
    padding: str = "valid"
    dilation_rate: int | tuple[int, int] = 1
    activation: str | None = None
    use_bias: bool = True
    kernel_initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    kind: ClassVar[str] = "conv2d"

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("Conv2D: filters", self.filters)
        _check_window(self.kernel_size, self.strides, self.padding)
        pair("dilation_rate", self.dilation_rate)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        size = pair("kernel_size", self.kernel_size)
        kernel = Parameter((*size, shape[2], self.filters), self.kernel_initializer)
        bias = {"bias": Parameter((self.filters,), self.bias_initializer)}
        return {"kernel": kernel, **(bias if self.use_bias else {})}

    def output_shape(self, shape: Shape) -> Shape:
        size = pair("kernel_size", self.kernel_size)
        dilation = pair("dilation_rate", self.dilation_rate)
        reach = tuple((k - 1) * d + 1 for k, d in zip(size, dilation, strict=True))
        return (*_windows(self, shape, reach, self.strides, self.padding), self.filters)

    def call(self, parameters: Values, x: Any) -> Any:
        x = conv2d(
            x,
            parameters["kernel"],
            strides=self.strides,
            padding=self.padding,
            dilation=self.dilation_rate,
        )
        return x + parameters["bias"] if self.use_bias else x


@dataclass(frozen=True)
class Dense(_Activated):
    """x·kernel + bias, then the activation: (…, D) → (…, K) with a kernel (D, K)."""

    units: int
    activation: str | None = None
    use_bias: bool = True
    kernel_initializer: str | Initializer = "glorot_uniform"
    bias_initializer: str | Initializer = "zeros"
    kind: ClassVar[str] = "dense"

    def __post_init__(self) -> None:
        super().__post_init__()
        _positive("Dense: units", self.units)

    def parameters(self, shape: Shape) -> dict[str, Parameter]:
        kernel = Parameter((shape[-1], self.units), self.kernel_initializer)
        bias = {"bias": Parameter((self.units,), self.bias_initializer)}
        return {"kernel": kernel, **(bias if self.use_bias else {})}

    def output_shape(self, shape: Shape) -> Shape:
        if not shape:
            raise ShapeError("Dense: needs inputs with at least one axis beside the batch.")
        return (*shape[:-1], self.units)

    def call(self, parameters: Values, x: Any) -> Any:
        x = matmul(x, parameters["kernel"])
        return x + parameters["bias"] if self.use_bias else x


@dataclass(frozen=True)
class _Pooling(Layer):
    pool_size: int | tuple[int, int] = 2
    strides: int | tuple[int, int] | None = None
    padding: str = "valid"

    def __post_init__(self) -> None:
        _check_window(self.pool_size, self.strides or 1, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        size = pair("pool_size", self.pool_size)
        return (*_windows(self, shape, size, self.strides or size, self.padding), shape[2])


@dataclass(frozen=True)
class MaxPool2D(_Pooling):
    """Largest pixel of each window: (H, W, C) → (H', W', C)."""

    kind: ClassVar[str] = "max_pooling2d"

    def call(self, parameters: Values, x: Any) -> Any:
        return max_pooling2d(x, self.pool_size, self.strides, self.padding)


@dataclass(frozen=True)
class AveragePooling2D(_Pooling):
    """Mean of each window; with "same", of its pixels inside the image: (H, W, C) → (H', W', C)."""

    kind: ClassVar[str] = "average_pooling2d"

    def call(self, parameters: Values, x: Any) -> Any:
        return average_pooling2d(x, self.pool_size, self.strides, self.padding)


@dataclass(frozen=True)
class GlobalAveragePooling2D(Layer):
    """Mean of each channel over the image: (H, W, C) → (C,)."""

    kind: ClassVar[str] = "global_average_pooling2d"

    def output_shape(self, shape: Shape) -> Shape:
        _check_image(self, shape)
        return shape[2:]

    def call(self, parameters: Values, x: Any) -> Any:
        return mean(x, axis=(1, 2))


@dataclass(frozen=True)
class Flatten(Layer):
    """All axes but the batch in one, row-major: (H, W, C) → (H·W·C,)."""

    kind: ClassVar[str] = "flatten"

    def output_shape(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def call(self, parameters: Values, x: Any) -> Any:
        return reshape(x, shape=(x.shape[0], math.prod(x.shape[1:])))


@dataclass(frozen=True)
class Activation(_Activated):
    """An activation function as a layer of its own."""

    activation: str
    kind: ClassVar[str] = "activation"

    def call(self, parameters: Values, x: Any) -> Any:
        return x


LAYERS: dict[str, type[Layer]] = {
    layer.kind: layer
    for layer in (
        Conv2D,
        Dense,
        MaxPool2D,
        AveragePooling2D,
        GlobalAveragePooling2D,
        Flatten,
        Activation,
        Dropout,
        BatchNormalization,
    )
}


def layer_from(settings: Mapping[str, Any]) -> Layer:
    """The layer described by a mapping with a "type", as workload files write it.

    Raises: OptionError for an unknown type or setting.
    """
    options = dict(settings)
    kind = options.pop("type", None)
    if kind not in LAYERS:
        raise OptionError(f"layer: type {kind!r} is none of {', '.join(LAYERS)}.")
    try:
        return LAYERS[kind](**options)
    except TypeError as fault:
        raise OptionError(f"layer {kind!r}: {fault}.") from None


def check_initializers(parameters: Mapping[str, Parameter]) -> None:
    """Raise OptionError for an unknown initializer."""
    for parameter in parameters.values():
        initializer(parameter.initializer)


def _positive(name: str, value: Any) -> None:
    if not isinstance(value, int) or value < 1:
        raise OptionError(f"{name} must be an integer >= 1, not {value!r}.")


def _check_window(size: Any, strides: Any, padding: str) -> None:
    pair("kernel_size or pool_size", size)
    pair("strides", strides)
    if padding not in ("valid", "same"):
        raise OptionError(f'padding: must be "valid" or "same", not {padding!r}.')


def _check_image(layer: Layer, shape: Shape) -> None:
    if len(shape) != 3:
        raise ShapeError(f"{layer.kind}: needs images (H, W, C), got {shape}; mind the Flatten.")


def _windows(layer: Layer, shape: Shape, reach: Any, strides: Any, padding: str) -> Shape:
    """Windows along H and W."""
    _check_image(layer, shape)
    out = []
    for n, r, s in zip(shape[:2], reach, pair("strides", strides), strict=True):
        if padding == "valid" and r > n:
            raise ShapeError(
                f"{layer.kind}: a window that reaches over {r} pixels does not fit {n} of"
                f' {shape}; use a smaller one or padding="same".'
            )
        out.append(-(-n // s) if padding == "same" else (n - r) // s + 1)
    return tuple(out)
