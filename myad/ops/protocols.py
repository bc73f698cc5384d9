"""NumPy's functions on tensors, by its protocols: `np.sum(tensor)`, `np.add(array, tensor)`.

A function of NumPy that has an operation of the same name is that operation. Any other is computed
by NumPy on the values, where nobody follows them; where a derivative does, it is refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from myad.core import AbstractValue, Tensor
from myad.errors import GraphError, MyadError, OptionError, TraceError
from myad.tree import leaves, map_leaves

Function = Callable[..., Any]
REDUCED = {"add": "sum", "maximum": "max", "minimum": "min"}  # np.add.reduce is np.sum
# parameters that are called otherwise here
RENAMED = {
    "a_min": "low", "a_max": "high", "pad_width": "widths", "constant_values": "value", "b": "y",
}  # fmt: skip
BY_POSITION = (
    "where",
    "einsum",
    "dot",
    "solve",
)  # several arrays, and no signature that can be read
FLAT_WITHOUT_AXIS = ("sort", "argsort")  # whose axis is the last one, unless it is None
_KNOWN: dict[Function, tuple[str, Function]] = {}  # NumPy's function: the name of ours, and ours
ATTRIBUTES = {np.shape: lambda x: x.shape, np.ndim: lambda x: x.ndim, np.size: lambda x: x.size}


def know(functions: Mapping[Function, tuple[str, Function]]) -> None:
    """Let these functions of NumPy, called on tensors, be operations: (name, function) of ours."""
    _KNOWN.update(functions)


def install(public: Mapping[str, Function]) -> None:
    """Give Tensor NumPy's protocols, for the operations in `public`."""
    know({getattr(np, name): (name, op) for name, op in public.items() if hasattr(np, name)})

    def of_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if options.get("out") is not None:
            raise OptionError(
                f"numpy.{ufunc.__name__}: results on tensors are new tensors, out= (and an"
                " operator that works in place on an array, like +=) cannot hold them."
            )
        if method == "reduce" and ufunc.__name__ in REDUCED:
            name = REDUCED[ufunc.__name__]
            return _call(name, getattr(np, name), public[name], inputs, {"axis": 0, **options})
        if method != "__call__" or ufunc not in _KNOWN:
            return _outside(f"{ufunc.__name__}", getattr(ufunc, method), inputs, options)
        if options:
            raise OptionError(
                f"numpy.{ufunc.__name__}: {', '.join(options)} cannot be given for tensors; use"
                f" myad.{_KNOWN[ufunc][0]}."
            )
        return _KNOWN[ufunc][1](*inputs)

    def of_function(self: Tensor, function: Any, types: Any, args: Any, options: Any) -> Any:
        if function in ATTRIBUTES and not options:
            return ATTRIBUTES[function](*args)
        if function not in _KNOWN:
            return _outside(function.__name__, function, args, options)
        name, op = _KNOWN[function]
        return _call(name, function, op, args, options)

    setattr(Tensor, "__array_ufunc__", of_ufunc)  # noqa: B010 (mypy knows no such attributes)
    setattr(Tensor, "__array_function__", of_function)  # noqa: B010


def _outside(name: str, function: Function, args: Any, options: Any) -> Any:
    """NumPy's own result, where no derivative would be lost by it."""
    tensors = [x for x in leaves((args, options)) if type(x) is Tensor]
    if any(isinstance(x.value, AbstractValue) for x in tensors):
        raise TraceError(f"numpy.{name}: myad has no such operation, and only shapes are known.")
    if any(x.tracked for x in tensors):
        raise GraphError(
            f"numpy.{name}: myad has no operation of this name, so a derivative would be lost; use"
            " those of myad.ops, or detach() the tensor."
        )
    args, options = map_leaves(lambda x: x.value if type(x) is Tensor else x, (args, options))
    return function(*args, **options)


def _call(name: str, function: Function, op: Function, args: Any, options: Any) -> Any:
    given = {k: v for k, v in options.items() if v is not None or name in FLAT_WITHOUT_AXIS}
    if name in BY_POSITION:
        positional = args
    else:  # all but the first by NumPy's names: the order of ours is another
        positional = args[:1]
        names = ["arrays", "axis"]  # of concatenate, which has no signature in NumPy 2.2
        if name != "concatenate":
            names = list(inspect.signature(function).parameters)
        given.update(
            {
                k: v
                for k, v in zip(names[1:], args[1:], strict=False)
                if v is not None or name in FLAT_WITHOUT_AXIS
            }
        )
    given = {RENAMED.get(k, k): v for k, v in given.items()}
    if name == "reshape":
        positional = (*positional, given.pop("shape"))
    if name == "take" and "axis" not in given:  # NumPy then takes of all elements in a row
        positional, given["axis"] = (positional[0].reshape(-1),), 0
    if name == "pad" and given.pop("mode", "constant") != "constant":
        raise OptionError("numpy.pad: of tensors only with mode='constant'; see myad.pad.")
    try:
        return op(*positional, **given)
    except TypeError as fault:
        if isinstance(fault, MyadError):
            raise
        raise OptionError(f"numpy.{name}: {fault}; use myad.{name}.") from None
