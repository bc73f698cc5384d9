"""Assignment to items as a function, slices at places of data, and indices of every kind."""

import numpy as np
import pytest

import myad
from myad import Tensor, check_gradient, errors

RNG = np.random.default_rng(11)
X = RNG.standard_normal((4, 5, 3))
PLACES, J = np.array([[0, -1], [2, 0]]), np.array([1, 4])
INDICES = {
    "number": 2, "numbers": (1, -2), "slice": slice(1, 3), "steps": (slice(None, None, -2), 0),
    "dots": (..., 1), "new axis": (None, slice(1, None)), "array": PLACES, "pair": (PLACES, J),
    "three": (PLACES, J, np.array(2)), "mask": X[:, 0, 0] > 0, "list": [1, 1, 3],
}  # fmt: skip
MIXED = {
    "array behind a slice": (slice(None), J), "array behind dots": (..., np.array([2, 0])),
    "number and array": (1, slice(None), PLACES % 3),
    "apart": (PLACES, slice(1, None, 2), np.array([0, 2])),
    "array and number": (J % 4, 2), "between": (slice(None), J, slice(0, 2)),
    "with a new axis": (None, slice(None), J), "scalar array": (slice(None), np.array(3)),
}  # fmt: skip


@pytest.mark.parametrize("name", INDICES)
@pytest.mark.parametrize("method", ["set", "add"])
def test_updates_are_numpys(name, method):
    index = INDICES[name]
    values = RNG.standard_normal(X[index].shape)
    for given in (values, 2.5, values[..., :1]):
        wanted = X.copy()
        if method == "set":
            wanted[index] = given
        else:
            np.add.at(wanted, index, given)
        before = X.copy()
        for x in (Tensor(X).at, myad.at(X)):
            np.testing.assert_allclose(getattr(x[index], method)(given), wanted, rtol=1e-13)
        np.testing.assert_array_equal(X, before)

    def f(x, v):
        return getattr(myad.at(x)[index], method)(v)

    np.testing.assert_allclose(myad.jit(f)(X, values), f(X, values), rtol=1e-13)
    check_gradient(f, [X, values], order=1)
    weights = np.cos(X)
    gradient = myad.grad(lambda x, v: (f(x, v) ** 2 * weights).sum(), (0, 1))
    for z, w in zip(myad.jit(gradient)(X, values), gradient(X, values), strict=True):
        np.testing.assert_allclose(z, w, rtol=1e-13)


@pytest.mark.parametrize("name", [*INDICES, *MIXED])
def test_indexing_is_numpys_eager_and_compiled(name):
    index = {**INDICES, **MIXED}[name]
    np.testing.assert_array_equal(Tensor(X)[index], X[index])
    np.testing.assert_array_equal(myad.jit(lambda x: x[index])(X), X[index])
    check_gradient(lambda x: x[index] * 1.0, [X], order=1)


def test_arrays_may_be_data():
    f = myad.jit(lambda x, i: (x[i], x[:, i % 5], x[i, i], x.at[i].add(x[i])))
    for i in (np.array(2), np.array([0, 3, -1], np.int32), np.array([[1], [2]], np.uint8)):
        expected = X[i], X[:, i % 5], X[i, i]
        found = f(X, i)
        for z, w in zip(found, expected, strict=False):
            np.testing.assert_array_equal(z, w)
        added = X.copy()
        np.add.at(added, i, X[i])
        np.testing.assert_allclose(found[-1], added, rtol=1e-13)
    with pytest.raises(errors.TraceError, match="how many elements a mask picks"):
        myad.jit(lambda x, m: x[m])(X, X > 0)


def test_dynamic_slices():
    def cut(x, a, b):
        return myad.dynamic_slice(x, (a, b, 0), (2, 3, 3))

    def put(x, v, a, b):
        return myad.dynamic_update_slice(x, v, (a, b, 0))

    v = RNG.standard_normal((2, 3, 3))
    for a, b in ((0, 0), (2, 2), (np.array(1), np.array(-4))):
        wanted = X[a : a + 2, b % 5 : b % 5 + 3]
        np.testing.assert_array_equal(cut(X, a, b), wanted)
        np.testing.assert_array_equal(myad.jit(cut)(X, np.asarray(a), np.asarray(b)), wanted)
        changed = X.copy()
        changed[a : a + 2, b % 5 : b % 5 + 3] = v
        np.testing.assert_array_equal(put(X, v, a, b), changed)
        np.testing.assert_array_equal(myad.jit(put)(X, v, np.asarray(a), np.asarray(b)), changed)
    check_gradient(lambda x, v: put(x, v, 1, 2) * cut(x, 1, 1).sum(), [X, v], order=2)
    for call in (cut, myad.jit(cut)):
        with pytest.raises(IndexError, match="out of bounds for axis 1 with size 5"):
            call(X, np.array(0), np.array(3))
    with pytest.raises(errors.ShapeError, match="one start and one size per axis"):
        myad.dynamic_slice(X, (0,), (1,))


def test_refusals():
    with pytest.raises(errors.DTypeError, match="at: dtypes differ"):
        myad.at(X)[0].set(np.ones((5, 3), np.float32))
    with pytest.raises(errors.ShapeError, match="cannot be mixed"):
        myad.at(X)[:, PLACES].set(1.0)
    with pytest.raises(errors.ShapeError, match="a mask cannot be mixed"):
        Tensor(X)[:, X[0, :, 0] > 0]
    with pytest.raises(errors.ShapeError, match="cannot be stretched"):
        myad.at(X)[0].add(np.ones(4))
    with pytest.raises(IndexError, match="index 9 is out of bounds"):
        myad.at(X)[np.array([9])].set(1.0)
