"""NumPy's functions on tensors, and the one list of public names."""

import numpy as np
import pytest

import myad
from myad import Tensor, errors, grad, ops

X = np.array([[0.5, 2.0, 1.5], [3.0, 1.0, 2.5]])
CALLS = {
    "sum": lambda x: np.sum(x),
    "sum along, by position": lambda x: np.sum(x, 1),
    "sum with None": lambda x: np.sum(x, 0, None),
    "mean": lambda x: np.mean(x, axis=0, keepdims=True),
    "max": lambda x: np.max(x, axis=1),
    "amin": lambda x: np.min(x),
    "var": lambda x: np.var(x, axis=0, ddof=1),
    "add.reduce": lambda x: np.add.reduce(x),
    "exp": lambda x: np.exp(x),
    "maximum": lambda x: np.maximum(x, np.ones(3)),
    "add with an array first": lambda x: np.add(np.ones((2, 3)), x),
    "array minus": lambda x: np.ones(3) - x,
    "NumPy's number times": lambda x: np.float64(3.0) * x,
    "greater": lambda x: np.greater(x, 1.0) * 1.0 if isinstance(x, np.ndarray) else
               myad.cast(np.greater(x, 1.0), float),
    "matmul": lambda x: np.matmul(x, np.transpose(x)),
    "where": lambda x: np.where(x > 1.0, x, 0.0),
    "clip": lambda x: np.clip(x, 1.0, a_max=2.0),
    "reshape": lambda x: np.reshape(x, (3, 2)),
    "transpose": lambda x: np.transpose(x, (1, 0)),
    "concatenate": lambda x: np.concatenate([x, np.ones((2, 1))], axis=1),
    "stack": lambda x: np.stack([x, x], axis=1),
    "pad": lambda x: np.pad(x, [(1, 0), (0, 2)], constant_values=7.0),
    "take of all": lambda x: np.take(x, [0, 5]),
    "take along": lambda x: np.take(x, [0, 2], axis=1),
    "broadcast_to": lambda x: np.broadcast_to(x, (2, 2, 3)),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
}  # fmt: skip


@pytest.mark.parametrize("f", CALLS.values(), ids=CALLS)
def test_numpys_functions_are_operations(f):
    found = f(Tensor(X, requires_grad=True))
    assert isinstance(found, Tensor)
    np.testing.assert_allclose(found.value, f(X), rtol=1e-12)
    assert found.requires_grad or found.op is None


def test_they_have_derivatives():
    np.testing.assert_allclose(grad(lambda x: np.sum(np.sin(x) * x))(X), np.sin(X) + X * np.cos(X))


def test_where_nobody_follows_numpy_computes():
    x = Tensor(X)
    assert np.argmax(x) == 3
    assert not np.isnan(x).any()
    np.testing.assert_array_equal(np.cumsum(x, axis=1), np.cumsum(X, axis=1))
    assert (np.shape(x), np.ndim(x), np.size(x)) == ((2, 3), 2, 6)
    assert np.shape(Tensor(X, requires_grad=True)) == (2, 3)


LEAF = Tensor(X, requires_grad=True)
REFUSED = {
    "out": (lambda: np.add(LEAF, 1.0, out=np.ones((2, 3))), "numpy.add: .*out="),
    "in place": (lambda: np.ones((2, 3)).__iadd__(LEAF), r"numpy.add: .*like \+="),
    "out of a function": (lambda: np.sum(LEAF, out=np.ones(())), "numpy.sum: .*use myad.sum"),
    "dtype": (lambda: np.sum(LEAF, dtype=np.float32), "numpy.sum: .*'dtype'; use myad.sum"),
    "dtype by position": (lambda: np.mean(LEAF, 0, np.float32), "numpy.mean: .*use myad.mean"),
    "where": (lambda: np.exp(LEAF, where=False), "numpy.exp: where cannot .* use myad.exp"),
    "unknown ufunc": (lambda: np.cbrt(LEAF), "numpy.cbrt: .*myad.ops, or detach"),
    "unknown function": (lambda: np.median(LEAF), "numpy.median: .*myad.ops, or detach"),
    "another padding": (lambda: np.pad(LEAF, [(1, 1)] * 2, mode="edge"), "see myad.pad"),
}


@pytest.mark.parametrize(("call", "text"), REFUSED.values(), ids=REFUSED)
def test_the_rest_says_what_to_use(call, text):
    with pytest.raises(errors.MyadError, match=text):
        call()


def test_names_are_listed_once():
    assert {"add", "concatenate", "conv2d", "greater", "where"} <= set(ops.__all__)
    assert "methods" not in ops.__all__
    for name in ops.__all__:
        assert getattr(myad, name) is getattr(ops, name)
        assert name in myad.__all__
    for name in {"sum", "mean", "clip", "take", "reshape"}:
        assert callable(getattr(Tensor, name))
    assert {"jit", "compile_training", "grad", "relu"} <= set(dir(myad))
