"""Bad input: every refusal names the operation, the values and the rule."""

import numpy as np
import pytest

import myad
from myad import Tensor, errors, ops

ONES = Tensor(np.ones((2, 3)))
IMAGES = np.ones((2, 5, 6, 1), np.float32)


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (
            lambda: ONES @ np.ones((2, 3)),
            "ShapeError",
            r"matmul: .* needs equal D.*input 1: \(2, 3",
        ),
        (lambda: ops.matmul(ONES, 2.0), "ShapeError", "a number has no matrix product"),
        (lambda: ONES.reshape(4, 2), "ShapeError", r"reshape: \(2, 3\) holds 6 elements, \(4, 2\)"),
        (lambda: ONES.reshape(-1, 4), "ShapeError", r"\(2, 3\) cannot be divided into"),
        (lambda: ONES.reshape(-2, 3), "ShapeError", "lengths must be >= 0"),
        (lambda: ops.broadcast_to(ONES, (2, 4)), "ShapeError", r"\(2, 3\) cannot be stretched"),
        (lambda: ops.broadcast_to(ONES, (3,)), "ShapeError", "cannot be stretched"),
        (lambda: ONES.sum(axis=2), "ShapeError", "sum: axis 2 does not fit 2 axes: .* -2 to 1"),
        (lambda: ONES.max(axis=(0, -2)), "ShapeError", r"max: axis \(0, -2\) does not fit"),
        (lambda: Tensor(np.ones((0, 2))).max(axis=0), "ShapeError", "no maximum of nothing"),
        (lambda: Tensor(np.ones((0, 2))).mean(), "ShapeError", "no mean of nothing"),
        (lambda: ops.var(ONES, 1, ddof=3), "OptionError", "needs more than ddof = 3 elements"),
        (lambda: ops.transpose(ONES, (0, 0)), "ShapeError", "no permutation"),
        (lambda: ops.concatenate([ONES, np.ones((3, 3))], 1), "ShapeError", "other than 1 must be"),
        (lambda: ops.concatenate([ONES], 2), "ShapeError", "axis 2 does not fit"),
        (lambda: ops.stack([]), "ShapeError", "at least one array"),
        (lambda: ops.pad(ONES, [(1, 1)]), "ShapeError", "one pair of widths >= 0 per axis"),
        (lambda: ops.pad(ONES, [(1, 1), (-1, 0)]), "ShapeError", "one pair of widths >= 0"),
        (lambda: ONES[2], "ShapeError", "2 is out of range for an axis of length 2"),
        (lambda: ONES[0, 0, 0], "ShapeError", "does not fit the 2 axes"),
        (lambda: ONES["a"], "ShapeError", "'a' is no integer, slice"),
        (lambda: ONES[np.array([0.5])], "DTypeError", "indices must be integers"),
        (lambda: ONES[np.array([5])], "ShapeError", "gather: index 5 is out of bounds"),
        (lambda: ops.where(ONES, ONES, ONES), "DTypeError", "condition must be boolean"),
        (lambda: ops.exp(Tensor([1, 2])), "DTypeError", "exp: needs floating-point inputs"),
        (lambda: ops.one_hot(ONES, 3), "DTypeError", "labels must be integers"),
        (lambda: ops.einsum("ij->ik", ONES), "OptionError", "the output needs letters"),
        (lambda: ops.einsum("i1->i", ONES), "OptionError", "needs letters, one list for each"),
        (lambda: ops.einsum("...j->j", ONES), "OptionError", "needs the axes of '...'"),
        (lambda: ops.einsum("...i,...i", ONES, ONES[:, :2]), "ShapeError", "'i' differs"),
        (lambda: ops.einsum("i...,j...", ONES, ONES[:, :2]), "ShapeError", "does not broadcast"),
        (lambda: ops.einsum("ii->i", ONES), "ShapeError", "'i' differs in length"),
        (lambda: ops.squeeze(ONES, 0), "ShapeError", "squeeze: axis 0 of .* is not of length 1"),
        (lambda: ops.split(ONES, 2, 1), "ShapeError", "cannot be cut into 2 equal parts"),
        (lambda: ops.repeat(ONES, -1), "OptionError", "repeats must be numbers >= 0"),
        (lambda: ops.repeat(ONES, [1, 2, 3], 0), "ShapeError", "repeats for an axis of 2"),
        (lambda: ops.moveaxis(ONES, (0, 1), 0), "ShapeError", "2 axes to 1 places"),
        (lambda: ops.diff(ONES, -1), "OptionError", "n must be at least 0"),
        (lambda: ops.diag(ONES[None]), "ShapeError", "needs a vector or a matrix"),
        (lambda: ops.tril(ONES[0]), "ShapeError", "tril: needs two axes"),
        (lambda: ops.diagonal(ONES[0]), "ShapeError", "diagonal: needs two axes"),
        (lambda: ops.tensordot(ONES, ONES, 1), "ShapeError", "differ in length"),
        (lambda: ops.tensordot(ONES, ONES, 3), "ShapeError", "no 3 axes"),
        (lambda: ops.cross(np.ones(4), np.ones(4)), "ShapeError", "need 2 or 3 elements"),
        (lambda: ops.argmax(np.ones((0, 2))), "ShapeError", "argmax: no extreme of nothing"),
        (lambda: ops.take_along_axis(ONES, np.array([0]), 0), "ShapeError", "as many axes"),
        (lambda: ops.einsum("ij,jk->ik", ONES, ONES), "ShapeError", "'j' differs"),
        (lambda: ops.einsum("ijk->i", ONES), "ShapeError", "one letter per axis"),
        (
            lambda: ops.conv2d(Tensor(IMAGES), np.ones((3, 3, 3, 4), np.float32)),
            "ShapeError",
            r"(?s)conv2d: kernel expects 3 input channels, images have 1\..*N H W C.*KH KW C F",
        ),
        (
            lambda: ops.conv2d(Tensor(IMAGES), np.ones((0, 3, 1, 1), np.float32)),
            "ShapeError",
            "conv2d: a kernel needs at least one pixel",
        ),
        (
            lambda: ops.conv2d(Tensor(IMAGES), np.ones((6, 3, 1, 1), np.float32)),
            "ShapeError",
            r'reaches over 6×3 pixels does not fit images of 5×6; .*padding="same"',
        ),
        (
            lambda: ops.conv2d(Tensor(IMAGES), np.ones((3, 3, 1, 1))),
            "DTypeError",
            "conv2d: dtypes differ",
        ),
        (
            lambda: ops.conv2d(Tensor(IMAGES[0]), np.ones((3, 3, 1, 1), np.float32)),
            "ShapeError",
            r"conv2d: needs the axes N H W C, got the shape \(5, 6, 1\)",
        ),
        (
            lambda: ops.conv2d(IMAGES, np.ones((3, 3, 1, 1), np.float32), strides=0),
            "OptionError",
            "strides: must be an integer >= 1 or a pair",
        ),
        (
            lambda: ops.conv2d(IMAGES, np.ones((3, 3, 1, 1), np.float32), padding="full"),
            "OptionError",
            'padding: must be "valid" or "same", not \'full\'',
        ),
        (
            lambda: ops.max_pooling2d(Tensor(IMAGES), (6, 2)),
            "ShapeError",
            "window of 6×2 does not fit images of 5×6",
        ),
        (
            lambda: ops.random_uniform(Tensor([1, 2]), shape=(2,), dtype=np.dtype("f4")),
            "ShapeError",
            r"key must be uint32 \(2,\)",
        ),
    ],
)
def test_refusals(call, error, text):
    with pytest.raises(getattr(errors, error), match="(?s)" + text):
        call()


