"""What shape rules share: broadcasting, axes, and their error messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from myad.constants import as_constant, describe
from myad.core import Spec, Tensor
from myad.errors import DTypeError, ShapeError

BOOL = np.dtype(bool)
FLOAT64 = np.dtype(float)


def same_dtype(name: str, *inputs: Any) -> np.dtype:
    """The one dtype of all inputs. Raises DTypeError if they differ."""
    dtype = inputs[0].dtype
    for x in inputs:
        if x.dtype != dtype:
            raise DTypeError(
                f"{name}: dtypes differ, and nothing is cast silently; use astype()."
                f"{describe(*inputs)}"
            )
    return dtype


def broadcast_spec(name: str, *inputs: Any) -> Spec:
    """Shape rule of an elementwise operation of several inputs."""
    dtype = same_dtype(name, *inputs)
    return Spec(broadcast_shape(name, *inputs), dtype)


def broadcast_shape(name: str, *inputs: Any) -> tuple[int, ...]:
    """The shape to which all inputs are stretched. Raises ShapeError."""
    try:
        return np.broadcast_shapes(*[x.shape for x in inputs])
    except ValueError:
        raise ShapeError(
            f"{name}: shapes do not broadcast: each axis, counted from the last, must be equal or"
            f" 1.{describe(*inputs)}"
        ) from None


def check_not_bool(name: str, *inputs: Any) -> None:
    """Raise DTypeError for booleans, which NumPy does not subtract either, elements or none."""
    if any(x.dtype == BOOL for x in inputs):
        raise DTypeError(
            f"{name}: booleans have no minus; compare them, or convert with astype()."
            f"{describe(*inputs)}"
        )


def same_spec(x: Any, **static: Any) -> Spec:
    """Shape rule of an operation that changes neither shape nor dtype."""
    return Spec(tuple(x.shape), x.dtype)


def float_spec(name: str) -> Callable[..., Spec]:
    """Shape rule of a function of one floating-point input."""

    def rule(x: Any, **static: Any) -> Spec:
        check_float(name, x)
        return Spec(tuple(x.shape), x.dtype)

    return rule


def check_float(name: str, *inputs: Any) -> None:
    """Raise DTypeError unless every input is floating-point."""
    for x in inputs:
        if x.dtype.kind != "f":
            raise DTypeError(
                f"{name}: needs floating-point inputs; use astype().{describe(*inputs)}"
            )


def check_ndim(name: str, axes: str, x: Any) -> None:
    """Raise ShapeError unless `x` has as many axes as `axes` has words ("N H W C")."""
    if len(x.shape) != axes.count(" ") + 1:
        raise ShapeError(f"{name}: needs the axes {axes}, got the shape {tuple(x.shape)}.")


def normalize_axis(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` (None for all, a number, or several) as sorted numbers in [0, ndim)."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    axes = tuple(sorted(int(a) + ndim if a < 0 else int(a) for a in given))
    if any(not 0 <= a < ndim for a in axes) or len(set(axes)) < len(axes):
        raise ShapeError(
            f"{name}: axis {axis} does not fit {ndim} axes: allowed are"
            f" {-ndim} to {ndim - 1}, each once."
        )
    return axes


def as_operand(x: Any) -> Any:
    """`x` if it is a tensor or an array, otherwise the array made of it. Raises DTypeError."""
    return x if type(x) is Tensor or type(x) is np.ndarray else as_constant(x)


def as_float(x: Any) -> Any:
    """`x` as an operand; integers and booleans in float64, as NumPy averages them."""
    x = as_operand(x)
    return x if x.dtype.kind == "f" else x.astype(FLOAT64)
