"""Reshaping; and moving and picking elements as users call it: negative axes, slices, arrays."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.constants import as_weak
from myad.core import AbstractValue, Spec, Tensor, primitive
from myad.errors import BoundsError, DTypeError, ShapeError, TraceError
from myad.ops.index import concatenate, gather, pad, strided_slice, transpose
from myad.ops.specs import as_operand, normalize_axis


@primitive
def reshape(x, *, shape):
    """The same elements, in row-major order, in another shape (complete, without -1)."""
    return x.reshape(shape)


@reshape.shape
def _(x, *, shape):
    if math.prod(x.shape) != math.prod(shape):
        raise ShapeError(
            f"reshape: {tuple(x.shape)} holds {math.prod(x.shape)} elements,"
            f" {tuple(shape)} would hold {math.prod(shape)}."
        )
    return Spec(tuple(shape), x.dtype)


@reshape.gradient
def _(dz, z, x, *, shape):
    return (reshape(dz, shape=x.shape),)


@reshape.kernel
def _(k, x, *, shape):
    return k.reshape(x)


def getitem(x: Any, index: Any) -> Any:
    """x[index] for integers, slices, `...`, None, and arrays of integers or booleans.

    Arrays that stand on the leading axes alone are one `gather`; otherwise their axes are moved to
    the front, and the result's to where NumPy has them.
    """
    arrays = index_arrays(x, index)
    if arrays is not None:
        return gather(x, *arrays)
    parts = _parts(index)
    if any(map(_is_array, parts)):
        return _mixed(x, parts)
    shape, place = basic_index(tuple(x.shape), index)
    z = strided_slice(x, **place)
    return z if z.shape == shape else reshape(z, shape=shape)


def _parts(index: Any) -> tuple[Any, ...]:
    """The index as a tuple, tensors as their arrays where these are known."""
    index = index if isinstance(index, tuple) else (index,)
    known = [type(i) is Tensor and not isinstance(i.value, AbstractValue) for i in index]
    return tuple([i.value if k else i for i, k in zip(index, known, strict=True)])


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray | list | Tensor)


def index_arrays(x: Any, index: Any) -> list[Any] | None:
    """The indices of `gather`, if `index` is made of arrays alone."""
    parts = _parts(index)
    if not parts or not all(map(_is_array, parts)):
        return None
    return _integer_arrays([_index_array(i) for i in parts], tuple(x.shape))


def _mixed(x: Any, parts: tuple[Any, ...]) -> Any:
    """Arrays and numbers on some axes, slices and new axes on the others."""
    if any(_is_array(i) and np.dtype(getattr(i, "dtype", int)).kind == "b" for i in parts):
        raise ShapeError("indexing: a mask cannot be mixed with slices or numbers; index twice.")
    parts = _without_dots(parts, len(x.shape))
    advanced = [n for n, i in enumerate(parts) if i is not None and not isinstance(i, slice)]
    basic = tuple([slice(None) if n in advanced else i for n, i in enumerate(parts)])
    shape, place = basic_index(tuple(x.shape), basic)
    y = reshape(strided_slice(x, **place), shape=shape)
    rest = [n for n in range(len(shape)) if n not in advanced]
    indices = [_index_array(parts[n]) for n in advanced]
    picked = gather(transpose(y, axes=(*advanced, *rest)), *indices)
    lead = len(picked.shape) - len(rest)
    together = advanced[-1] - advanced[0] == len(advanced) - 1
    before = sum(n < advanced[0] for n in rest) if together else 0
    order = (*range(lead, lead + before), *range(lead), *range(lead + before, len(picked.shape)))
    return transpose(picked, axes=order)


def _index_array(index: Any) -> Any:
    array = as_operand(index)
    # NumPy makes floats of an empty list, and takes it for an index all the same
    return array.astype(np.intp) if isinstance(index, list) and array.size == 0 else array


def _integer_arrays(arrays: list[Any], shape: tuple[int, ...]) -> list[Any]:
    found: list[Any] = []
    for a in arrays:
        if a.dtype != bool:
            found.append(a)
            continue
        covered = tuple(shape[len(found) : len(found) + len(a.shape)])
        if tuple(a.shape) != covered or not a.shape:
            raise ShapeError(f"indexing: a mask {tuple(a.shape)} for axes of lengths {covered}.")
        if type(a) is Tensor:
            raise TraceError(
                "indexing: how many elements a mask picks is not known while tracing; use where()."
            )
        found += np.nonzero(a)
    return found


def _without_dots(index: tuple[Any, ...], ndim: int) -> tuple[Any, ...]:
    """`index` with as many full slices as there are axes left."""
    used = sum(i is not None and i is not Ellipsis for i in index)
    if used > ndim or sum(i is Ellipsis for i in index) > 1:
        raise ShapeError(f"indexing: {index} does not fit the {ndim} axes of the array.")
    fill = [slice(None)] * (ndim - used)
    at = next((n for n, i in enumerate(index) if i is Ellipsis), len(index))
    return (*index[:at], *fill, *index[at + 1 :])


def basic_index(given: tuple[int, ...], index: Any) -> tuple[tuple[int, ...], dict[str, Any]]:
    """Shape of x[index], for x of shape `given`, and the parameters of `strided_slice`."""
    index = index if isinstance(index, tuple) else (index,)
    if any(map(_is_array, index)):
        raise ShapeError("indexing: arrays of integers cannot be mixed with slices here.")
    ranges: list[range] = []
    shape: list[int] = []
    for i in _without_dots(index, len(given)):
        if i is None:
            shape.append(1)
            continue
        picked = _range(i, given[len(ranges)])
        ranges.append(picked)
        if isinstance(i, slice):
            shape.append(len(picked))
    return tuple(shape), {
        "starts": tuple(r.start for r in ranges),
        "stops": tuple(r.stop for r in ranges),
        "steps": tuple(r.step for r in ranges),
    }


def _range(i: Any, length: int) -> range:
    if isinstance(i, slice):
        picked = range(*i.indices(length))
        # an empty slice is written 0:0, so that only full ones have a stop of −1
        return picked if len(picked) else range(0, 0, 1)
    if not isinstance(i, int | np.integer) or isinstance(i, bool):
        raise ShapeError(f"indexing: {i!r} is no integer, slice, array, `...` or None.")
    if not -length <= i < length:
        raise BoundsError(f"indexing: {i} is out of range for an axis of length {length}.")
    return range(int(i) % length, int(i) % length + 1, 1)


def take(x: Any, indices: Any, axis: int = 0) -> Any:
    """Slices of `x` at the integers `indices` along `axis`: x[..., indices, ...]."""
    x, indices = as_operand(x), _index_array(indices)
    (axis,) = normalize_axis("take", axis, len(x.shape))
    front = (axis, *[a for a in range(len(x.shape)) if a != axis])
    picked = gather(transpose(x, axes=front), indices)
    lead = len(indices.shape)
    order = (
        *range(lead, lead + axis),
        *range(lead),
        *range(lead + axis, len(picked.shape)),
    )
    return transpose(picked, axes=order)


def permute(x: Any, axes: Any = None) -> Any:
    """`x` with its axes in the order `axes`; by default reversed."""
    x = as_operand(x)
    ndim = len(x.shape)
    order = tuple(reversed(range(ndim))) if axes is None else tuple(int(a) for a in axes)
    return transpose(x, axes=tuple(a + ndim if a < 0 else a for a in order))


def reshaped(x: Any, *shape: Any) -> Any:
    """`x` in another shape, in which one length may be -1: what is left over."""
    x = as_operand(x)
    lengths = [int(n) for n in (shape[0] if len(shape) == 1 and np.ndim(shape[0]) else shape)]
    if lengths.count(-1) == 1:
        known = math.prod(n for n in lengths if n != -1)
        if known == 0 or math.prod(x.shape) % known:
            raise ShapeError(f"reshape: {tuple(x.shape)} cannot be divided into {tuple(lengths)}.")
        lengths[lengths.index(-1)] = math.prod(x.shape) // known
    if min(lengths, default=0) < 0:
        raise ShapeError(f"reshape: lengths must be >= 0, and one may be -1: {tuple(lengths)}.")
    return reshape(x, shape=tuple(lengths))


def padded(x: Any, widths: Any, value: float = 0.0) -> Any:
    """`x` with `value` added around it; `widths` is one (before, after) pair per axis."""
    x = as_operand(x)
    return pad(x, widths=tuple((int(b), int(a)) for b, a in widths), value=_fill(value, x.dtype))


def _fill(value: float, dtype: np.dtype) -> float:
    if dtype.kind == "f":
        return float(value)
    if not float(value).is_integer() or (dtype.kind == "b" and value not in (0, 1)):
        raise DTypeError(f"pad: {value} is no {dtype}, and nothing is cast silently; use astype().")
    return int(as_weak(int(value), dtype))


def joined(arrays: Any, axis: int = 0) -> Any:
    """The arrays one after the other along `axis`, which exists already."""
    arrays = [as_operand(x) for x in arrays]
    (axis,) = normalize_axis("concatenate", axis, len(arrays[0].shape) if arrays else 0)
    return concatenate(*arrays, axis=axis)


def stack(arrays: Any, axis: int = 0) -> Any:
    """The arrays one after the other along the new axis `axis`."""
    arrays = [as_operand(x) for x in arrays]
    if not arrays:
        raise ShapeError("stack: needs at least one array.")
    (axis,) = normalize_axis("stack", axis, len(arrays[0].shape) + 1)
    return joined([reshape(x, shape=(*x.shape[:axis], 1, *x.shape[axis:])) for x in arrays], axis)
