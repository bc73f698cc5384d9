"""Bodies as parts of one operation: `nested`, the primitive beneath loops and branches.

A primitive has one result, a loop many. So the floating-point ones lie one behind the other in one
flat array, in the widest of their types, and `Results` tells which is where; they are cut out again
by ordinary operations, which have derivatives. Integers and booleans, which have none, are the
result of a second primitive, as int64: it is there only where one of them is read.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from myad.core import Described, Spec, Tensor, primitive, routine
from myad.ops.compare import astype
from myad.ops.index import concatenate, strided_slice
from myad.ops.shaping import reshape

WHOLE = np.dtype(np.int64)


class Results:
    """Where each of several results lies in the two flat arrays.

    Fields: `specs` their shapes and dtypes; `dtype` of the floating-point array; `sizes` of both.
    """

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = [Spec(tuple(s.shape), np.dtype(s.dtype)) for s in specs]
        floats = [s.dtype for s in self.specs if s.dtype.kind == "f"]
        self.dtype = np.result_type(*floats) if floats else np.dtype(np.float32)
        self.starts: list[int] = []
        self.sizes = {True: 0, False: 0}  # by whether they are floating-point
        for spec in self.specs:
            floating = spec.dtype.kind == "f"
            self.starts.append(self.sizes[floating])
            self.sizes[floating] += math.prod(spec.shape)

    def flat(self, arrays: Sequence[np.ndarray], floating: bool) -> np.ndarray:
        """The floating-point ones of `arrays`, or the others, in one array."""
        dtype = self.dtype if floating else WHOLE
        parts = [
            np.asarray(x).astype(dtype, copy=False).reshape(-1)
            for x, spec in zip(arrays, self.specs, strict=True)
            if (spec.dtype.kind == "f") == floating
        ]
        return np.concatenate([np.empty(0, dtype), *parts])

    def joined(self, found: Sequence[Any], floating: bool = True) -> Any:
        """Tensors or arrays, one for each floating-point (or other) result, as their flat array."""
        dtype = self.dtype if floating else WHOLE
        parts = [reshape(astype(x, dtype), shape=(math.prod(x.shape),)) for x in found]
        return concatenate(*parts, axis=0) if parts else np.empty(0, dtype)

    def cut(self, flat: Any, number: int) -> Any:
        """Result `number`, out of the flat array that holds it."""
        spec, start = self.specs[number], self.starts[number]
        stop = start + math.prod(spec.shape)
        part = strided_slice(flat, starts=(start,), stops=(stop,), steps=(1,))
        return astype(reshape(part, shape=spec.shape), spec.dtype)

    def floats(self, flat: Any) -> list[Any]:
        """All floating-point results out of their flat array."""
        return [self.cut(flat, n) for n, s in enumerate(self.specs) if s.dtype.kind == "f"]


class Nest(Described):
    """What is inside of a loop or a branch: a static parameter of `nested`, told by identity."""

    results: Results
    inline = False  # whether the compiler writes it out where it stands
    is_endless = False  # whether only the data say when it ends

    def __init__(self) -> None:
        self._last: tuple[tuple[Any, ...], list[np.ndarray]] | None = None

    def bodies(self) -> list[tuple[Any, int, bool, bool]]:
        """What the compiler plans: each body, how many of its first inputs its first outputs take
        the place of, whether all outputs are wanted, and whether inputs must lie row by row."""
        raise NotImplementedError

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """The results for arrays."""
        raise NotImplementedError

    def gradient(self, dz: Any, z: Any, inputs: Sequence[Any]) -> Sequence[Any]:
        """The gradient rule of `nested`."""
        raise NotImplementedError

    def tangent(self, tangents: Sequence[Any], z: Any, inputs: Sequence[Any]) -> Any:
        """The rule of forward mode."""
        raise NotImplementedError

    def evaluate(self, inputs: tuple[Any, ...], floating: bool) -> np.ndarray:
        """One of the two flat arrays; who asks for both runs it once."""
        last = self._last
        if last is None or any(a is not b for a, b in zip(last[0], inputs, strict=True)):
            last = inputs, self.run(*inputs)
            if all(self.results.sizes.values()):
                self._last = last
        return self.results.flat(last[1], floating)

    def __call__(self, *inputs: Any) -> list[Any]:
        """The results as tensors."""
        flat: dict[bool, Any] = {}
        for spec in self.results.specs:
            floating = spec.dtype.kind == "f"
            if floating not in flat:
                flat[floating] = (nested if floating else nested_integers)(*inputs, nest=self)
        return [
            self.results.cut(flat[spec.dtype.kind == "f"], n)
            for n, spec in enumerate(self.results.specs)
        ]


@primitive
def nested(*inputs, nest):
    """The floating-point results of the loop or branch `nest`, one behind the other: (n,)."""
    return nest.evaluate(inputs, True)


@primitive
def nested_integers(*inputs, nest):
    """The other results of the loop or branch `nest`, one behind the other, in int64: (n,)."""
    return nest.evaluate(inputs, False)


@nested.shape
def _(*inputs, nest):
    return Spec((nest.results.sizes[True],), nest.results.dtype)


@nested_integers.shape
def _(*inputs, nest):
    return Spec((nest.results.sizes[False],), WHOLE)


nested.kernel(routine)
nested_integers.kernel(routine)


@nested.gradient
def _(dz, z, *inputs, nest):
    return nest.gradient(dz, z, inputs)


@nested_integers.gradient
def _(dz, z, *inputs, nest):
    return (None,) * len(inputs)


@nested.tangent
def _(tangents, z, *inputs, nest):
    return nest.tangent(tangents, z, inputs)


def is_float(x: Any) -> bool:
    """Whether `x` can have a derivative."""
    return bool(np.dtype(x.dtype).kind == "f")


def or_zeros(tangents: Sequence[Any], inputs: Sequence[Any]) -> list[Any]:
    """Tangents of the floating-point ones of `inputs`, zeros for None."""
    return [
        np.zeros(x.shape, x.dtype) if t is None else t
        for t, x in zip(tangents, inputs, strict=True)
        if is_float(x)
    ]


def spread(found: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
    """`found`, one for each floating-point input, with None for the others."""
    rest = iter(found)
    return tuple([next(rest) if is_float(x) else None for x in inputs])


def with_floats(values: Sequence[Any], floats: Sequence[Any]) -> list[Any]:
    """`values` with the floating-point ones replaced, in order, by `floats`."""
    rest = iter(floats)
    return [next(rest) if is_float(v) else v for v in values]


def with_those(values: Sequence[Any], which: Sequence[bool], others: Sequence[Any]) -> list[Any]:
    """`values` with those that `which` marks replaced, in order, by `others`."""
    rest = iter(others)
    return [next(rest) if marked else v for v, marked in zip(values, which, strict=True)]


def followed(inputs: Sequence[Any]) -> list[bool]:
    """Which of the inputs of a gradient rule want a gradient: floating-point ones that somebody
    follows; all of them if nobody follows any, as where a rule is asked outside of a derivative."""
    tracked = [type(x) is Tensor and bool(x.tracked) for x in inputs]
    return [is_float(x) and (t or not any(tracked)) for x, t in zip(inputs, tracked, strict=True)]
