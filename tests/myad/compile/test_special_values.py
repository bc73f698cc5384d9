"""NaN, infinities, the largest and the smallest numbers: compiled code gives what NumPy gives.

The sign of a zero is not kept, and sums may be taken in another order; nothing else may differ.
"""

import numpy as np
import pytest

import myad
from myad import ops

VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, np.inf, -np.inf, np.nan, 1e-5, 40.0, -40.0]
ENDS = {
    "float32": [3e38, -3e38, 1e-38, 1e-40, 88.5, -87.5, -95.0, -104.5, 1e5, -1e5],
    "float64": [1e308, -1e308, 1e-308, 1e-310, 709.5, -708.5, -730.0, -746.0, 1e5, -1e5],
}
UNARY = {
    "absolute": abs, "negative": lambda x: -x, "sign": ops.sign, "floor": ops.floor,
    "exp": myad.exp, "log": myad.log, "sqrt": myad.sqrt, "tanh": myad.tanh,
    "sigmoid": myad.sigmoid, "softplus": myad.softplus, "relu": myad.relu,
    "square": lambda x: x**2.0, # of -inf and -0.0, NumPy's versions give the power or the root
    "root": lambda x: abs(x) ** 0.5, "cube": lambda x: x**3.0,
    "inverse": lambda x: 1.0 / x, "sum": lambda x: x.sum(), "max": lambda x: x.max(),
    "clip": lambda x: myad.clip(x, -1.0, 1.0),
    "where": lambda x: myad.where(x > 0.0, x, x * 0.5),
    "equal to itself": lambda x: x == x,
    "product with 0": lambda x: x * np.zeros((), x.dtype),
    "scaled twice": lambda x: (x * np.asarray(1e30, x.dtype)) * np.asarray(1e-30, x.dtype),
    "quotients by one number": lambda x: x / x[4] + x / x[-3],
    "log1p": myad.log1p, "expm1": myad.expm1, "log2": myad.log2, "log10": myad.log10,
    "exp2": myad.exp2, "sinh": myad.sinh, "cosh": myad.cosh, "arcsinh": myad.arcsinh,
    "arccosh": myad.arccosh, "arctanh": myad.arctanh, "arctan": myad.arctan,
    "arcsin": myad.arcsin, "arccos": myad.arccos, "erf": myad.erf, "gelu": myad.gelu,
    "reciprocal": myad.reciprocal, "argmax": myad.argmax, "argmin": myad.argmin,
    "argsort": myad.argsort,
    "padded times itself": lambda x: myad.pad(x, ((1, 2),))[::-1] * myad.pad(x, ((2, 1),)),
}  # fmt: skip
BINARY = {
    "add": lambda x, y: x + y, "subtract": lambda x, y: x - y, "multiply": lambda x, y: x * y,
    "divide": lambda x, y: x / y, "power": lambda x, y: x**y, "maximum": ops.maximum,
    "minimum": ops.minimum, "equal": ops.equal, "not equal": ops.not_equal, "less": ops.less,
    "less or equal": ops.less_equal, "hypot": myad.hypot,
    "arctan2": lambda x, y: myad.arctan2(x + 0.0, y + 0.0), # whose zeros have no sign
    "fmax": myad.fmax, "fmin": myad.fmin, "logaddexp": myad.logaddexp, "mod": myad.mod,
    "where": lambda x, y: myad.where(x < y, x, y),
}  # fmt: skip


def same(found, wanted, dtype):
    tolerance = {"float32": 2e-6, "float64": 1e-13}[dtype]
    assert found.dtype == wanted.dtype
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=np.finfo(dtype).tiny)


@pytest.fixture(autouse=True)
def _numpy_may_overflow():
    with np.errstate(all="ignore"):
        yield


@pytest.mark.parametrize("dtype", ENDS)
@pytest.mark.parametrize("name", [*UNARY, *BINARY])
def test_values_are_numpy_s(name, dtype):
    x = np.array(VALUES + ENDS[dtype], dtype)
    if name in UNARY:
        function, arguments = UNARY[name], [x]
    else:
        function, arguments = BINARY[name], [np.repeat(x, len(x)), np.tile(x, len(x))]
    wanted = function(*map(myad.Tensor, arguments)).numpy()
    same(myad.jit(function)(*arguments), wanted, dtype)


GRADIENTS = {
    "relu": myad.relu, "absolute": abs, "square": lambda x: x**2.0, "exp": myad.exp,
    "sigmoid": myad.sigmoid, "tanh": myad.tanh, "softplus": myad.softplus,
    "clip": lambda x: myad.clip(x, -1.0, 1.0), "where": UNARY["where"], "log": myad.log,
    "maximum": lambda x: ops.maximum(x, np.zeros((), x.dtype)),
    "max": lambda x: x.reshape((-1, 1)).max(axis=1), "cube": lambda x: x**3.0,
}  # fmt: skip


@pytest.mark.parametrize("dtype", ENDS)
@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_eager_ones(name, dtype):
    x = np.array(VALUES, dtype)
    gradient = myad.grad(lambda x, s: (GRADIENTS[name](x) * s).sum())
    for scale in (1.0, -3.0):
        s = np.full(len(x), scale, dtype)
        same(myad.jit(gradient)(x, s), gradient(x, s), dtype)


POOLS = {
    "max": lambda x: myad.max_pooling2d(x, 2),
    "overlapping": lambda x: myad.max_pooling2d(x, 3, 1),
    "same": lambda x: myad.max_pooling2d(x, 3, 2, padding="same"),
    "average": lambda x: myad.average_pooling2d(x, 2, padding="same"),
}


@pytest.mark.parametrize("place", [0, 7, 40])
@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan])
@pytest.mark.parametrize("pool", POOLS.values(), ids=POOLS)
def test_pooling_keeps_what_is_not_finite_in_its_window(pool, value, place, rng):
    x = rng.standard_normal((1, 9, 7, 2))
    x.reshape(-1)[place] = value
    same(myad.jit(pool)(x), np.asarray(pool(x)), "float64")
    weights = rng.standard_normal(pool(x).shape)
    gradient = myad.grad(lambda x: (pool(x) * weights).sum())
    same(myad.jit(gradient)(x), gradient(x), "float64")


def test_constants_of_both_zeros_are_two():
    both = np.array([0.0, -0.0, 0.0])

    def f(x):
        quotients = 1 / myad.where(x > 2, x, both)  # one constant array
        return quotients, myad.where(x > 2, x, 0.0) * 2 + 1 / myad.where(x > 2, x, -0.0)

    x = np.ones(3)
    with np.errstate(divide="ignore"):
        wanted = f(x)
    for got, expected in zip(myad.jit(f)(x), wanted, strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ENDS)
def test_cross_entropy_of_masked_classes(dtype):
    logits = np.array([[0.0, -np.inf, 1.0], [-np.inf, -np.inf, 2.0]], dtype)
    labels = np.array([2, 2])
    loss = myad.value_and_grad(lambda x: myad.sparse_softmax_cross_entropy(x, labels).sum())
    for got, wanted in zip(myad.jit(loss)(logits), loss(logits), strict=True):
        assert np.isfinite(got).all()
        same(got, np.asarray(wanted), dtype)
