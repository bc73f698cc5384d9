"""Operations at the edges: values as NumPy's, gradients at kinks, ties, infinity and NaN."""

import numpy as np
import pytest

import myad
from myad import Tensor, errors, grad, ops

INF, NAN = np.inf, np.nan
pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's, of infinities


def slope(f, x):
    return grad(lambda x: f(x).sum())(np.asarray(x, float))


@pytest.mark.parametrize("dtype", ["u1", "u4", "u8", "i1", "i8", "?", "f4"])
def test_extremes_of_every_dtype(dtype):
    x = np.array([[0, 1, 3], [1, 0, 2]]).astype(dtype)
    least = np.iinfo(dtype).min if dtype[0] == "i" else x.min()
    x[0, 0] = least
    for name in ("min", "max"):
        found = getattr(ops, name)(Tensor(x), axis=1)
        expected = getattr(np, name)(x, axis=1)
        np.testing.assert_array_equal(found.value, expected)
        assert found.dtype == expected.dtype


def test_clip_is_numpys():
    x = np.array([-2.0, 0.0, 3.0, NAN, INF])
    for low, high in [(-1.0, 1.0), (2.0, 1.0), (NAN, 1.0), (0.0, NAN), (-INF, INF)]:
        np.testing.assert_array_equal(ops.clip(x, low, high), np.clip(x, low, high))
        np.testing.assert_array_equal(ops.clip(Tensor(x), low, high).value, np.clip(x, low, high))
        both = np.full(5, low), Tensor(np.full(5, high))
        np.testing.assert_array_equal(ops.clip(Tensor(x), *both).value, np.clip(x, low, high))
    np.testing.assert_array_equal(ops.clip(Tensor([1, 5, 9]), 2, 6).value, [2, 5, 6])
    np.testing.assert_array_equal(ops.clip(Tensor([1, 5, 9]), None, 6).value, [1, 5, 6])
    np.testing.assert_array_equal(np.clip(Tensor([1, 5, 9]), 2, None).value, [2, 5, 9])
    np.testing.assert_array_equal(slope(lambda x: ops.clip(x, 0, 1), [-1, 0, 0.5, 1, 2]),
                                  [0, 1, 1, 1, 0])  # fmt: skip


REFUSED = {
    "float limit of integers": (lambda: ops.clip(Tensor([1, 2]), 0.5, 2), "0.5 is no int64"),
    "limit out of range": (lambda: ops.clip(np.ones(2, np.uint8), -1, 300), "out of the range"),
    "number out of range": (lambda: Tensor(np.ones(2, np.uint8)) + 300, "300 is out of the range"),
    "int with bool": (lambda: Tensor([True]) + 2, "add: dtypes differ"),
    "negative bool": (lambda: -Tensor([True]), "negative.*bool"),
    "bool difference": (lambda: Tensor([True]) - Tensor([True]), "subtract.*bool"),
    "sign of bool": (lambda: ops.sign(np.array([True])), "sign.*bool"),
    "exp of integers": (lambda: ops.exp(Tensor([1])), "exp: needs floating-point.*int64"),
    "pooling integers": (
        lambda: ops.max_pooling2d(np.ones((1, 2, 2, 1), int)),
        "pooling: needs floating-point.*int64",
    ),
    "float labels": (lambda: ops.one_hot(np.ones(2, np.float32), 3), "one_hot: labels must be"),
    "boolean labels": (
        lambda: ops.sparse_softmax_cross_entropy(np.ones((2, 3)), np.array([True, True])),
        "cross-entropy: labels must be integers.*bool",
    ),
    "words": (lambda: ops.relu("abc"), "'abc' is neither a tensor"),
    "an uneven list": (lambda: ops.sum([[1.0], [1.0, 2.0]]), "neither a tensor"),
}


@pytest.mark.parametrize(("call", "text"), REFUSED.values(), ids=REFUSED)
def test_what_no_dtype_can_hold_is_refused(call, text):
    with pytest.raises(errors.DTypeError, match="(?s)" + text):
        call()


def test_booleans_and_small_integers_are_numpys():
    x, y = np.array([False, True, True]), np.array([True, True, False])
    for name in ("add", "maximum", "minimum", "less", "less_equal", "equal", "multiply", "power"):
        found = getattr(ops, name)(Tensor(x), Tensor(y))
        expected = getattr(np, name)(x, y)
        np.testing.assert_array_equal(found.value, expected, err_msg=name)
        assert found.dtype == expected.dtype, name
    for dtype in ("i1", "i4", "u1", "u4", "?"):
        z = np.array([1, 0, 1, 1]).astype(dtype)
        for name in ("sum", "mean", "var"):
            found, expected = getattr(ops, name)(Tensor(z)), getattr(np, name)(z)
            assert (found.item(), found.dtype) == (expected, expected.dtype), (name, dtype)
    assert ops.mean(Tensor([3])).dtype == np.float64


