"""Pooling in two dimensions: maxima and sums over windows, with their adjoints.

As in `conv`, the primitives know no padding; "same" pads first, with −∞ for maxima.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from myad.core import Spec, primitive
from myad.errors import ShapeError
from myad.ops.conv import pad_windows, pair
from myad.ops.specs import as_operand, check_float, check_ndim
from myad.ops.windows import join_tiles, split_tiles, views


@primitive
def max_pool2d(x, *, pool_size, strides):
    """Largest pixel of each window, without padding: (N, H, W, C) → (N, H', W', C).

    Of equal maxima, the first in row-major order gets the gradient (as TensorFlow and PyTorch), of
    a window with NaN its first pixel.
    """
    (kh, kw), (sh, sw) = pool_size, strides
    oh, ow = _outputs(x, pool_size, strides)
    # first down, then across: kh + kw passes instead of kh·kw, the first ones over whole rows
    rows = [x[:, u : u + (oh - 1) * sh + 1 : sh] for u in range(kh)]
    tall = _largest(rows)
    return _largest([tall[:, :, v : v + (ow - 1) * sw + 1 : sw] for v in range(kw)])


def _largest(parts):
    if len(parts) == 1:
        return parts[0].copy()
    z = np.maximum(parts[0], parts[1])
    for part in parts[2:]:
        np.maximum(z, part, out=z)
    return z


def _outputs(x, pool_size, strides):
    h, w = x.shape[1:3]
    if len(x.shape) != 4 or h < pool_size[0] or w < pool_size[1]:
        _pool_spec(x, pool_size=pool_size, strides=strides)
    return (h - pool_size[0]) // strides[0] + 1, (w - pool_size[1]) // strides[1] + 1


@primitive
def sum_pool2d(x, *, pool_size, strides):
    """Sum over each window, without padding: (N, H, W, C) → (N, H', W', C)."""
    out = _outputs(x, pool_size, strides)
    z = np.zeros((x.shape[0], *out, x.shape[3]), x.dtype)
    for _, _, window in views(x, pool_size, out, strides):
        z += window
    return z


def _pool_spec(x, *, pool_size, strides):
    check_ndim("pooling", "N H W C", x)
    check_float("pooling", x)
    n, h, w, c = x.shape
    if pool_size[0] > h or pool_size[1] > w:
        raise ShapeError(
            f"pooling: a window of {pool_size[0]}×{pool_size[1]} does not fit images of {h}×{w};"
            f' use a smaller one or padding="same".'
        )
    out = (h - pool_size[0]) // strides[0] + 1, (w - pool_size[1]) // strides[1] + 1
    return Spec((n, *out, c), x.dtype)


max_pool2d.shape(_pool_spec)
sum_pool2d.shape(_pool_spec)


@max_pool2d.gradient
def _(dz, z, x, *, pool_size, strides):
    return (max_pool2d_gradient(dz, z, x, pool_size=pool_size, strides=strides),)


@max_pool2d.kernel
def _(k, x, *, pool_size, strides):
    (n, i, j, c), (a, b) = k.axes(*k.shape), k.axes(*pool_size)
    pixel = x[n, i * strides[0] + a, j * strides[1] + b, c]
    return k.define([n, i, j, c], pixel, combine="max", domain=[n, i, j, c, a, b])


@primitive
def max_pool2d_gradient(dz, z, x, *, pool_size, strides):
    """Adjoint of `max_pool2d`: each dz is added where the first maximum of its window was."""
    if not dz.size:
        return np.zeros(x.shape, dz.dtype)
    out = dz.shape[1:3]
    rest = dz.flatten()  # what the first maximum got, later ones do not get
    if pool_size == strides:
        pixels, top = split_tiles(x, pool_size, out), z.reshape(-1)
        tiles = np.empty(pixels.shape, dz.dtype)
        for pixel, tile in zip(pixels[:-1], tiles[:-1], strict=True):
            _hand_out(rest, pixel, top, tile)
        tiles[-1] = rest
        return join_tiles(tiles, pool_size, out, x.shape)
    dx = np.zeros(x.shape, dz.dtype)
    rest = rest.reshape(dz.shape)
    share = np.empty_like(rest)
    sources, targets = views(x, pool_size, out, strides), views(dx, pool_size, out, strides)
    for (_, _, pixel), (_, _, target) in zip(sources, targets, strict=True):
        _hand_out(rest, pixel, z, share)
        target += share
    return dx


def _hand_out(rest, pixel, top, share):
    """Move from `rest` to `share` what belongs to pixels that are the maximum.

    "Not below the maximum" is true of NaN, too. Bits are multiplied with 1 or 0, not numbers: an
    infinite gradient would make NaN of the product with 0, and of the difference from itself.
    """
    below = np.less(pixel, top)
    bits = np.dtype(f"i{rest.itemsize}")
    left = np.multiply(rest.view(bits), below)
    np.subtract(rest.view(bits), left, out=share.view(bits))
    rest.view(bits)[...] = left


@max_pool2d_gradient.shape
def _(dz, z, x, *, pool_size, strides):
    return Spec(tuple(x.shape), x.dtype)


@max_pool2d_gradient.gradient
def _(d, dx, dz, z, x, *, pool_size, strides):
    # linear in dz; which pixel is the maximum does not change with small changes of x
    return max_pool2d_pick(d, z, x, pool_size=pool_size, strides=strides), None, None


@max_pool2d_gradient.kernel
def _(k, dz, z, x, *, pool_size, strides):
    (n, i, j, c), (a, b) = k.axes(*dz.shape), k.axes(*pool_size)
    first = _first_maximum(k, x, z, (n, i, j, c), (a, b), pool_size, strides)
    share = k.apply("select", first, dz[n, i, j, c], k.const(0))
    return k.scatter_add([n, i * strides[0] + a, j * strides[1] + b, c], share)


@primitive
def max_pool2d_pick(t, z, x, *, pool_size, strides):
    """Of `t`, shaped like x, the element at the first maximum of each window of x."""
    picked = np.zeros(z.shape, t.dtype)
    free = np.ones(z.shape, bool)
    pixels = views(x, pool_size, z.shape[1:3], strides)
    sources = views(t, pool_size, z.shape[1:3], strides)
    for (_, _, pixel), (_, _, source) in zip(pixels, sources, strict=True):
        first = free & ~np.less(pixel, z)
        np.copyto(picked, source, where=first)
        free &= ~first
    return picked


@max_pool2d_pick.shape
def _(t, z, x, *, pool_size, strides):
    return Spec(tuple(z.shape), t.dtype)


@max_pool2d_pick.gradient
def _(d, picked, t, z, x, *, pool_size, strides):
    return max_pool2d_gradient(d, z, x, pool_size=pool_size, strides=strides), None, None


@max_pool2d_pick.kernel
def _(k, t, z, x, *, pool_size, strides):
    (n, i, j, c), (a, b) = k.axes(*k.shape), k.axes(*pool_size)
    first = _first_maximum(k, x, z, (n, i, j, c), (a, b), pool_size, strides)
    pixel = t[n, i * strides[0] + a, j * strides[1] + b, c]
    picked = k.apply("select", first, pixel, k.const(0))
    return k.define([n, i, j, c], picked, combine="add", domain=[n, i, j, c, a, b])


def _first_maximum(k, x, z, place, window, pool_size, strides):
    """Whether pixel (a, b) is the first of its window that is not below the maximum.

    As `_hand_out` says it: with NaN in a window nothing is below, and the first pixel is taken.
    """
    (n, i, j, c), (a, b) = place, window
    top = z[n, i, j, c]
    options, earlier = [], None  # all pixels before this one are below
    for u in range(pool_size[0]):
        for v in range(pool_size[1]):
            below = k.apply("lt", x[n, i * strides[0] + u, j * strides[1] + v, c], top)
            here = k.apply("not", below)
            options.append(here if earlier is None else k.apply("and", earlier, here))
            earlier = below if earlier is None else k.apply("and", earlier, below)
    return k.choose(a * pool_size[1] + b, options)


@sum_pool2d.gradient
def _(dz, z, x, *, pool_size, strides):
    size = x.shape[1:3]
    return (sum_pool2d_gradient(dz, size=size, pool_size=pool_size, strides=strides),)


@sum_pool2d.kernel
def _(k, x, *, pool_size, strides):
    (n, i, j, c), (a, b) = k.axes(*k.shape), k.axes(*pool_size)
    pixel = x[n, i * strides[0] + a, j * strides[1] + b, c]
    return k.define([n, i, j, c], pixel, combine="add", domain=[n, i, j, c, a, b])


@primitive
def sum_pool2d_gradient(dz, *, size, pool_size, strides):
    """Adjoint of `sum_pool2d` of images of size = (H, W): every pixel of a window gets its dz."""
    n, oh, ow, c = dz.shape
    dx = np.zeros((n, *size, c), dz.dtype)
    for _, _, window in views(dx, pool_size, (oh, ow), strides):
        window += dz
    return dx


@sum_pool2d_gradient.shape
def _(dz, *, size, pool_size, strides):
    return Spec((dz.shape[0], *size, dz.shape[3]), dz.dtype)


@sum_pool2d_gradient.gradient
def _(d, dx, dz, *, size, pool_size, strides):
    return (sum_pool2d(d, pool_size=pool_size, strides=strides),)


@sum_pool2d_gradient.kernel
def _(k, dz, *, size, pool_size, strides):
    (n, i, j, c), (a, b) = k.axes(*dz.shape), k.axes(*pool_size)
    place = [n, i * strides[0] + a, j * strides[1] + b, c]
    return k.scatter_add(place, dz[n, i, j, c], domain=[n, i, j, c, a, b])


def max_pooling2d(
    images: Any, pool_size: Any = 2, strides: Any = None, padding: str = "valid"
) -> Any:
    """Largest pixel of each window: (N, H, W, C) → (N, H', W', C).

    Args:
        images: floating-point.
        pool_size: window along H and W, a number or a pair.
        strides: step, a number or a pair; by default `pool_size`.
        padding: "valid", or "same" (outside counts as −∞).
    Raises: ShapeError if a window exceeds the image.
    """
    pool_size, strides = _pool_options(pool_size, strides)
    images = as_operand(images)
    check_ndim("pooling", "N H W C", images)
    check_float("pooling", images)
    images = pad_windows(images, pool_size, strides, padding, -math.inf)
    return max_pool2d(images, pool_size=pool_size, strides=strides)


def average_pooling2d(
    images: Any, pool_size: Any = 2, strides: Any = None, padding: str = "valid"
) -> Any:
    """Mean over the pixels of each window; with "same", over those inside the image only.

    Arguments and errors as `max_pooling2d`.
    """
    pool_size, strides = _pool_options(pool_size, strides)
    images = as_operand(images)
    check_ndim("pooling", "N H W C", images)
    check_float("pooling", images)
    total = sum_pool2d(
        pad_windows(images, pool_size, strides, padding, 0.0), pool_size=pool_size, strides=strides
    )
    inside = np.ones((1, *images.shape[1:3], 1), images.dtype)
    pixels = sum_pool2d(
        pad_windows(inside, pool_size, strides, padding, 0.0), pool_size=pool_size, strides=strides
    )
    return total * (1 / pixels)


def _pool_options(pool_size: Any, strides: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    size = pair("pool_size", pool_size)
    return size, size if strides is None else pair("strides", strides)
