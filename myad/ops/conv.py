"""Convolution in two dimensions: one correlation and its two adjoints, closed under derivatives.

The three primitives are linear in each input and know no padding: "same" is the primitive `pad`
before the correlation. Gradients: Dumoulin & Visin 2016, arXiv:1603.07285, chapter 4.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from myad.core import Spec, composed, describe, primitive
from myad.errors import OptionError, ShapeError
from myad.ops.index import pad, strided_embed, strided_slice, transpose
from myad.ops.specs import as_operand, check_float, check_ndim, same_dtype
from myad.ops.windows import columns, narrow, views, wide_columns, widen


@primitive
def correlate2d(images, kernel, *, strides=(1, 1), dilation=(1, 1)):
    """Cross-correlate `images` with `kernel` (not flipped), without padding:
        z[n,i,j,f] = Σ_{u,v,c} images[n, i·s₀ + u·d₀, j·s₁ + v·d₁, c] · kernel[u,v,c,f]
    Args:
        images: (N, H, W, C), floating-point.
        kernel: (KH, KW, C, F), same dtype.
        strides, dilation: pairs of integers >= 1.
    Returns: (N, (H − (KH−1)·d₀ − 1) // s₀ + 1, likewise W', F).
    """
    n, h, w, c = images.shape
    kh, kw, _, f = kernel.shape
    rest = h - (kh - 1) * dilation[0] - 1, w - (kw - 1) * dilation[1] - 1
    if min(rest) < 0 or 0 in (kh, kw) or c != kernel.shape[2]:
        correlate2d.shape_rule(images, kernel, strides=strides, dilation=dilation)
    out = rest[0] // strides[0] + 1, rest[1] // strides[1] + 1
    if not images.size or not kernel.size:
        return np.zeros((n, *out, f), images.dtype)
    matrix = kernel.reshape(-1, f)
    if c == 1 and strides == (1, 1):
        wide = np.dot(wide_columns(images, (kh, kw), out, dilation).T, matrix)
        return np.ascontiguousarray(narrow(wide, n, out, w))
    rows = columns(images, (kh, kw), out, strides, dilation)
    return np.dot(rows, matrix).reshape(n, *out, f)


@correlate2d.shape
def _(images, kernel, *, strides, dilation):
    name = "conv2d"
    check_ndim(name, "N H W C", images)
    check_ndim(name, "KH KW C F", kernel)
    check_float(name, images, kernel)
    dtype = same_dtype(name, images, kernel)
    n, h, w, c = images.shape
    kh, kw, kc, f = kernel.shape
    if c != kc:
        raise ShapeError(
            f"{name}: kernel expects {kc} input channels, images have {c}."
            f"\n  images {tuple(images.shape)}  N H W C"
            f"\n  kernel {tuple(kernel.shape)}  KH KW C F     C must be equal in both."
        )
    reach = ((kh - 1) * dilation[0] + 1, (kw - 1) * dilation[1] + 1)
    if 0 in (kh, kw):
        raise ShapeError(f"{name}: a kernel needs at least one pixel.{describe(images, kernel)}")
    if reach[0] > h or reach[1] > w:
        raise ShapeError(
            f"{name}: a kernel that reaches over {reach[0]}×{reach[1]} pixels does not fit images"
            f' of {h}×{w}; use a smaller kernel or padding="same".'
            f"\n  images {tuple(images.shape)}  N H W C"
            f"\n  kernel {tuple(kernel.shape)}  KH KW C F     dilation {tuple(dilation)}"
        )
    out = (h - reach[0]) // strides[0] + 1, (w - reach[1]) // strides[1] + 1
    return Spec((n, *out, f), dtype)


@correlate2d.gradient
def _(dz, z, images, kernel, *, strides, dilation):
    steps = {"strides": strides, "dilation": dilation}
    return (
        lambda: correlate2d_input_gradient(dz, kernel, size=images.shape[1:3], **steps),
        lambda: correlate2d_kernel_gradient(images, dz, size=kernel.shape[:2], **steps),
    )


@correlate2d.kernel
def _(k, images, kernel, *, strides, dilation):
    n, i, j, f = k.axes(*k.shape)
    u, v, c = k.axes(*kernel.shape[:3])
    pixel = images[n, i * strides[0] + u * dilation[0], j * strides[1] + v * dilation[1], c]
    return k.define([n, i, j, f], pixel * kernel[u, v, c, f])


@primitive
def correlate2d_input_gradient(dz, kernel, *, size, strides=(1, 1), dilation=(1, 1)):
    """Adjoint of `correlate2d` in its images, which were size = (H, W):
    dx[n, i·s₀ + u·d₀, j·s₁ + v·d₁, c] += dz[n,i,j,f] · kernel[u,v,c,f] for all n, i, j, u, v, f.
    """
    n, oh, ow, f = dz.shape
    kh, kw, c, _ = kernel.shape
    if not dz.size or not kernel.size:
        return np.zeros((n, *size, c), dz.dtype)
    if strides == (1, 1):
        return _wide_input_gradient(dz, kernel, size, dilation)
    parts = np.dot(dz.reshape(-1, f), kernel.reshape(-1, f).T).reshape(n, oh, ow, kh, kw, c)
    dx = np.zeros((n, *size, c), dz.dtype)
    for u, v, window in views(dx, (kh, kw), (oh, ow), strides, dilation):
        window += parts[:, :, :, u, v]
    return dx


def _wide_input_gradient(dz, kernel, size, dilation):
    # One row per channel: each kernel element adds a whole row, shifted by its offset. Measured on
    # LeNet's second layer: 0.5 ms, where adding to (N, H, W, C) takes 1.2 ms.
    n, (h, w) = dz.shape[0], size
    kh, kw, c, f = kernel.shape
    wide = widen(dz, w).T
    length = (dz.shape[1] - 1) * w + dz.shape[2]
    dx = np.zeros((c, n, h * w), dz.dtype)
    for u in range(kh):
        parts = np.dot(kernel[u].reshape(-1, f), wide).reshape(kw, c, n, length)
        for v in range(kw):
            offset = u * dilation[0] * w + v * dilation[1]
            target = dx[:, :, offset : offset + length]
            np.add(target, parts[v], out=target)
    return np.ascontiguousarray(dx.reshape(c, -1).T).reshape(n, h, w, c)


@correlate2d_input_gradient.shape
def _(dz, kernel, *, size, strides, dilation):
    images = Spec((dz.shape[0], *size, kernel.shape[2]), dz.dtype)
    _check_adjoint(dz, correlate2d.shape_rule(images, kernel, strides=strides, dilation=dilation))
    return images


@correlate2d_input_gradient.gradient
def _(dx, z, dz, kernel, *, size, strides, dilation):
    steps = {"strides": strides, "dilation": dilation}
    return (
        lambda: correlate2d(dx, kernel, **steps),
        lambda: correlate2d_kernel_gradient(dx, dz, size=kernel.shape[:2], **steps),
    )


@correlate2d_input_gradient.kernel
@composed
def _(dz, kernel, *, size, strides, dilation):
    # Each pixel gathers what it gave: dz, spread by the strides and surrounded by zeros,
    # correlated with the kernel turned by 180 degrees and its channels exchanged.
    if strides != (1, 1) and dilation == (1, 1):
        return _by_phases(dz, kernel, size, strides)
    kh, kw, _, f = kernel.shape
    top, left = (kh - 1) * dilation[0], (kw - 1) * dilation[1]
    n, oh, ow, _ = dz.shape
    around = strided_embed(
        dz,
        shape=(n, size[0] + top, size[1] + left, f),
        starts=(0, top, left, 0),
        stops=(n, top + (oh - 1) * strides[0] + 1, left + (ow - 1) * strides[1] + 1, f),
        steps=(1, *strides, 1),
    )
    turned = strided_slice(
        transpose(kernel, axes=(0, 1, 3, 2)),
        starts=(kh - 1, kw - 1, 0, 0),
        stops=(-1, -1, f, kernel.shape[2]),
        steps=(-1, -1, 1, 1),
    )
    return correlate2d(around, turned, strides=(1, 1), dilation=dilation)


def _by_phases(dz, kernel, size, strides):
    """The input gradient without the zeros between the pixels that strides spread.

    Pixels whose places leave the same rest when divided by the strides are reached by the same
    elements of the kernel, and by these as if by a convolution without strides.
    """
    pixels = tuple(-(-n // s) for n, s in zip(size, strides, strict=True))
    parts = []
    for p in range(strides[0]):
        for q in range(strides[1]):
            some = strided_slice(
                kernel, starts=(p, q, 0, 0), stops=kernel.shape, steps=(*strides, 1, 1)
            )
            if 0 in some.shape:
                parts.append(np.zeros((dz.shape[0], *pixels, kernel.shape[2]), dz.dtype))
            else:
                reach = tuple(o + k - 1 for o, k in zip(dz.shape[1:3], some.shape, strict=False))
                part = correlate2d_input_gradient(dz, some, size=reach)
                more = tuple((0, n - r) for n, r in zip(pixels, reach, strict=True))
                widths = ((0, 0), *more, (0, 0))
                parts.append(pad(part, widths=widths, value=0.0) if reach != pixels else part)
    whole = interleave2d(*parts, steps=strides)
    stops = (dz.shape[0], *size, kernel.shape[2])
    return strided_slice(whole, starts=(0, 0, 0, 0), stops=stops, steps=(1, 1, 1, 1))


@primitive
def interleave2d(*parts, steps):
    """Images put together from every s₀-th row and s₁-th column:
    z[n, s₀·i + p, s₁·j + q, c] = parts[s₁·p + q][n,i,j,c], each of (N, H, W, C).
    """
    n, h, w, c = parts[0].shape
    z = np.empty((n, h * steps[0], w * steps[1], c), parts[0].dtype)
    for number, part in enumerate(parts):
        p, q = divmod(number, steps[1])
        z[:, p :: steps[0], q :: steps[1]] = part
    return z


@interleave2d.shape
def _(*parts, steps):
    n, h, w, c = parts[0].shape
    return Spec((n, h * steps[0], w * steps[1], c), parts[0].dtype)


@interleave2d.gradient
def _(dz, z, *parts, steps):
    n, h, w, c = dz.shape
    places = [divmod(number, steps[1]) for number in range(len(parts))]
    return tuple(
        strided_slice(dz, starts=(0, p, q, 0), stops=(n, h, w, c), steps=(1, *steps, 1))
        for p, q in places
    )


@interleave2d.kernel
def _(k, *parts, steps):
    n, i, j, c = k.axes(*parts[0].shape)
    p, q = k.axes(*steps)
    here = k.choose(p * steps[1] + q, [part[n, i, j, c] for part in parts])
    place = [n, i * steps[0] + p, j * steps[1] + q, c]
    return k.define(place, here, domain=[n, i, p, j, q, c])


@primitive
def correlate2d_kernel_gradient(images, dz, *, size, strides=(1, 1), dilation=(1, 1)):
    """Adjoint of `correlate2d` in its kernel, which was size = (KH, KW):
    dk[u,v,c,f] = Σ_{n,i,j} images[n, i·s₀ + u·d₀, j·s₁ + v·d₁, c] · dz[n,i,j,f].
    """
    c, f = images.shape[3], dz.shape[3]
    if not images.size or not dz.size:
        return np.zeros((*size, c, f), dz.dtype)
    if c == 1 and strides == (1, 1):
        rows = wide_columns(images, size, dz.shape[1:3], dilation)
        dk = np.dot(rows, widen(dz, images.shape[2]))
    else:
        rows = columns(images, size, dz.shape[1:3], strides, dilation)
        dk = np.dot(rows.T, dz.reshape(-1, f))
    return dk.reshape(*size, c, f)


@correlate2d_kernel_gradient.shape
def _(images, dz, *, size, strides, dilation):
    kernel = Spec((*size, images.shape[3], dz.shape[3]), dz.dtype)
    _check_adjoint(dz, correlate2d.shape_rule(images, kernel, strides=strides, dilation=dilation))
    return kernel


@correlate2d_kernel_gradient.gradient
def _(dk, z, images, dz, *, size, strides, dilation):
    steps = {"strides": strides, "dilation": dilation}
    return (
        lambda: correlate2d_input_gradient(dz, dk, size=images.shape[1:3], **steps),
        lambda: correlate2d(images, dk, **steps),
    )


@correlate2d_kernel_gradient.kernel
def _(k, images, dz, *, size, strides, dilation):
    n, i, j, f = k.axes(*dz.shape)
    u, v, c = k.axes(*k.shape[:3])
    pixel = images[n, i * strides[0] + u * dilation[0], j * strides[1] + v * dilation[1], c]
    return k.define([u, v, c, f], pixel * dz[n, i, j, f], domain=[n, i, j, u, v, c, f])


def _check_adjoint(dz: Any, expected: Spec) -> None:
    if tuple(dz.shape) != expected.shape or dz.dtype != expected.dtype:
        raise ShapeError(f"conv2d: upstream gradient {tuple(dz.shape)}, output {expected.shape}.")


def conv2d(
    images: Any, kernel: Any, *, strides: Any = 1, padding: str = "valid", dilation: Any = 1
) -> Any:
    """Cross-correlate `images` with `kernel` (the kernel is not flipped):
        out[n,i,j,f] = Σ_{u,v,c} padded[n, i·s₀ + u·d₀, j·s₁ + v·d₁, c] · kernel[u,v,c,f]
    Args:
        images: (N, H, W, C), float32 or float64.
        kernel: (KH, KW, C, F), same dtype.
        strides: step along H and W in pixels, a number or a pair.
        padding: "same" (zeros, out H = ceil(H/s), odd zero goes last) or "valid".
        dilation: distance of neighbouring kernel elements in pixels, a number or a pair.
    Returns: (N, H', W', F), dtype of `images`.
    Raises: ShapeError if the C differ or the kernel exceeds the padded image.
    Source: padding as Keras Conv2D.
    """
    strides, dilation = pair("strides", strides), pair("dilation", dilation)
    images, kernel = as_operand(images), as_operand(kernel)
    check_ndim("conv2d", "N H W C", images)
    check_ndim("conv2d", "KH KW C F", kernel)
    check_float("conv2d", images, kernel)
    if padding != "valid":
        reach = [(k - 1) * d + 1 for k, d in zip(kernel.shape[:2], dilation, strict=True)]
        images = pad_windows(images, reach, strides, padding, 0.0)
    return correlate2d(images, kernel, strides=strides, dilation=dilation)


def pair(name: str, value: Any) -> tuple[int, int]:
    """A number or a pair of numbers >= 1 as a pair. Raises OptionError."""
    return _pair(name, tuple(value) if isinstance(value, list) else value)


@lru_cache
def _pair(name: str, value: Any) -> tuple[int, int]:
    values = (value, value) if isinstance(value, int | np.integer) else tuple(value)
    if len(values) != 2 or any(not isinstance(v, int | np.integer) or v < 1 for v in values):
        raise OptionError(f"{name}: must be an integer >= 1 or a pair of them, not {value!r}.")
    return int(values[0]), int(values[1])


def pad_windows(images: Any, reach: Any, strides: Any, padding: str, value: float) -> Any:
    """`images` padded for windows that reach over `reach` pixels; nothing is added for "valid"."""
    if padding == "valid":
        return images
    if padding != "same":
        raise OptionError(f'padding: must be "valid" or "same", not {padding!r}.')
    widths = same_widths(images.shape[1:3], reach, strides)
    return (
        pad(images, widths=((0, 0), *widths, (0, 0)), value=value)
        if any(w for sides in widths for w in sides)
        else images
    )


def same_widths(size: Any, reach: Any, strides: Any) -> tuple[tuple[int, int], ...]:
    """Pixels before and after each axis, so that the output has ceil(size/stride) of them."""
    widths = []
    for n, r, s in zip(size, reach, strides, strict=True):
        total = max((-(-n // s) - 1) * s + r - n, 0)
        widths.append((total // 2, total - total // 2))
    return tuple(widths)