def test_logsumexp_of_infinities():
    cases = {
        (-INF, 0.0): 0.0, (-INF, -INF): -INF, (INF, 0.0): INF, (INF, -INF): INF,
        (NAN, 0.0): NAN, (1e4, 1e4): 1e4 + np.log(2), (-1e4, -1e4): -1e4 + np.log(2),
    }  # fmt: skip
    with np.errstate(all="raise", under="ignore"):
        for x, expected in cases.items():
            np.testing.assert_allclose(ops.logsumexp(np.array(x)), expected)
    np.testing.assert_array_equal(slope(ops.logsumexp, [-INF, 0.0]), [0, 1])
    np.testing.assert_array_equal(slope(ops.logsumexp, [-INF, -INF]), [0, 0])


KINKS = {
    # f, points, derivatives there
    "relu": (ops.relu, [-INF, -1, 0, 1, INF, NAN], [0, 0, 0, 1, 1, 0]),
    "elu": (lambda x: ops.elu(x, 2.0), [-INF, 0, 1, 1e4, INF, NAN], [0, 2, 1, 1, 1, NAN]),
    "leaky_relu": (ops.leaky_relu, [-INF, -1, 0, 1, INF, NAN], [0.2, 0.2, 0.2, 1, 1, 0.2]),
    "log of relu": (lambda x: ops.log(ops.relu(x)), [-1.0, 0.0, 2.0], [0, 0, 0.5]),
    "absolute": (ops.absolute, [-1, 0, 1, INF, NAN], [-1, 0, 1, 1, NAN]),
    "clip": (lambda x: ops.clip(x, 0.0, 1.0), [-1, 0, 1, INF], [0, 1, 1, 0]),
    "where": (lambda x: ops.where(x > 0, x, NAN), [-1.0, 1.0, INF], [0, 1, 1]),
    "sigmoid": (ops.sigmoid, [-1e4, -INF, INF], [0, 0, 0]),
    "softplus": (ops.softplus, [-1e4, 0, 1e4], [0, 0.5, 1]),
    "tanh": (ops.tanh, [-1000, 0, 1000], [0, 1, 0]),
    "maximum": (lambda x: ops.maximum(x, 1.0), [0, 1, 2, INF, NAN], [0, 0.5, 1, 1, 1]),
    "maximum with NaN": (lambda x: ops.maximum(x, NAN), [0, INF, NAN], [0, 0, 0.5]),
    "minimum": (lambda x: ops.minimum(x, 1.0), [0, 1, 2, -INF, NAN], [1, 0.5, 0, 1, 1]),
    "log of maximum": (lambda x: ops.log(ops.maximum(x, 0.0)), [-1.0, 2.0], [0, 0.5]),
    "max": (ops.max, [1, 3, 3, NAN], [0, 0, 0, 1]),
    "max of infinities": (ops.max, [INF, 1, INF], [0.5, 0, 0.5]),
    "min": (ops.min, [1, 1, 3, 1], [1 / 3, 1 / 3, 0, 1 / 3]),
    "log of max": (lambda x: ops.log(ops.max(x)), [0.0, -1.0], [INF, 0]),
}


@pytest.mark.parametrize(("f", "points", "expected"), KINKS.values(), ids=KINKS)
def test_derivatives_at_kinks(f, points, expected):
    np.testing.assert_array_equal(slope(f, points), expected)


@pytest.mark.parametrize("strides", [2, 1])
def test_max_pooling_at_infinity_and_nan(strides):
    def pooled(window):
        image = np.array(window, float).reshape(1, 2, 2, 1)
        return slope(lambda x: ops.log(ops.max_pooling2d(x, 2, strides)), image).ravel().tolist()

    assert pooled([-1, 0, -1, 0]) == [0, INF, 0, 0]  # an infinite gradient, and the first of two
    assert pooled([1, INF, 2, INF]) == [0, 0, 0, 0]
    assert np.isnan(pooled([1, 2, NAN, 3])).tolist() == [True, False, False, False]


def test_masks_of_another_shape_are_refused():
    x = Tensor(np.arange(6.0).reshape(2, 3))
    mask = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_array_equal(x[mask].value, [0, 2, 5])
    np.testing.assert_array_equal(x[np.array([True, False])].value, [[0, 1, 2]])
    for shape in ((3,), (3, 2), (2, 3, 1), ()):
        with pytest.raises(errors.ShapeError, match="indexing: a mask"):
            x[np.ones(shape, bool)]
    with pytest.raises(errors.ShapeError, match=r"mask \(2,\) for axes of lengths \(3,\)"):
        x[np.array([0, 1]), np.array([True, False])]


def test_empty_indices():
    x = np.arange(6.0).reshape(2, 3)
    assert Tensor(x)[[]].shape == x[[]].shape == (0, 3)
    assert ops.take(x, []).shape == (0, 3)
    assert ops.take(Tensor(x), [], axis=1).shape == (2, 0)
    np.testing.assert_array_equal(slope(lambda x: x[[]], x), np.zeros((2, 3)))
    with pytest.raises(errors.DTypeError, match="indices must be integers"):
        Tensor(x)[np.array([])]


