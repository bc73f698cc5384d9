"""The input gradient of a strided convolution, put together phase by phase."""

import numpy as np
import pytest

import myad
from myad.gradcheck import check_gradient
from myad.ops.conv import correlate2d, correlate2d_input_gradient, interleave2d

# size of the images, of the kernel, strides
CASES = {
    "divides": ((6, 4), (3, 3), (2, 2)),
    "kernel smaller than the stride": ((7, 8), (2, 1), (3, 2)),
    "kernel of one pixel": ((5, 5), (1, 1), (2, 2)),
    "does not divide": ((8, 7), (3, 4), (3, 2)),
    "rows left over": ((9, 10), (2, 3), (3, 2)),
    "one stride": ((6, 7), (3, 2), (1, 3)),
}


def operands(name, rng):
    size, kernel, strides = CASES[name]
    out = [(n - k) // s + 1 for n, k, s in zip(size, kernel, strides, strict=True)]
    dz, w = rng.standard_normal((2, *out, 3)), rng.standard_normal((*kernel, 2, 3))
    return dz, w, {"size": size, "strides": strides}


def test_images_are_put_together_from_rows_and_columns():
    parts = [np.full((1, 2, 1, 1), float(n)) for n in range(6)]
    z = np.asarray(interleave2d(*parts, steps=(2, 3)))
    np.testing.assert_array_equal(z[0, :, :, 0], [[0, 1, 2], [3, 4, 5]] * 2)


def test_second_order_of_interleaving(rng):
    parts = [rng.standard_normal((1, 2, 2, 2)) for _ in range(4)]

    def slope(*parts):
        total = lambda *p: (myad.sin(interleave2d(*p, steps=(2, 2))) ** 2).sum()  # noqa: E731
        return myad.grad(total, 1)(*parts)

    check_gradient(slope, parts)


@pytest.mark.parametrize("name", CASES)
def test_compiled_input_gradient_is_the_eager_one(name, rng):
    dz, w, how = operands(name, rng)
    wanted = np.asarray(correlate2d_input_gradient(dz, w, **how))
    compiled = myad.jit(lambda dz, w: correlate2d_input_gradient(dz, w, **how))
    np.testing.assert_allclose(compiled(dz, w), wanted, rtol=1e-12, atol=1e-12)
    # <dx, x> = <dz, correlate(x)>: it is the adjoint
    x = rng.standard_normal(wanted.shape)
    forward = np.asarray(correlate2d(x, w, strides=how["strides"]))
    np.testing.assert_allclose((wanted * x).sum(), (dz * forward).sum(), rtol=1e-10)


@pytest.mark.parametrize("name", CASES)
def test_no_zeros_are_multiplied(name, rng):
    """As many terms as there are pairs of a pixel's gradient and an element of the kernel, but for
    what the borders add: not strides² times as many."""
    dz, w, how = operands(name, rng)
    loops = myad.jit(lambda dz, w: correlate2d_input_gradient(dz, w, **how)).lower(dz, w).plan
    sums = [kernel for kernel in loops.kernels if kernel.combine == "add"]
    kh, kw = w.shape[:2]
    assert len(sums) == min(kh, how["strides"][0]) * min(kw, how["strides"][1])
    for kernel in sums:
        assert np.prod([axis.size for axis in kernel.reduced]) <= (
            -(-kh // how["strides"][0]) * -(-kw // how["strides"][1]) * w.shape[3]
        )


@pytest.mark.parametrize("name", CASES)
def test_compiled_second_order_of_a_strided_convolution(name, rng):
    size, kernel, strides = CASES[name]
    x, w = rng.standard_normal((1, *size, 2)), rng.standard_normal((*kernel, 2, 2))

    def loss(x, w):
        return (myad.sin(myad.conv2d(x, w, strides=strides)) ** 2).sum()

    def slope(x, w):
        return (myad.grad(loss, 0)(x, w) ** 2).sum()

    eager = myad.grad(slope, (0, 1))(x, w)
    for one, other in zip(myad.jit(myad.grad(slope, (0, 1)))(x, w), eager, strict=True):
        np.testing.assert_allclose(one, np.asarray(other), rtol=1e-9, atol=1e-9)
