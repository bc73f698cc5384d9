"""Where derivatives go wrong elsewhere: the areas of HIPS autograd's tests, as a table."""

import math

import numpy as np
import pytest

from myad import (
    check_gradient,
    cos,
    exp,
    grad,
    hessian_vector_product,
    jacobian,
    jvp,
    log,
    max,
    maximum,
    min,
    minimum,
    power,
    sin,
    take,
    tanh,
    vjp,
)

TIES = np.array([[[1.0, 3.0], [3.0, 0.0]], [[2.0, 2.0], [2.0, 1.0]]])
SHARES = {
    # op, axis, keepdims: the expected gradient of the sum of the result
    "max-all": (max, None, [[[0, 0.5], [0.5, 0]], [[0, 0], [0, 0]]]),
    "max-last": (max, -1, [[[0, 1], [1, 0]], [[0.5, 0.5], [1, 0]]]),
    "max-two": (max, (0, 2), [[[0, 1], [1, 0]], [[0, 0], [0, 0]]]),
    "max-last two": (max, (1, 2), [[[0, 0.5], [0.5, 0]], [[1 / 3, 1 / 3], [1 / 3, 0]]]),
    "min-first two": (min, (0, 1), [[[1, 0], [0, 1]], [[0, 0], [0, 0]]]),
    "min-middle": (min, 1, [[[1, 0], [0, 1]], [[0.5, 0], [0.5, 1]]]),
}


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize(("op", "axis", "expected"), SHARES.values(), ids=SHARES)
def test_ties_over_several_axes(op, axis, expected, keepdims):
    found = grad(lambda x: op(x, axis, keepdims).sum())(TIES)
    np.testing.assert_allclose(found, expected)


def test_ties_of_two_arrays_and_of_stretched_ones():
    x, y = np.array([1.0, 2.0, 2.0]), np.array([[2.0], [1.0]])
    shares = {maximum: [[0, 0.5, 0.5], [0.5, 1, 1]], minimum: [[1, 0.5, 0.5], [0.5, 0, 0]]}
    for op, share in shares.items():
        dx, dy = grad(lambda x, y, op=op: op(x, y).sum(), (0, 1))(x, y)
        np.testing.assert_allclose(dx, np.sum(share, axis=0))
        np.testing.assert_allclose(dy, 3 - np.sum(share, axis=1, keepdims=True))


VALUES = {
    # what is computed, what it must be
    "0**2 twice": (lambda: grad(grad(lambda x: x**2))(0.0), 2.0),
    "0**3 twice": (lambda: grad(grad(lambda x: power(x, 3.0)))(0.0), 0.0),
    "0**1 twice": (lambda: grad(grad(lambda x: x**1))(0.0), 0.0),
    "0**0 twice": (lambda: grad(grad(lambda x: x**0))(0.0), 0.0),
    "0**4 four times": (lambda: grad(grad(grad(grad(lambda x: x**4))))(0.0), 24.0),
    "tanh far out": (lambda: grad(tanh)(1000.0), 0.0),
    "tanh far out, twice": (lambda: grad(grad(tanh))(-1000.0), 0.0),
    "a constant base": (lambda: grad(lambda y: 2.0**y)(3.0), 8 * math.log(2)),
    "inner and outer variable": (lambda: grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0), 1.0),
    "the same inside": (lambda: grad(lambda x: x * grad(lambda y: x * y**2)(x))(3.0), 54.0),
    "inner forward": (
        lambda: grad(lambda x: x * jvp(lambda y: x * y, (2.0,), (1.0,))[1])(3.0), 6.0
    ),
    "outer forward": (
        lambda: jvp(lambda x: x * grad(lambda y: x * y)(2.0), (3.0,), (1.0,))[1], 6.0
    ),
    "three levels": (
        lambda: grad(lambda x: grad(lambda y: grad(lambda z: x * y * z**2)(y))(x))(2.0), 16.0
    ),  # 2xyz at z = y is 2xy², 4xy at y = x is 4x², 8x
    "jvp of vjp": (
        lambda: jvp(lambda x: vjp(sin, x)[1](1.0)[0], (0.4,), (1.0,))[1], -math.sin(0.4)
    ),
    "vjp of jvp": (
        lambda: vjp(lambda x: jvp(sin, (x,), (1.0,))[1], 0.4)[1](1.0)[0], -math.sin(0.4)
    ),
    "jvp of a pullback": (
        lambda: jvp(vjp(lambda x: x**3, 2.0)[1], (1.0,), (1.0,))[1][0], 12.0
    ),
}  # fmt: skip


@pytest.mark.parametrize(("compute", "expected"), VALUES.values(), ids=VALUES)
def test_values(compute, expected):
    np.testing.assert_allclose(compute(), expected, rtol=1e-12)


HIGHER = {
    "exp": (exp, lambda n, x: math.exp(x)),
    "sin": (sin, lambda n, x: math.sin(x + n * math.pi / 2)),
    "cos": (cos, lambda n, x: math.cos(x + n * math.pi / 2)),
    "log": (log, lambda n, x: (-1) ** (n - 1) * math.factorial(n - 1) / x**n),
    "quintic": (lambda x: x**5, lambda n, x: math.perm(5, n) * x ** (5 - n) if n <= 5 else 0.0),
    "quotient": (lambda x: 1.0 / x, lambda n, x: (-1) ** n * math.factorial(n) / x ** (n + 1)),
}


@pytest.mark.parametrize(("f", "nth"), HIGHER.values(), ids=HIGHER)
def test_orders_up_to_six(f, nth):
    for n in range(1, 7):
        f = grad(f)
        np.testing.assert_allclose(f(0.7), nth(n, 0.7), rtol=1e-9, atol=1e-9)


def test_repeated_indices_add_up():
    x = np.arange(4.0)
    found = grad(lambda x: (x[[0, 0, 3]] * np.array([1.0, 2.0, 5.0])).sum())(x)
    np.testing.assert_array_equal(found, [3, 0, 0, 5])
    found = grad(lambda x: take(x, [[1, 1], [1, 2]]).sum())(x)
    np.testing.assert_array_equal(found, [0, 3, 1, 0])
    check_gradient(lambda x: x[[0, 0, 3]] ** 2, [x], order=2)
    np.testing.assert_array_equal(jacobian(lambda x: x[[2, 2]])(x), [[0, 0, 1, 0]] * 2)


def test_closures_over_a_variable_of_an_outer_derivative():
    def f(x):
        def inner(y):
            return sin(x * y) + x

        return grad(inner)(2.0 * x) * x  # x²·cos(2x²)

    np.testing.assert_allclose(
        grad(f)(0.5), 2 * 0.5 * math.cos(0.5) - 0.25 * 4 * 0.5 * math.sin(0.5)
    )


def test_one_variable_used_in_two_arguments():
    x = np.array([1.0, 2.0])
    np.testing.assert_allclose(grad(lambda x: (x * x[::-1] + x).sum())(x), [5, 3])
    np.testing.assert_allclose(
        hessian_vector_product(lambda x: (x * x[::-1]).sum(), x, np.array([1.0, 0.0])), [0, 2]
    )


def test_changed_upstream_gradients_change_no_result():
    seed = np.ones(2)
    _, pullback = vjp(lambda x, y: (x + y, x + y), np.ones(2), np.ones(2))
    dx, dy = pullback((seed, seed))
    dx += 10.0
    seed += 5.0
    np.testing.assert_array_equal(dy, [2, 2])
    np.testing.assert_array_equal(pullback((np.ones(2), np.ones(2)))[0], [2, 2])
