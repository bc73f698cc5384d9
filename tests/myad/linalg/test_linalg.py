"""Linear algebra: NumPy's values under both names, derivatives of both orders and modes."""

import numpy as np
import pytest

import myad
from myad import Tensor, check_gradient, errors, grad, linalg

RNG = np.random.default_rng(8)
A = np.diag([1.0, 2.0, 3.0]) + 0.3 * RNG.standard_normal((2, 3, 3))
B, V, X = RNG.standard_normal((2, 3, 2)), RNG.standard_normal(3), RNG.uniform(0.5, 2, (2, 3, 4))
P = A @ A.transpose(0, 2, 1)

CALLS = {
    "solve": (lambda m, a, b: m.solve(a, b), A, B),
    "solve, one side": (lambda m, a, b: m.solve(a, b), A[0], V),
    "solve, broadcast": (lambda m, a, b: m.solve(a, b), A, B[0]),
    "inv": (lambda m, a: m.inv(a), A),
    "det": (lambda m, a: m.det(a), A),
    "slogdet": (lambda m, a: m.slogdet(a)[1], A),
    "cholesky": (lambda m, a: m.cholesky(a), P),
    "eigenvalues": (lambda m, a: m.eigh(a)[0], P),
    "singular values": (lambda m, a: m.svd(a, compute_uv=False), X),
    "norm": (lambda m, x: m.norm(x), X),
    "norm kept": (lambda m, x: m.norm(x, keepdims=True), X),
    "norm of rows": (lambda m, x: m.norm(x, axis=-1), X),
    "norm 1": (lambda m, x: m.norm(x, 1, axis=1), X),
    "norm 3": (lambda m, x: m.norm(x, 3, axis=0, keepdims=True), X),
    "norm inf": (lambda m, x: m.norm(x, np.inf, axis=1), X),
    "norm -inf": (lambda m, x: m.norm(x, -np.inf, axis=1), X),
    "Frobenius": (lambda m, x: m.norm(x, "fro", axis=(2, 0)), X),
    "columns": (lambda m, x: m.norm(x, 1, axis=(0, 2), keepdims=True), X),
    "rows": (lambda m, x: m.norm(x, -np.inf, axis=(0, 2)), X),
    "spectral": (lambda m, x: m.norm(x, 2), X[0]),
    "nuclear": (lambda m, x: m.norm(x, "nuc"), X[0]),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_values_are_numpys_under_both_names(name):
    f, *arrays = CALLS[name]
    for dtype, tolerance in (("float64", 1e-12), ("float32", 1e-4)):
        given = [x.astype(dtype) for x in arrays]
        wanted = f(np.linalg, *given)
        tensors = list(map(Tensor, given))
        for found in (f(linalg, *given), f(linalg, *tensors), f(np.linalg, *tensors)):
            assert found.dtype == dtype
            np.testing.assert_allclose(np.asarray(found), wanted, rtol=tolerance)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("name", CALLS)
def test_derivatives_agree_with_finite_differences(name, order):
    f, *arrays = CALLS[name]
    check_gradient(lambda *xs: f(linalg, *xs), arrays, order=order, tolerance=1e-6)


def test_vectors_of_both_decompositions():
    w, v = linalg.eigh(P)
    np.testing.assert_allclose(v * w[:, None, :] @ v.transpose(0, 2, 1), P, atol=1e-12)
    u, s, vh = linalg.svd(X)
    np.testing.assert_allclose(u * s[:, None, :] @ vh, X, atol=1e-12)

    def rebuilt(x):
        u, s, vh = linalg.svd(x)
        return (u * s[..., None, :]) @ vh

    # what rebuilds its argument has its derivative: the identity
    check_gradient(rebuilt, [X[0]], order=1)
    weights = RNG.standard_normal(X.shape)
    np.testing.assert_allclose(grad(lambda x: (rebuilt(x) * weights).sum())(X), weights, atol=1e-10)


def test_number_of_zeros_and_zero_norms():
    np.testing.assert_array_equal(linalg.norm(np.array([0.0, 2.0, 0.0]), 0), 1.0)
    assert linalg.norm(np.zeros(3)) == 0
    sign, size = linalg.slogdet(-np.eye(3) * 1e200)
    assert (sign, round(float(size))) == (-1.0, round(600 * np.log(10)))


REFUSED = {
    "not square": (lambda: linalg.inv(X), "ShapeError", r"inv: needs square .*\(2, 3, 4\)"),
    "other lengths": (lambda: linalg.solve(Tensor(A), X[:, :2]), "ShapeError", "needs equal N"),
    "integers": (lambda: linalg.det(np.eye(2, dtype=int)), "DTypeError", "det: needs floating"),
    "full svd": (lambda: linalg.svd(X, full_matrices=True), "OptionError", "must be False"),
    "vector order": (lambda: linalg.norm(V, "fro"), "OptionError", "none of a vector"),
    "matrix order": (lambda: linalg.norm(A[0], 3), "OptionError", "none of None, 'fro'"),
    "cube": (lambda: linalg.norm(A, 1), "ShapeError", "norm: ord 1 needs an axis"),
    "needs an axis": (lambda: linalg.norm(A, 2, (0, 1, 2)), "ShapeError", "norm: axis .* neither"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "error", "text"), REFUSED.values(), ids=REFUSED)
def test_refusals(call, error, text):
    with pytest.raises(getattr(errors, error), match=text):
        call()


def test_singular_matrices_are_numpys_error():
    for call in (
        lambda: linalg.solve(np.zeros((2, 2)), np.ones(2)),
        lambda: linalg.cholesky(-A[0]),
    ):
        with pytest.raises(np.linalg.LinAlgError):
            call()


@pytest.mark.parametrize("call", [linalg.eigh, linalg.svd])
def test_decompositions_are_refused_by_the_compiler(call):
    with pytest.raises(errors.CompileError, match=r"no kernel rule for \w+_spectrum"):
        myad.jit(lambda a: call(a)[0])(P)


COMPILED = [name for name in CALLS if name not in
            ("eigenvalues", "singular values", "spectral", "nuclear")]  # fmt: skip


@pytest.mark.parametrize("name", COMPILED)
def test_compiled_values_and_derivatives_are_eager_ones(name):
    f, *arrays = CALLS[name]

    def both(*xs):
        loss = lambda *ys: (f(linalg, *ys) ** 2).sum()  # noqa: E731
        return f(linalg, *xs), grad(loss)(*xs), myad.jvp(loss, xs, tuple(np.cos(x) for x in xs))

    wanted, found = both(*arrays), myad.jit(both)(*arrays)
    for w, z in zip(myad.tree.leaves(wanted), myad.tree.leaves(found), strict=True):
        np.testing.assert_allclose(z, w, rtol=1e-10, atol=1e-10)


def test_compiled_elimination_exchanges_rows_and_meets_singular_matrices():
    a = np.array([[0.0, 2.0, 1.0], [0.0, 0.0, 3.0], [4.0, 1.0, 1.0]])
    np.testing.assert_allclose(myad.jit(linalg.det)(a), np.linalg.det(a))
    np.testing.assert_allclose(myad.jit(linalg.solve)(a, V), np.linalg.solve(a, V))
    big = RNG.standard_normal((40, 40))
    np.testing.assert_allclose(myad.jit(linalg.inv)(big), np.linalg.inv(big), rtol=1e-9, atol=1e-9)
    flat = np.ones((3, 3))
    assert myad.jit(linalg.det)(flat) == 0.0
    sign, size = myad.jit(linalg.slogdet)(flat)
    assert (sign, size) == (0.0, -np.inf)
