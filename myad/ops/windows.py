"""How the values of convolution and pooling read their windows: as matrices and as views.

NumPy is fast on long contiguous rows and slow on short ones (a copy of 676 windows of 3×3 pixels
takes 12 µs row by row, 1.4 µs in the wide form below), so each form below is chosen for its rows.

The wide form: with strides of 1, the pixels of one image that kernel element (u, v) meets are the
flattened image from offset u·d₀·W + v·d₁ on, a run of length L = (H' − 1)·W + W'. One row per
element, nothing is gathered. The few positions between the output's rows, whose windows reach
around the edge, are computed and dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

Pair = tuple[int, int]


def wide_columns(images: np.ndarray, size: Pair, out: Pair, dilation: Pair) -> np.ndarray:
    """Wide form of images of one channel (N, H, W, 1): (KH·KW, N·L)."""
    images = np.ascontiguousarray(images)
    n, h, w, _ = images.shape
    length = (out[0] - 1) * w + out[1]
    item = images.itemsize
    windows: np.ndarray = np.ndarray(
        (*size, n, length),
        images.dtype,
        images,
        strides=(dilation[0] * w * item, dilation[1] * item, h * w * item, item),
    )
    return windows.reshape(size[0] * size[1], n * length)


def widen(z: np.ndarray, width: int) -> np.ndarray:
    """`z` (N, H', W', F) with zeros between its rows, as in images of that width: (N·L, F)."""
    n, oh, ow, f = z.shape
    wide = np.zeros((n * ((oh - 1) * width + ow), f), z.dtype)
    narrow(wide, n, (oh, ow), width)[...] = z
    return wide


def narrow(wide: np.ndarray, n: int, out: Pair, width: int) -> np.ndarray:
    """The view (N, H', W', F) of a wide result (N·L, F)."""
    f = wide.shape[1]
    item = wide.itemsize
    length = (out[0] - 1) * width + out[1]
    steps = (length * f * item, width * f * item, f * item, item)
    view: np.ndarray = np.ndarray((n, *out, f), wide.dtype, wide, strides=steps)
    return view


def columns(images: np.ndarray, size: Pair, out: Pair, strides: Pair, dilation: Pair) -> np.ndarray:
    """Every window as a row: (N·H'·W', KH·KW·C)."""
    images = np.ascontiguousarray(images)
    n, _, _, c = images.shape
    sn, sh, sw, sc = images.strides
    windows: np.ndarray = np.ndarray(
        (n, *out, *size, c),
        images.dtype,
        images,
        strides=(sn, sh * strides[0], sw * strides[1], sh * dilation[0], sw * dilation[1], sc),
    )
    return windows.reshape(n * out[0] * out[1], size[0] * size[1] * c)


def views(
    images: np.ndarray, size: Pair, out: Pair, strides: Pair, dilation: Pair = (1, 1)
) -> Iterator[tuple[int, int, np.ndarray]]:
    """For each window element (u, v), the view of `images` that it meets: (N, H', W', C)."""
    for u in range(size[0]):
        for v in range(size[1]):
            top, left = u * dilation[0], v * dilation[1]
            rows = slice(top, top + (out[0] - 1) * strides[0] + 1, strides[0])
            right = slice(left, left + (out[1] - 1) * strides[1] + 1, strides[1])
            yield u, v, images[:, rows, right]


def split_tiles(x: np.ndarray, size: Pair, out: Pair) -> np.ndarray:
    """The tiles of `x`, element by element: (KH·KW, N·H'·W'·C), rows contiguous.

    A pixel is moved as one item of its C channels.
    """
    x = np.ascontiguousarray(x[:, : out[0] * size[0], : out[1] * size[1]])
    n, _, _, c = x.shape
    pixels = x.view(np.dtype((np.void, c * x.itemsize)))
    tiles = pixels.reshape(n, out[0], size[0], out[1], size[1]).transpose(2, 4, 0, 1, 3)
    return np.ascontiguousarray(tiles).view(x.dtype).reshape(size[0] * size[1], -1)


def join_tiles(tiles: np.ndarray, size: Pair, out: Pair, shape: tuple[int, ...]) -> np.ndarray:
    """The array of `shape` whose tiles are given; zeros beyond the last tile."""
    n, _, _, c = shape
    pixels = tiles.view(np.dtype((np.void, c * tiles.itemsize))).reshape(*size, n, *out)
    placed = np.ascontiguousarray(pixels.transpose(2, 3, 0, 4, 1)).view(tiles.dtype)
    inner = placed.reshape(n, out[0] * size[0], out[1] * size[1], c)
    if inner.shape == shape:
        return inner
    x = np.zeros(shape, tiles.dtype)
    x[:, : inner.shape[1], : inner.shape[2]] = inner
    return x
