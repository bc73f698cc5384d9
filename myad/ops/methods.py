"""Operators and methods of Tensor: each is an operation of this package."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from myad import backward
from myad.core import Tensor
from myad.ops.shaping import getitem

Function = Callable[..., Any]
OPERATORS = {
    "add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "pow": "power",
    "matmul": "matmul", "mod": "mod",
}  # fmt: skip
COMPARISONS = {
    "eq": "equal", "ne": "not_equal", "lt": "less", "le": "less_equal", "gt": "greater",
    "ge": "greater_equal",
}  # fmt: skip


def install(public: Mapping[str, Function]) -> None:
    """Give Tensor its operators, and the methods of an array that are operations in `public`."""
    for name, op in OPERATORS.items():
        setattr(Tensor, f"__{name}__", _operator(public[op]))
        setattr(Tensor, f"__r{name}__", _swapped(public[op]))
    for name, op in COMPARISONS.items():
        setattr(Tensor, f"__{name}__", _operator(public[op]))
    for name, function in {**_array_methods(public), **_special_methods(public)}.items():
        setattr(Tensor, name, function)


def _operator(function: Function) -> Function:
    return lambda x, y: function(x, y)


def _swapped(function: Function) -> Function:
    return lambda x, y: function(y, x)


def _array_methods(public: Mapping[str, Function]) -> dict[str, Function]:
    return {name: op for name, op in public.items() if hasattr(np.ndarray, name)}


def _special_methods(public: Mapping[str, Function]) -> dict[str, Any]:
    def transpose(x: Any, *axes: Any) -> Any:
        """`x` with its axes reversed, or in the order of the numbers (or the tuple) `axes`."""
        several = axes[0] if len(axes) == 1 and isinstance(axes[0], tuple | list) else axes
        return public["transpose"](x, several or None)

    return {
        "__neg__": lambda x: public["negative"](x),
        "__abs__": lambda x: public["absolute"](x),
        "__getitem__": getitem,
        "at": property(lambda x: public["at"](x)),
        "astype": public["cast"],
        "transpose": transpose,
        "flatten": lambda x: public["reshape"](x, -1),
        "backward": backward.backward,
        "T": property(lambda x: public["transpose"](x)),
    }
