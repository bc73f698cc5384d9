"""NumPy's functions made of primitives: values, derivatives of both orders and modes, compiled."""

import math

import numpy as np
import pytest

import myad
from myad import Tensor, check_gradient, ops

RNG = np.random.default_rng(3)
A, B = RNG.uniform(0.3, 0.9, (3, 4)), RNG.uniform(1.1, 2.0, (3, 4))
V, W = RNG.uniform(0.3, 0.9, 5), RNG.uniform(1.1, 2.0, 5)
CUBE, SQUARE = RNG.uniform(0.3, 0.9, (2, 3, 4)), RNG.uniform(0.3, 0.9, (4, 4))
VECTORS, OTHERS = RNG.standard_normal((4, 3)), RNG.standard_normal((4, 3))
PLACES = np.array([[2, 0, 1, -1], [0, 0, 1, 2]])

# how it is called (m is myad or NumPy): the arrays to differentiate by
CALLS = {
    "mod": (lambda m, x, y: m.mod(y, x), A, B),
    "tan": (lambda m, x: m.tan(x), A),
    "square": (lambda m, x: m.square(x), A),
    "reciprocal": (lambda m, x: m.reciprocal(x), A),
    "fmax": (lambda m, x, y: m.fmax(x, y), A, B[0]),
    "fmin": (lambda m, x, y: m.fmin(x, y), A, B[0]),
    "std": (lambda m, x: m.std(x, axis=1, ddof=1), A),
    "prod": (lambda m, x: m.prod(x), A),
    "prod of rows": (lambda m, x: m.prod(x, axis=(0, 2), keepdims=True), CUBE),
    "cumsum": (lambda m, x: m.cumsum(x), A),
    "cumsum of rows": (lambda m, x: m.cumsum(x, axis=-2), CUBE),
    "diff": (lambda m, x: m.diff(x, 2, axis=0), SQUARE),
    "trace": (lambda m, x: m.trace(x, 1, -1, 0), CUBE),
    "diagonal": (lambda m, x: m.diagonal(x, -1, 1, 2), CUBE),
    "diag": (lambda m, x: m.diag(x, -2), V),
    "diag of a matrix": (lambda m, x: m.diag(x, 1), A),
    "tril": (lambda m, x: m.tril(x, -1), CUBE),
    "triu": (lambda m, x: m.triu(x), SQUARE),
    "dot": (lambda m, x, y: m.dot(x, y), A, SQUARE),
    "dot of vectors": (lambda m, x, y: m.dot(x, y), V, W),
    "dot of cubes": (lambda m, x, y: m.dot(x, y), A, RNG.random((2, 4, 3))),
    "dot with a number": (lambda m, x, y: m.dot(x, y), A, np.array(2.0)),
    "outer": (lambda m, x, y: m.outer(x, y), V, A),
    "tensordot": (lambda m, x, y: m.tensordot(x, y, 2), CUBE, A),
    "tensordot of axes": (lambda m, x, y: m.tensordot(x, y, ([2, 0], [1, 0])), CUBE,
                          RNG.random((2, 4, 3))),
    "kron": (lambda m, x, y: m.kron(x, y), A, CUBE),
    "cross": (lambda m, x, y: m.cross(x, y), VECTORS, OTHERS),
    "cross along": (lambda m, x, y: m.cross(x, y, axis=0), VECTORS.T, OTHERS.T),
    "append": (lambda m, x, y: m.append(x, y), A, V),
    "append rows": (lambda m, x, y: m.append(x, y, axis=0), A, B),
    "roll": (lambda m, x: m.roll(x, -2), A),
    "roll of axes": (lambda m, x: m.roll(x, (1, 7), (0, -1)), A),
    "repeat": (lambda m, x: m.repeat(x, 3), A),
    "repeat rows": (lambda m, x: m.repeat(x, 2, axis=0), A),
    "tile": (lambda m, x: m.tile(x, (2, 1, 3)), A),
    "tile of a cube": (lambda m, x: m.tile(x, 2), CUBE),
    "flip": (lambda m, x: m.flip(x, (0, -1)), CUBE),
    "split": (lambda m, x: m.split(x, 2, axis=1)[1], A),
    "split at": (lambda m, x: m.split(x, [1, 3], axis=1)[1], A),
    "squeeze": (lambda m, x: m.squeeze(x, 1), A[:, None]),
    "expand_dims": (lambda m, x: m.expand_dims(x, (0, 2)), A),
    "moveaxis": (lambda m, x: m.moveaxis(x, (0, 1), (-1, 0)), CUBE),
    "sort": (lambda m, x: m.sort(x, axis=0), A),
    "sort all": (lambda m, x: m.sort(x, axis=None), A),
    "take_along_axis": (lambda m, x: m.take_along_axis(x, PLACES, 0), A),
    "einsum, implicit": (lambda m, x, y: m.einsum("ba,bc", x, y), A, B),
    "einsum, a trace": (lambda m, x: m.einsum("ii", x), SQUARE),
    "einsum, a diagonal": (lambda m, x: m.einsum("aba->ab", x), CUBE[:, :, :2]),
    "einsum, dots": (lambda m, x, y: m.einsum("bi...,...j->...ij", x, y), CUBE, SQUARE),
    "einsum, implicit dots": (lambda m, x, y: m.einsum("...ij,...j", x, y), CUBE, A[:1]),
    "einsum, dots broadcast": (lambda m, x, y: m.einsum("a...,...->a...", x, y), CUBE, A[:1]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_are_numpys_under_both_names(name):
    f, *arrays = CALLS[name]
    wanted = f(np, *arrays)
    for found in (f(myad, *arrays), f(ops, *map(Tensor, arrays)), f(np, *map(Tensor, arrays))):
        found = np.asarray(found)
        assert found.dtype == wanted.dtype
        np.testing.assert_allclose(found, wanted, rtol=1e-13)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", CALLS)
def test_derivatives_agree_with_finite_differences(name, order):
    f, *arrays = CALLS[name]
    check_gradient(lambda *xs: f(myad, *xs), arrays, order=order, tolerance=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("float64", 1e-10)])
@pytest.mark.parametrize("name", CALLS)
def test_compiled_values_and_derivatives_are_eager_ones(name, dtype, tolerance):
    f, *arrays = CALLS[name]
    arrays = [x.astype(dtype) for x in arrays]

    def both(*xs):
        weights = np.linspace(0.5, 1.5, f(myad, *xs).size).astype(dtype)
        loss = lambda *ys: (f(myad, *ys).reshape(-1) * weights).sum()  # noqa: E731
        tangents = tuple(np.cos(x) for x in xs)
        return f(myad, *xs), myad.grad(loss)(*xs), myad.jvp(loss, xs, tangents)

    wanted = both(*arrays)
    found = myad.jit(both)(*arrays)
    for w, z in zip(myad.tree.leaves(wanted), myad.tree.leaves(found), strict=True):
        np.testing.assert_allclose(z, w, rtol=tolerance, atol=tolerance)


def test_products_with_zeros_have_the_derivatives_of_the_polynomial():
    x = np.array([2.0, 0.0, 3.0, 0.0, 5.0])
    np.testing.assert_array_equal(myad.grad(myad.prod)(x), np.zeros(5))
    second = myad.jacobian(myad.grad(myad.prod))(x)
    assert second[1, 3] == second[3, 1] == 30.0
    assert np.count_nonzero(second) == 2


@pytest.mark.parametrize("dtype", ["float32", "int8", "uint16", "bool"])
def test_order_of_equal_elements_and_nan(dtype):
    x = RNG.integers(0, 3, (4, 9)).astype(dtype)
    if dtype == "float32":
        x[0, [2, 5]] = x[2, 8] = np.nan
        x[1, 3], x[1, 6] = np.inf, -np.inf
    calls = [
        (lambda m, v: m.sort(v), "sort"), (lambda m, v: m.argmax(v, axis=0), "argmax"),
        (lambda m, v: m.argmin(v, axis=1, keepdims=True), "argmin"),
        (lambda m, v: m.argmax(v), "argmax of all"),
    ]  # fmt: skip
    for f, name in calls:
        wanted = f(np, x)
        np.testing.assert_array_equal(f(myad, x), wanted, err_msg=name)
        np.testing.assert_array_equal(myad.jit(lambda v, f=f: f(myad, v))(x), wanted, name)
    places = np.argsort(x, axis=0, kind="stable")
    np.testing.assert_array_equal(myad.argsort(x, 0), places)
    np.testing.assert_array_equal(myad.jit(lambda v: myad.argsort(v, 0))(x), places)


@pytest.mark.parametrize("dtype", ["int8", "int64", "uint8", "uint64", "float32"])
def test_remainders_of_every_sign_and_of_nothing(dtype):
    values = np.array([0, 1, 2, 3, 5, 7, 100, 127]).astype(dtype)
    if dtype[0] != "u":
        values = np.concatenate([values, -values, np.array([-128]).astype(dtype)])
    x, y = np.repeat(values, len(values)), np.tile(values, len(values))
    with np.errstate(all="ignore"):
        wanted = np.mod(x, y)
        np.testing.assert_array_equal(Tensor(x) % Tensor(y), wanted)
    np.testing.assert_array_equal(myad.jit(lambda x, y: x % y)(x, y), wanted)


def test_error_function_is_exact_to_rounding():
    x = np.concatenate([np.linspace(-7, 7, 4001), [0.0, 1e-300, np.inf, -np.inf]])
    wanted = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(myad.erf(x), wanted, rtol=4e-16)
    assert np.isnan(myad.erf(np.array(np.nan)))
    np.testing.assert_allclose(myad.erf(x.astype("f4")), wanted, rtol=4e-7, atol=1e-40)


def test_gelu_has_both_forms():
    x = np.linspace(-3, 3, 13)
    np.testing.assert_allclose(myad.gelu(x, approximate=True), myad.gelu(x), atol=5e-4)
    assert abs(myad.gelu(x, approximate=True) - myad.gelu(x)).max() > 1e-5
