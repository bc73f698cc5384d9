"""Assignment to items, as a function: `x.at[i].set(v)` is a copy of x with x[i] = v."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, Tensor, describe, primitive, routine
from myad.errors import ShapeError
from myad.ops.compare import equal, where
from myad.ops.index import check_indices, gather, scatter_add, strided_embed
from myad.ops.reduce import broadcast_to, unbroadcast
from myad.ops.shaping import basic_index, index_arrays, reshape
from myad.ops.specs import as_operand, broadcast_shape, same_dtype

PLACES = np.dtype(np.int64)


@primitive
def scatter_set(x, values, *indices):
    """A copy of x with x[indices] = values: of several that meet, the last one counts."""
    z = x.copy()
    z[indices] = values
    return z


@scatter_set.shape
def _(x, values, *indices):
    dtype = same_dtype("scatter_set", x, values)
    check_indices("scatter_set", indices)
    if len(indices) > len(x.shape):
        raise ShapeError(f"scatter_set: {len(indices)} indices for the shape {tuple(x.shape)}.")
    picked = broadcast_shape("scatter_set", *indices)
    if tuple(values.shape) != (*picked, *x.shape[len(indices) :]):
        raise ShapeError(f"scatter_set: the values do not fill the places.{describe(x, values)}")
    return Spec(tuple(x.shape), dtype)


@scatter_set.gradient
def _(dz, z, x, values, *indices):
    def dx():
        return scatter_set(dz, np.zeros(values.shape, dz.dtype), *indices)

    def dvalues():
        # who finds its own number where it wrote was the last one there
        count = len(indices)
        picked = tuple(values.shape[: len(values.shape) - len(x.shape) + count])
        numbers = np.arange(math.prod(picked), dtype=PLACES).reshape(picked)
        places = np.zeros(x.shape[:count], PLACES)
        last = equal(gather(scatter_set(places, numbers, *indices), *indices), numbers)
        last = reshape(last, shape=(*picked, *[1] * (len(values.shape) - len(picked))))
        return where(last, gather(dz, *indices), np.zeros((), dz.dtype))

    return (dx, dvalues, *[None] * len(indices))


scatter_set.kernel(routine)


class At:
    """`x.at`: subscript it, then call `set`, `add` or `get`."""

    def __init__(self, x: Any, index: Any = None) -> None:
        self._x, self._index = as_operand(x), index

    def __getitem__(self, index: Any) -> At:
        return At(self._x, index)

    def get(self) -> Any:
        """x[index]."""
        x = self._x if type(self._x) is Tensor else Tensor(self._x)
        return x[self._index]

    def set(self, values: Any) -> Any:
        """A copy of x whose elements at the index are `values`, broadcast; the last one counts."""
        x = self._x
        arrays = index_arrays(x, self._index)
        if arrays is not None:
            return scatter_set(x, self._values(values, arrays), *arrays)
        embedded, mask = self._embedded(values)
        return where(mask, embedded, x)

    def add(self, values: Any) -> Any:
        """A copy of x with `values`, broadcast, added at the index, as often as a place occurs."""
        x = self._x
        arrays = index_arrays(x, self._index)
        if arrays is not None:
            return x + scatter_add(self._values(values, arrays), *arrays, shape=tuple(x.shape))
        return x + self._embedded(values)[0]

    def _values(self, values: Any, arrays: list[Any]) -> Any:
        picked = broadcast_shape("at", *arrays)
        return self._spread(values, (*picked, *self._x.shape[len(arrays) :]))

    def _embedded(self, values: Any) -> tuple[Any, np.ndarray]:
        """The values at their places among zeros, and where these are."""
        shape, place = basic_index(tuple(self._x.shape), self._index)
        lengths = tuple(
            len(range(*s))
            for s in zip(place["starts"], place["stops"], place["steps"], strict=True)
        )
        block = reshape(self._spread(values, shape), shape=lengths)
        size = tuple(self._x.shape)
        mask = strided_embed.value(np.ones(lengths, bool), shape=size, **place)
        return strided_embed(block, shape=size, **place), mask

    def _spread(self, values: Any, shape: tuple[int, ...]) -> Any:
        plain = not isinstance(values, Tensor | np.ndarray | np.generic)
        values = np.asarray(values, self._x.dtype) if plain else as_operand(values)
        same_dtype("at", self._x, values)
        if tuple(values.shape) == shape:
            return values
        lead = len(values.shape) - len(shape)
        if lead > 0:  # as in NumPy, leading axes of length 1 may be left out
            values = unbroadcast(values, tuple(values.shape[lead:]))
        return broadcast_to(values, shape=shape)


def at(x: Any) -> At:
    """`x.at` of an array: `myad.at(x)[i].set(v)`, `.add(v)`, as functions that return a copy."""
    return At(x)


def dynamic_slice(x: Any, start_indices: Any, slice_sizes: Any) -> Any:
    """x[start : start + size, …] with starts that may be known at run time only.

    Args: start_indices: one integer per axis, from the end if negative. slice_sizes: known numbers.
    Raises: BoundsError, an IndexError, where the slice leaves `x`; nothing is clamped.
    """
    x = as_operand(x)
    return gather(x, *_grid("dynamic_slice", x, start_indices, slice_sizes))


def dynamic_update_slice(x: Any, update: Any, start_indices: Any) -> Any:
    """A copy of `x` with `update` at x[start : start + its length, …]; see `dynamic_slice`."""
    x, update = as_operand(x), as_operand(update)
    grid = _grid("dynamic_update_slice", x, start_indices, update.shape)
    return scatter_set(x, update, *grid)


def _grid(name: str, x: Any, starts: Any, sizes: Any) -> list[Any]:
    ndim = len(x.shape)
    if len(starts) != ndim or len(sizes) != ndim or not ndim:
        raise ShapeError(f"{name}: needs one start and one size per axis of {tuple(x.shape)}.")
    grid = []
    for axis, (given, size) in enumerate(zip(starts, sizes, strict=True)):
        start = as_operand(given)
        length = np.asarray(x.shape[axis], start.dtype)
        start = where(start < np.zeros((), start.dtype), start + length, start)
        steps = np.arange(size, dtype=start.dtype)
        shape = [size if a == axis else 1 for a in range(ndim)]
        grid.append(reshape(start + steps, shape=tuple(shape)))
    return grid