def test_where_takes_plain_conditions_and_numbers():
    x = Tensor(np.ones(2, np.float32), requires_grad=True)
    found = [ops.where(True, x, 0.0), ops.where(False, 0, x), ops.where([True, False], x, x)]
    assert [(z.dtype, z.value.tolist()) for z in found] == [(np.float32, [1, 1])] * 3
    count = Tensor(np.ones(2, np.int32))
    assert ops.where(Tensor([True, False]), count, 0).dtype == np.int32


PLAIN = ["relu", "softplus", "sigmoid", "tanh", "exp", "sqrt", "silu", "elu", "leaky_relu"]
ALONG = ["softmax", "log_softmax", "logsumexp", "sum", "mean", "max", "min", "var"]


@pytest.mark.parametrize("name", [*PLAIN, *ALONG])
def test_plain_numbers_and_lists_are_arrays(name):
    op = getattr(ops, name)
    np.testing.assert_array_equal(op([1.0, 2.0]), op(np.array([1.0, 2.0])))
    if name in PLAIN:
        np.testing.assert_array_equal(op(2.0), op(np.array(2.0)))


def test_lists_of_two_inputs():
    np.testing.assert_array_equal(ops.add([1.0, 2.0], [3.0, 4.0]), [4, 6])
    np.testing.assert_array_equal(ops.matmul([[1.0, 2.0]], [3.0, 4.0]), [11])
    np.testing.assert_array_equal((Tensor([1.0, 2.0]) * [3.0, 4.0]).value, [3, 8])
    myad.check_gradient(lambda x, y: x * y, [[1.0, 2.0], [3.0, 4.0]])


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i1", "i4", "i8", "u1", "u8", "?"])
def test_images_of_every_dtype(dtype):
    images = np.arange(32).reshape(2, 4, 4, 1).astype(dtype)
    kernel = np.ones((2, 2, 1, 1), dtype)
    tiles = images.reshape(2, 2, 2, 2, 2, 1).astype(float)
    cases = [
        (lambda x: ops.conv2d(x, kernel, strides=2), tiles.sum((2, 4))),
        (lambda x: ops.max_pooling2d(x, 2), tiles.max((2, 4))),
        (lambda x: ops.average_pooling2d(x, 2), tiles.mean((2, 4))),
    ]
    for op, expected in cases:
        for given in (images, Tensor(images)):
            if images.dtype.kind == "f":
                found = op(given)
                assert found.dtype == images.dtype
                np.testing.assert_array_equal(getattr(found, "value", found), expected)
            else:
                with pytest.raises(errors.DTypeError, match=images.dtype.name):
                    op(given)


def test_labels_and_keys_are_not_stretched_or_cast():
    with pytest.raises(errors.ShapeError, match=r"needs logits \(N, K\), labels \(N,\)"):
        ops.sparse_softmax_cross_entropy(np.ones((3, 2)), np.array([1]))
    with pytest.raises(errors.ShapeError, match="key must be uint32"):
        ops.random_uniform(np.array([1, 2]), shape=(2,), dtype=np.dtype("f4"))


def test_empty_batches_of_images():
    images, kernel = np.ones((0, 5, 5, 1)), np.ones((2, 2, 1, 3))
    for strides in (1, 2):

        def f(x, k, strides=strides):
            return ops.max_pooling2d(ops.relu(ops.conv2d(x, k, strides=strides)), 2)

        shape = f(np.ones((4, 5, 5, 1)), kernel).shape[1:]
        assert f(images, kernel).shape == (0, *shape)
        dx, dk = grad(lambda x, k, f=f: f(x, k).sum(), (0, 1))(images, kernel)
        assert (dx.shape, dk.any()) == ((0, 5, 5, 1), False)
    assert ops.average_pooling2d(Tensor(images), 2).shape == (0, 2, 2, 1)


@pytest.mark.parametrize(
    ("dtype", "value", "found"),
    [
        ("i8", 2**53 + 1, 2**53 + 1), ("u1", 255, 255), ("i2", -3.0, -3), ("?", True, True),
        ("f4", 0.5, 0.5), ("f8", INF, INF), ("u1", 300, None), ("u1", -1, None), ("i1", 0.5, None),
        ("i4", NAN, None), ("?", 2, None),
    ],
)  # fmt: skip
def test_what_is_padded_fits_the_dtype(dtype, value, found):
    x = np.ones(1, dtype)
    for padded in (lambda x: ops.pad(Tensor(x), [(0, 1)], value).value,
                   myad.jit(lambda x: ops.pad(x, [(0, 1)], value))):  # fmt: skip
        if found is None:
            with pytest.raises(errors.DTypeError, match=f"{value} is .*{x.dtype.name}"):
                padded(x)
        else:
            np.testing.assert_array_equal(padded(x), np.array([1, found], dtype))


@pytest.mark.parametrize(("shape", "axis"), [((2, 0), 1), ((2, 0), 0), ((0, 3), 1)])
def test_softmax_of_nothing(shape, axis):
    x = np.ones(shape)

    def value_and_slope(x):
        return ops.softmax(x, axis), grad(lambda x: ops.softmax(x, axis).sum())(x)

    for result in (*value_and_slope(x), *myad.jit(value_and_slope)(x)):
        assert np.asarray(result).shape == shape
