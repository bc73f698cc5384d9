"""Transposing, joining, padding, and picking parts of an array."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from myad.core import Spec, describe, primitive, routine
from myad.errors import DTypeError, ShapeError
from myad.ops.specs import broadcast_shape, same_dtype


@primitive
def transpose(x, *, axes):
    """`x` with its axes in the order `axes`."""
    return x.transpose(axes)


@transpose.shape
def _(x, *, axes):
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"transpose: axes {axes} are no permutation of those of {x.shape}.")
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@transpose.gradient
def _(dz, z, x, *, axes):
    return (transpose(dz, axes=tuple(axes.index(i) for i in range(len(axes)))),)


@transpose.kernel
def _(k, x, *, axes):
    own = k.axes(*x.shape)
    return k.define([own[a] for a in axes], x[own])


@primitive
def concatenate(*arrays, axis):
    """The arrays one after the other along `axis`; their other axes must be equal."""
    return np.concatenate(arrays, axis=axis)


@concatenate.shape
def _(*arrays, axis):
    dtype = same_dtype("concatenate", *arrays)
    rest = {(*x.shape[:axis], *x.shape[axis + 1 :]) for x in arrays}
    if len(rest) > 1 or not 0 <= axis < len(arrays[0].shape):
        raise ShapeError(f"concatenate: axes other than {axis} must be equal.{describe(*arrays)}")
    shape = list(arrays[0].shape)
    shape[axis] = sum(x.shape[axis] for x in arrays)
    return Spec(tuple(shape), dtype)


@concatenate.gradient
def _(dz, z, *arrays, axis):
    edges = np.cumsum([0] + [x.shape[axis] for x in arrays]).tolist()
    return tuple(along(dz, axis, start, stop) for start, stop in pairwise(edges))


def along(x, axis, start, stop):
    """x[..., start:stop, ...] on `axis`."""
    starts = tuple(start if a == axis else 0 for a in range(len(x.shape)))
    stops = tuple(stop if a == axis else n for a, n in enumerate(x.shape))
    return strided_slice(x, starts=starts, stops=stops, steps=(1,) * len(x.shape))


@primitive
def strided_slice(x, *, starts, stops, steps):
    """x[starts[0]:stops[0]:steps[0], ...] on every axis.

    A step may be negative; its stop is −1 where the slice includes the first element.
    """
    return x[_slices(starts, stops, steps)]


@strided_slice.shape
def _(x, *, starts, stops, steps):
    if not len(starts) == len(stops) == len(steps) == len(x.shape):
        raise ShapeError(f"strided_slice: needs one slice per axis of {tuple(x.shape)}.")
    lengths = [len(range(*s)) for s in zip(starts, stops, steps, strict=True)]
    for n, s in zip(x.shape, zip(starts, stops, steps, strict=True), strict=True):
        if len(range(*s)) and not (0 <= s[0] < n and 0 <= range(*s)[-1] < n):
            raise ShapeError(f"strided_slice: slice {s} leaves an axis of length {n}.")
    return Spec(tuple(lengths), x.dtype)


@strided_slice.gradient
def _(dz, z, x, *, starts, stops, steps):
    return (strided_embed(dz, shape=x.shape, starts=starts, stops=stops, steps=steps),)


@strided_slice.kernel
def _(k, x, *, starts, stops, steps):
    axes = k.axes(*k.shape)
    return k.define(axes, x[tuple(a * t + s for a, s, t in zip(axes, starts, steps, strict=True))])


@primitive
def strided_embed(x, *, shape, starts, stops, steps):
    """Zeros of `shape` with `x` at the places that `strided_slice` reads: its adjoint."""
    z = np.zeros(shape, x.dtype)
    z[_slices(starts, stops, steps)] = x
    return z


@strided_embed.shape
def _(x, *, shape, starts, stops, steps):
    target = strided_slice.shape_rule(Spec(shape, x.dtype), starts=starts, stops=stops, steps=steps)
    if target.shape != tuple(x.shape):
        raise ShapeError(f"strided_embed: {tuple(x.shape)} does not fill {target.shape}.")
    return Spec(tuple(shape), x.dtype)


@strided_embed.gradient
def _(dz, z, x, *, shape, starts, stops, steps):
    return (strided_slice(dz, starts=starts, stops=stops, steps=steps),)


@strided_embed.kernel
def _(k, x, *, shape, starts, stops, steps):
    axes = k.axes(*x.shape)
    places = [a * t + s for a, s, t in zip(axes, starts, steps, strict=True)]
    return k.define(places, x[axes], fill=0.0)


@primitive
def pad(x, *, widths, value=0.0):
    """`x` with `widths[a] = (before, after)` elements of `value` added around each axis a."""
    z = np.full(_padded_shape(x, widths), value, x.dtype)
    z[tuple([slice(b, b + n) for (b, _), n in zip(widths, x.shape, strict=True)])] = x
    return z


@pad.shape
def _(x, *, widths, value):
    if len(widths) != len(x.shape) or any(w < 0 for pair in widths for w in pair):
        raise ShapeError(
            f"pad: needs one pair of widths >= 0 per axis of {tuple(x.shape)}, got {widths}."
        )
    return Spec(_padded_shape(x, widths), x.dtype)


@pad.gradient
def _(dz, z, x, *, widths, value):
    starts = tuple(before for before, _ in widths)
    stops = tuple(before + n for (before, _), n in zip(widths, x.shape, strict=True))
    return (strided_slice(dz, starts=starts, stops=stops, steps=(1,) * len(stops)),)


@pad.kernel
def _(k, x, *, widths, value):
    axes = k.axes(*x.shape)
    return k.define([a + b for a, (b, _) in zip(axes, widths, strict=True)], x[axes], fill=value)


def _padded_shape(x, widths):
    return tuple([b + n + a for (b, a), n in zip(widths, x.shape, strict=True)])


@primitive
def gather(x, *indices):
    """x[indices]: elements picked by arrays of integers, one per leading axis, broadcast together.

    Negative integers count from the end, as in NumPy.
    """
    return x[indices]


@gather.shape
def _(x, *indices):
    check_indices("gather", indices)
    if len(indices) > len(x.shape):
        raise ShapeError(f"gather: {len(indices)} indices for the shape {tuple(x.shape)}.")
    picked = broadcast_shape("gather", *indices)
    return Spec((*picked, *x.shape[len(indices) :]), x.dtype)


@gather.gradient
def _(dz, z, x, *indices):
    return (scatter_add(dz, *indices, shape=x.shape), *[None] * len(indices))


@primitive
def scatter_add(x, *indices, shape):
    """Zeros of `shape` to which the elements of `x` are added at `indices`: adjoint of `gather`."""
    z = np.zeros(shape, x.dtype)
    np.add.at(z, indices, x)
    return z


@scatter_add.shape
def _(x, *indices, shape):
    check_indices("scatter_add", indices)
    picked = gather.shape_rule(Spec(tuple(shape), x.dtype), *indices).shape
    if picked != tuple(x.shape):
        raise ShapeError(f"scatter_add: {tuple(x.shape)} given for places of shape {picked}.")
    return Spec(tuple(shape), x.dtype)


gather.kernel(routine)
scatter_add.kernel(routine)


@scatter_add.gradient
def _(dz, z, x, *indices, shape):
    return (gather(dz, *indices), *[None] * len(indices))


def check_indices(name, indices):
    """Raise DTypeError unless all indices are integers."""
    if any(i.dtype.kind not in "iu" for i in indices):
        raise DTypeError(f"{name}: indices must be integers.{describe(*indices)}")


def _slices(starts, stops, steps):
    # a negative stop can only mean "down to the first element included": None for NumPy
    return tuple(
        [
            slice(start, stop if stop >= 0 else None, step)
            for start, stop, step in zip(starts, stops, steps, strict=True)
        ]
    )
