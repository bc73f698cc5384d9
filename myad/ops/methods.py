"""Operators and methods of Tensor: each is an operation of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from myad import backward
from myad.core import Tensor
from myad.ops import arithmetic, compare, extremes, functions, linalg, reduce, shaping


def _swapped(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: function(y, x)


def _operator(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, y: function(x, y)


OPERATORS: dict[str, Callable[..., Any]] = {
    "add": arithmetic.add,
    "sub": arithmetic.subtract,
    "mul": arithmetic.multiply,
    "truediv": arithmetic.divide,
    "pow": arithmetic.power,
    "matmul": linalg.product,
}
COMPARISONS: dict[str, Callable[..., Any]] = {
    "eq": compare.equal,
    "ne": compare.not_equal,
    "lt": compare.less,
    "le": compare.less_equal,
    "gt": _swapped(compare.less),
    "ge": _swapped(compare.less_equal),
}
METHODS: dict[str, Callable[..., Any]] = {
    "__neg__": lambda x: functions.negative(x),
    "__abs__": lambda x: functions.absolute(x),
    "__getitem__": shaping.getitem,
    "astype": compare.astype,
    "sum": reduce.sum,
    "mean": reduce.mean,
    "max": extremes.max,
    "min": extremes.min,
    "var": reduce.var,
    "reshape": shaping.reshaped,
    "transpose": lambda x, *axes: shaping.permute(
        x, None if not axes else axes[0] if isinstance(axes[0], tuple | list) else axes
    ),
    "flatten": lambda x: shaping.reshaped(x, -1),
    "clip": compare.clip,
    "backward": backward.backward,
}

for _name, _function in OPERATORS.items():
    setattr(Tensor, f"__{_name}__", _operator(_function))
    setattr(Tensor, f"__r{_name}__", _swapped(_function))
for _name, _function in COMPARISONS.items():
    setattr(Tensor, f"__{_name}__", _operator(_function))
for _name, _function in METHODS.items():
    setattr(Tensor, _name, _function)
setattr(Tensor, "T", property(shaping.permute))  # noqa: B010 (mypy knows no attribute T)
