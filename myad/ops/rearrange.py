"""Moving, repeating and joining elements, under NumPy's names."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import numpy as np

from myad.errors import OptionError, ShapeError
from myad.ops.index import along, gather, strided_slice, transpose
from myad.ops.reduce import broadcast_to
from myad.ops.shaping import joined, reshape, take
from myad.ops.specs import as_operand, normalize_axis


def squeeze(x: Any, axis: Any = None) -> Any:
    """`x` without its axes of length 1: all of them, or those in `axis`."""
    x = as_operand(x)
    axes = [a for a, n in enumerate(x.shape) if n == 1]
    if axis is not None:
        wanted = normalize_axis("squeeze", axis, len(x.shape))
        if not set(wanted) <= set(axes):
            raise ShapeError(f"squeeze: axis {axis} of {tuple(x.shape)} is not of length 1.")
        axes = list(wanted)
    return reshape(x, shape=tuple(n for a, n in enumerate(x.shape) if a not in axes))


def expand_dims(x: Any, axis: Any) -> Any:
    """`x` with new axes of length 1, which are `axis` (a number or several) of the result."""
    x = as_operand(x)
    count = 1 if isinstance(axis, int | np.integer) else len(axis)
    new = normalize_axis("expand_dims", axis, len(x.shape) + count)
    rest = iter(x.shape)
    shape = [1 if a in new else next(rest) for a in range(len(x.shape) + count)]
    return reshape(x, shape=tuple(shape))


def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """`x` with the axes `source` moved to `destination`; the others stay in order."""
    x = as_operand(x)
    ndim = len(x.shape)
    old, new = _in_order(source, ndim), _in_order(destination, ndim)
    if len(old) != len(new):
        raise ShapeError(f"moveaxis: {len(old)} axes to {len(new)} places.")
    order = [a for a in range(ndim) if a not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return transpose(x, axes=tuple(order))


def _in_order(axes: Any, ndim: int) -> list[int]:
    given = [axes] if isinstance(axes, int | np.integer) else list(axes)
    normalize_axis("moveaxis", tuple(given), ndim)
    return [int(a) % ndim for a in given]


def flip(x: Any, axis: Any = None) -> Any:
    """`x` with the order of its elements reversed along `axis`: all axes, one, or several."""
    x = as_operand(x)
    axes = normalize_axis("flip", axis, len(x.shape))
    turned = [a in axes and n > 0 for a, n in enumerate(x.shape)]
    return strided_slice(
        x,
        starts=tuple(n - 1 if t else 0 for t, n in zip(turned, x.shape, strict=True)),
        stops=tuple(-1 if t else n for t, n in zip(turned, x.shape, strict=True)),
        steps=tuple(-1 if t else 1 for t in turned),
    )


def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """`x` shifted along `axis`; what leaves at the end comes in at the start.

    Args: shift: a number, or one per axis. axis: None shifts all elements in a row.
    """
    x = as_operand(x)
    if axis is None:
        flat = reshape(x, shape=(math.prod(x.shape),))
        return reshape(roll(flat, shift, 0), shape=tuple(x.shape))
    shifts, axes = np.broadcast_arrays(np.atleast_1d(shift), np.atleast_1d(axis))
    for by, a in zip(shifts.tolist(), axes.tolist(), strict=True):
        (place,) = normalize_axis("roll", a, len(x.shape))
        length = x.shape[place]
        cut = by % length if length else 0
        if cut:
            ends = along(x, place, length - cut, length), along(x, place, 0, length - cut)
            x = joined(ends, place)
    return x


def repeat(x: Any, repeats: Any, axis: Any = None) -> Any:
    """Every element `repeats` times in a row along `axis`, or along all elements in a row.

    Args: repeats: a number, or one per element along the axis.
    """
    x = as_operand(x)
    if axis is None:
        x, axis = reshape(x, shape=(math.prod(x.shape),)), 0
    (axis,) = normalize_axis("repeat", axis, len(x.shape))
    counts = np.asarray(repeats)
    if counts.dtype.kind not in "iu" or counts.min(initial=0) < 0:
        raise OptionError(f"repeat: repeats must be numbers >= 0, not {repeats!r:.60}.")
    if counts.size != 1:
        if counts.shape != (x.shape[axis],):
            raise ShapeError(f"repeat: {counts.shape} repeats for an axis of {x.shape[axis]}.")
        return take(x, np.repeat(np.arange(x.shape[axis]), counts), axis)
    count = int(counts.reshape(()))
    before, after = x.shape[:axis], x.shape[axis + 1 :]
    one = reshape(x, shape=(*before, x.shape[axis], 1, *after))
    wide = broadcast_to(one, shape=(*before, x.shape[axis], count, *after))
    return reshape(wide, shape=(*before, x.shape[axis] * count, *after))


def tile(x: Any, reps: Any) -> Any:
    """`x` laid side by side `reps` times: a number, or one per axis, counted from the last."""
    x = as_operand(x)
    counts = [int(n) for n in np.atleast_1d(reps)]
    ndim = max(len(counts), len(x.shape))
    counts = [1] * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - len(x.shape)) + tuple(x.shape)
    paired = [m for pair in zip([1] * ndim, shape, strict=True) for m in pair]
    wide = [m for pair in zip(counts, shape, strict=True) for m in pair]
    z = broadcast_to(reshape(x, shape=tuple(paired)), shape=tuple(wide))
    return reshape(z, shape=tuple(c * n for c, n in zip(counts, shape, strict=True)))


def append(x: Any, values: Any, axis: Any = None) -> Any:
    """`values` behind `x` along `axis`; without one, the elements of both in a row."""
    both = [as_operand(x), as_operand(values)]
    if axis is None:
        both, axis = [reshape(v, shape=(math.prod(v.shape),)) for v in both], 0
    return joined(both, axis)


def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """`x` cut along `axis` into so many equal parts, or before each of the places given."""
    x = as_operand(x)
    (axis,) = normalize_axis("split", axis, len(x.shape))
    length = x.shape[axis]
    if isinstance(indices_or_sections, int | np.integer):
        count = int(indices_or_sections)
        if count < 1 or length % count:
            raise ShapeError(f"split: {length} elements cannot be cut into {count} equal parts.")
        edges = [length // count * n for n in range(count + 1)]
    else:
        edges = [0, *[slice(int(i)).indices(length)[1] for i in indices_or_sections], length]
    return [along(x, axis, start, max(start, stop)) for start, stop in pairwise(edges)]


def take_along_axis(x: Any, indices: Any, axis: Any = -1) -> Any:
    """z[…, i, …] = x[…, indices[…, i, …], …] along `axis`; other axes are broadcast.

    Args: indices: integers, with as many axes as `x`. axis: None takes of all elements in a row.
    Raises: ShapeError; IndexError for an index out of bounds.
    """
    x, indices = as_operand(x), as_operand(indices)
    if axis is None:
        x, axis = reshape(x, shape=(math.prod(x.shape),)), 0
    (axis,) = normalize_axis("take_along_axis", axis, len(x.shape))
    if len(indices.shape) != len(x.shape):
        raise ShapeError(
            f"take_along_axis: the indices {tuple(indices.shape)} need as many axes as"
            f" {tuple(x.shape)}."
        )
    ndim = len(x.shape)
    grid = [indices if a == axis else _counted(n, a, ndim) for a, n in enumerate(x.shape)]
    return gather(x, *grid)


def _counted(length: int, axis: int, ndim: int) -> np.ndarray:
    """0 … length − 1 along `axis` of `ndim`."""
    return np.arange(length).reshape([length if a == axis else 1 for a in range(ndim)])
