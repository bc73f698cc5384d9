"""Convolution, pooling and einsum on every element type and odd shapes: NumPy's value, or refused.

Value and gradients are held against eager code, the value against loops written in NumPy as well.
"""

import itertools
import re

import numpy as np
import pytest

import myad
from myad.compile.dtypes import NAMES
from myad.errors import MyadError
from myad.ops.conv import same_widths

FLOATING = ("float32", "float64")
SHAPES = {  # images N H W C, kernel KH KW C F
    "small": ((2, 7, 6, 2), (3, 2, 2, 3)),
    "many filters": ((1, 5, 5, 1), (3, 2, 1, 17)),
    "one pixel": ((1, 3, 2, 1), (3, 2, 1, 1)),
    "no images": ((0, 7, 6, 2), (3, 2, 2, 3)),
    "no channels": ((2, 7, 6, 0), (3, 2, 0, 3)),
    "no filters": ((2, 7, 6, 2), (3, 2, 2, 0)),
}


def windows(images, reach, strides, padding, outside, dilation=1):
    """Each window's pixels and where its result goes; pixels are (N, KH, KW, C)."""
    if padding == "same":
        widths = same_widths(images.shape[1:3], [(r - 1) * dilation + 1 for r in reach], strides)
        images = np.pad(images, ((0, 0), *widths, (0, 0)), constant_values=outside)
    over = [(r - 1) * dilation + 1 for r in reach]
    counts = [(n - o) // s + 1 for n, o, s in zip(images.shape[1:3], over, strides, strict=True)]
    for i, j in itertools.product(*map(range, counts)):
        rows = slice(i * strides[0], i * strides[0] + over[0], dilation)
        columns = slice(j * strides[1], j * strides[1] + over[1], dilation)
        yield counts, (i, j), images[:, rows, columns]


def gathered(images, channels, parts, one):
    """What `one` makes of every window, in its place."""
    result = None
    for counts, (i, j), pixels in parts:
        if result is None:
            result = np.zeros((len(images), *counts, channels), images.dtype)
        result[:, i, j] = one(pixels)
    return result


def convolved(images, kernel, strides=(1, 1), padding="valid", dilation=1):
    parts = windows(images, kernel.shape[:2], strides, padding, 0, dilation)
    one = lambda pixels: np.tensordot(pixels, kernel, 3)  # noqa: E731
    return gathered(images, kernel.shape[3], parts, one)


def pooled(images, reduced, reach, strides, padding="valid"):
    # NaN marks what is outside, and is left out
    parts = windows(images, reach, strides, padding, np.nan)
    return gathered(images, images.shape[3], parts, lambda pixels: reduced(pixels, axis=(1, 2)))


CASES = {
    # name: ours, NumPy's, of images and a kernel
    "conv2d": (myad.conv2d, convolved),
    "conv2d same": (
        lambda x, k: myad.conv2d(x, k, padding="same"),
        lambda x, k: convolved(x, k, padding="same"),
    ),
    "conv2d strided": (
        lambda x, k: myad.conv2d(x, k, strides=(2, 1), padding="same"),
        lambda x, k: convolved(x, k, (2, 1), "same"),
    ),
    "conv2d dilated": (
        lambda x, k: myad.conv2d(x, k, dilation=2, padding="same"),
        lambda x, k: convolved(x, k, padding="same", dilation=2),
    ),
    "max pooling": (
        lambda x, k: myad.max_pooling2d(x, 2),
        lambda x, k: pooled(x, np.nanmax, (2, 2), (2, 2)),
    ),
    "max pooling, overlapping": (
        lambda x, k: myad.max_pooling2d(x, (3, 2), 1, "same"),
        lambda x, k: pooled(x, np.nanmax, (3, 2), (1, 1), "same"),
    ),
    "average pooling": (
        lambda x, k: myad.average_pooling2d(x, 2),
        lambda x, k: pooled(x, np.nanmean, (2, 2), (2, 2)),
    ),
    "average pooling, overlapping": (
        lambda x, k: myad.average_pooling2d(x, 3, 2, "same"),
        lambda x, k: pooled(x, np.nanmean, (3, 3), (2, 2), "same"),
    ),
    **{
        f"einsum {subscripts}": (
            lambda *both, s=subscripts: myad.einsum(s, *both[: s.count(",") + 1]),
            lambda *both, s=subscripts: np.einsum(s, *both[: s.count(",") + 1]),
        )
        for subscripts in ("nhwc,uvcf->nhwf", "nhwc,uvcf->fc", "nhwc->ch", "nhwc,uvdf->")
    },
}


def numbers(dtype, shape, rng):
    """Small ones; integers from the ends of their type, too."""
    if dtype in FLOATING:
        return rng.standard_normal(shape).astype(dtype)
    if dtype == "bool":
        return rng.random(shape) < 0.3
    ends = np.iinfo(dtype)
    return rng.choice(np.array([0, 1, 2, 3, ends.max, ends.min, ends.max // 3], dtype), shape)


def outcome(function, *arguments):
    """The results as arrays, or the refusal."""
    try:
        return [np.asarray(getattr(r, "value", r)) for r in function(*arguments)]
    except MyadError as refusal:
        return refusal


def value_and_gradients(function, dtype):
    def both(x, k):
        value = function(x, k)
        if dtype not in FLOATING:
            return (value,)
        squared = lambda x, k: (function(x, k) ** 2 * 0.5).sum()  # noqa: E731
        return value, *myad.grad(squared, (0, 1))(x, k)

    return both


def close(found, wanted, dtype):
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    tolerance = {"float32": 1e-5, "float64": 1e-13}.get(dtype, 0)
    largest = np.abs(wanted).max(initial=1) if dtype in FLOATING else 0
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance * largest)


@pytest.mark.parametrize("dtype", NAMES)
@pytest.mark.parametrize("name", CASES)
def test_compiled_is_eager_is_numpy(name, dtype, rng):
    ours, numpys = CASES[name]
    function = value_and_gradients(ours, dtype)
    given = [[numbers(dtype, shape, rng) for shape in shapes] for shapes in SHAPES.values()]
    eager = [outcome(function, *map(myad.Tensor, pair)) for pair in given]
    if isinstance(eager[0], MyadError):
        assert dtype not in FLOATING, eager[0]
        assert re.search(rf"\b{dtype}\b", str(eager[0]))
        for pair, refusal in zip(given, eager, strict=True):
            assert str(outcome(myad.jit(function), *pair)) == str(refusal)
        return
    compiled = myad.jit(lambda *pairs: [function(*pair) for pair in pairs])(*map(tuple, given))
    for pair, found, wanted in zip(given, compiled, eager, strict=True):
        close(wanted[0], numpys(*pair), dtype)
        for one, other in zip(found, wanted, strict=True):
            close(one, other, dtype)


@pytest.mark.parametrize("name", CASES)
def test_half_precision_is_refused_by_name(name):
    x, k = (np.ones(shape, np.float16) for shape in SHAPES["small"])
    refusal = outcome(myad.jit(value_and_gradients(CASES[name][0], "float16")), x, k)
    assert "float16" in str(refusal)
