"""Broadcasting, indexing and reductions on generated shapes, against NumPy and jax.grad."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import myad
from myad import Tensor, check_gradient, grad, ops

COMMON = settings(max_examples=60, deadline=None, derandomize=True)
SHAPES = hnp.array_shapes(min_dims=0, max_dims=4, min_side=1, max_side=4)


def values(shape, seed):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


@st.composite
def reductions(draw):
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    ndim = len(shape)
    axes = st.lists(
        st.integers(-ndim, ndim - 1), min_size=1, max_size=ndim, unique_by=lambda a: a % ndim
    )
    axis = draw(st.none() | st.integers(-ndim, ndim - 1) | axes.map(tuple))
    return shape, axis, draw(st.booleans())


@COMMON
@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4), st.integers(0, 99))
def test_broadcasting_is_numpys(shapes, seed):
    x, y = (values(s, seed + i) for i, s in enumerate(shapes.input_shapes))
    for op, reference in [
        (ops.add, np.add),
        (ops.subtract, np.subtract),
        (ops.multiply, np.multiply),
        (ops.divide, np.divide),
        (ops.maximum, np.maximum),
        (ops.power, np.power),
    ]:
        z = op(Tensor(x), Tensor(y))
        np.testing.assert_array_equal(z.value, reference(x, y))
        assert z.shape == shapes.result_shape
    check_gradient(lambda x, y: x * y + x / y, [x, y])


@COMMON
@given(reductions(), st.sampled_from(["sum", "mean", "max", "min", "var"]), st.integers(0, 99))
def test_reductions_are_numpys(case, name, seed):
    shape, axis, keepdims = case
    x = values(shape, seed)
    found = getattr(ops, name)(Tensor(x), axis, keepdims)
    expected = getattr(np, name)(x, axis=axis, keepdims=keepdims)
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.value, expected, rtol=1e-12, atol=1e-14)
    check_gradient(lambda x: getattr(ops, name)(x, axis, keepdims), [x])


@COMMON
@given(reductions(), st.integers(0, 99))
def test_float32_sums_are_as_exact_as_numpys(case, seed):
    shape, axis, keepdims = case
    x = values(shape, seed).astype(np.float32)
    found = ops.sum(x, axis, keepdims)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.sum(x, axis=axis, keepdims=keepdims), rtol=1e-6)


@COMMON
@given(st.data(), st.integers(0, 99))
def test_basic_indexing_is_numpys(data, seed):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5))
    index = data.draw(hnp.basic_indices(shape, allow_newaxis=True, allow_ellipsis=True))
    x = values(shape, seed)
    found = Tensor(x)[index]
    expected = x[index]
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found.value, expected)
    if expected.size:
        check_gradient(lambda x: x[index] * 1.0, [x])


@COMMON
@given(st.data(), st.integers(0, 99))
def test_integer_indexing_is_numpys(data, seed):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=3, min_side=1, max_side=5))
    x = values(shape, seed)
    index = data.draw(hnp.integer_array_indices(shape, dtype=np.int64))
    np.testing.assert_array_equal(Tensor(x)[index].value, x[index])
    check_gradient(lambda x: x[index] * 1.0, [x])
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    picked = data.draw(hnp.arrays(np.int64, (2, 3), elements=st.integers(0, shape[axis] - 1)))
    np.testing.assert_array_equal(ops.take(x, picked, axis), np.take(x, picked, axis))
    check_gradient(lambda x: ops.take(x, picked, axis), [x])


@COMMON
@given(st.data(), st.integers(0, 99))
def test_moving_elements_is_numpys(data, seed):
    shape = data.draw(hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=4))
    x = values(shape, seed)
    axes = data.draw(st.permutations(range(len(shape))))
    widths = data.draw(
        st.lists(st.tuples(*[st.integers(0, 2)] * 2), min_size=x.ndim, max_size=x.ndim)
    )
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    np.testing.assert_array_equal(ops.transpose(x, axes), x.transpose(axes))
    np.testing.assert_array_equal(ops.pad(x, widths, 3.0), np.pad(x, widths, constant_values=3.0))
    np.testing.assert_array_equal(
        ops.concatenate([x, 2 * x], axis), np.concatenate([x, 2 * x], axis)
    )
    np.testing.assert_array_equal(ops.stack([x, -x], axis), np.stack([x, -x], axis))
    check_gradient(lambda x: ops.stack([ops.pad(x, widths), ops.pad(-x * x, widths)], axis), [x])


@pytest.fixture(scope="module")
def jax():
    return pytest.importorskip("jax", reason="jax is an extra")


FORMULAS = {
    "softmax": lambda m, x: (m.softmax(x, -1) * m.sin(x)).sum(),
    "logsumexp": lambda m, x: (m.logsumexp(x * 3.0, 0) ** 2).sum(),
    "variance": lambda m, x: (x - x.mean(0)).var(1).sum() + m.tanh(x[::-1] @ x.T).max(),
    "softplus": lambda m, x: m.log(m.softplus(x) + m.sqrt(m.absolute(x))).mean(),
    "where": lambda m, x: m.where(x > 0.2, m.exp(-x), m.relu(x) + m.cos(x)).sum(),
    "einsum": lambda m, x: (m.einsum("ij,kj->ik", x, m.sigmoid(x)) ** 2).sum(),
}


@pytest.mark.parametrize("name", FORMULAS)
@settings(max_examples=5, deadline=None, derandomize=True)
@given(shape=st.just((3, 4)), seed=st.integers(0, 99))  # jax compiles anew for every shape
def test_gradients_are_those_of_jax(jax, name, shape, seed):
    class Names:
        """jax by the names of myad.ops."""

        def __getattr__(self, attribute):
            for module in (jax.nn, jax.numpy):
                if hasattr(module, attribute):
                    return getattr(module, attribute)
            raise AttributeError(attribute)

    x = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    ours = grad(lambda x: FORMULAS[name](ops, x))(x)
    theirs = jax.grad(lambda x: FORMULAS[name](Names(), x))(x)
    np.testing.assert_allclose(ours, theirs, rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize(
    "subscripts", ["ij,jk->ik", "i,i->", "ij->ji", "ij->", "ij,kl->ilkj", "ij,ij,jk->k"]
)
def test_einsum_is_numpys(subscripts, rng):
    sizes = dict(zip("ijkl", (2, 3, 4, 5), strict=True))
    terms = subscripts.split("->")[0].split(",")
    arrays = [rng.standard_normal([sizes[a] for a in term]) for term in terms]
    np.testing.assert_allclose(
        ops.einsum(subscripts, *arrays), np.einsum(subscripts, *arrays), rtol=1e-12
    )
    check_gradient(lambda *a: ops.einsum(subscripts, *a), arrays, order=2)


@pytest.mark.parametrize(
    "shapes", [((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 2)), ((4, 2, 3), (3,))]
)
def test_matmul_of_vectors_is_numpys(shapes, rng):
    x, y = (rng.standard_normal(s) for s in shapes)
    np.testing.assert_allclose(ops.matmul(x, y), x @ y)
    check_gradient(ops.matmul, [x, y])


def test_equal_maxima_share(rng):
    x = np.array([[1.0, 3.0, 3.0], [2.0, 2.0, 2.0]])
    np.testing.assert_allclose(
        grad(lambda x: x.max(axis=1).sum())(x), [[0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
    )
    one = np.ones(2)
    assert [list(g) for g in grad(lambda x, y: myad.maximum(x, y).sum(), (0, 1))(one, one)] == [
        [0.5, 0.5],
        [0.5, 0.5],
    ]


def test_the_first_maximum_of_a_window_gets_the_gradient():
    x = np.zeros((1, 2, 4, 1))
    x[0, :, :, 0] = [[0, 1, 2, 2], [1, 1, 2, 2]]
    gradient = grad(lambda x: myad.max_pooling2d(x, 2).sum())(x)
    np.testing.assert_array_equal(gradient[0, :, :, 0], [[0, 1, 1, 0], [0, 0, 0, 0]])


def test_power_at_zero_has_finite_derivatives():
    assert grad(lambda x: x**2)(0.0) == 0.0
    assert grad(lambda x: x**1)(0.0) == 1.0
    assert grad(lambda x: x**0)(0.0) == 0.0
    assert grad(grad(lambda x: x**2))(0.0) == 2.0
    assert grad(lambda y: 0.0**y)(2.0) == 0.0
    assert grad(lambda x: x**3)(-2.0) == 12.0