def test_every_error_is_a_myad_error():
    kinds = [e for e in vars(errors).values() if isinstance(e, type)]
    assert all(issubclass(e, errors.MyadError) for e in kinds)


def test_random_numbers_are_the_ones_that_are_documented():
    # the formula of the docstring, in Python's own integers
    def mix(h):
        h ^= h >> 16
        h = h * 0x85EBCA6B % 2**32
        h ^= h >> 13
        h = h * 0xC2B2AE35 % 2**32
        return h ^ h >> 16

    seed, counter = 123, 2**32 - 1
    start = mix((mix((seed * 0x9E3779B1 + 1) % 2**32) + counter * 0x85EBCA77) % 2**32)
    expected = [(mix((start + i * 0x9E3779B9) % 2**32) >> 8) / 2**24 for i in range(6)]
    key = myad.random_key(seed, counter)
    for dtype in (np.float32, np.float64):
        found = ops.random_uniform(key, shape=(2, 3), dtype=np.dtype(dtype))
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.ravel(), np.array(expected, dtype))


def test_random_numbers_are_uniform_and_independent():
    draws = np.array(
        [
            ops.random_uniform(myad.random_key(1, n), shape=(1000,), dtype=np.dtype("f8"))
            for n in range(100)
        ]
    )
    counts = np.histogram(draws, 20, (0, 1))[0]
    # chi-squared, 19 degrees of freedom: beyond 43.8 once in 1,000 truly random tables
    assert ((counts - 5000) ** 2 / 5000).sum() < 43.8
    # correlations of 1,000 pairs have standard deviation 0.032
    assert abs(np.corrcoef(draws)[0, 1:]).max() < 5 * 0.032
    assert abs(np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]) < 5 / 316
