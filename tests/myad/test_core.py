"""Tensor and Primitive: recording, accumulation, errors; and the life of the record."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import myad
from myad import Tensor, errors, no_grad
from myad.ops.arithmetic import add
from myad.ops.reduce import reduce_sum


def leaf(value, **options):
    return Tensor(np.asarray(value, float), requires_grad=True, **options)


def test_operators_and_their_gradients(rng):
    x, y = leaf(rng.uniform(1, 2, 3)), leaf(rng.uniform(1, 2, 3))
    z = (x * y + 2 / x - y**2 + (3 - x) ** 2 - (-y) + abs(x) + 2**y).sum()
    z.backward()
    a, b = x.value, y.value
    np.testing.assert_allclose(
        z.value, (a * b + 2 / a - b**2 + (3 - a) ** 2 + b + abs(a) + 2**b).sum()
    )
    np.testing.assert_allclose(x.grad.value, b - 2 / a**2 - 2 * (3 - a) + 1)
    np.testing.assert_allclose(y.grad.value, a - 2 * b + 1 + np.log(2) * 2**b)


def test_comparisons_are_elementwise():
    x = Tensor([1.0, 2.0, 3.0])
    for found, expected in [
        (x < 2.0, [True, False, False]),
        (x <= 2.0, [True, True, False]),
        (x > 2.0, [False, False, True]),
        (x >= 2.0, [False, True, True]),
        (x == 2.0, [False, True, False]),
        (x != 2.0, [True, False, True]),
    ]:
        np.testing.assert_array_equal(found.value, expected)


def test_methods_are_operations(rng):
    x = leaf(rng.standard_normal((2, 3)))
    a = x.value
    for found, expected in [
        (x.sum(), a.sum()),
        (x.mean(axis=0), a.mean(axis=0)),
        (x.max(axis=1, keepdims=True), a.max(axis=1, keepdims=True)),
        (x.min(), a.min()),
        (x.var(axis=-1), a.var(axis=-1)),
        (x.reshape(3, -1), a.reshape(3, -1)),
        (x.reshape((6,)), a.reshape(6)),
        (x.transpose(), a.T),
        (x.transpose(1, 0), a.T),
        (x.T, a.T),
        (x.flatten(), a.ravel()),
        (x.clip(-0.5, 0.5), a.clip(-0.5, 0.5)),
        (x @ x.T, a @ a.T),
        (a.T @ x, a.T @ a),
        (x[1, ::-1], a[1, ::-1]),
    ]:
        np.testing.assert_allclose(found.value, expected)
    assert x.astype("float32").dtype == np.float32
    assert len(x) == 2
    assert [row.shape for row in x] == [(3,), (3,)]


def test_an_array_on_the_left_asks_the_tensor():
    z = np.ones(3) * Tensor(np.arange(3.0))
    assert isinstance(z, Tensor)
    np.testing.assert_array_equal(z.value, [0, 1, 2])


def test_numbers_take_the_tensors_dtype():
    x = Tensor(np.ones(2, np.float32))
    assert (x * 2.5 + 1).dtype == np.float32
    assert (2.5 / x).dtype == np.float32


def test_dtypes_are_not_mixed():
    with pytest.raises(errors.DTypeError, match=r"(?s)add: dtypes differ.*float32.*float64"):
        Tensor(np.ones(2, np.float32)) + np.ones(2)
    with pytest.raises(errors.DTypeError, match="multiply: dtypes differ"):
        Tensor(np.ones(2)) * np.arange(2)


def test_shapes_that_do_not_broadcast():
    with pytest.raises(
        errors.ShapeError, match=r"(?s)add: shapes do not broadcast.*\(2,\).*\(3,\)"
    ):
        Tensor(np.ones(2)) + np.ones(3)


def test_static_parameters_are_checked():
    with pytest.raises(
        errors.OptionError, match="reduce_sum: static parameters are axis, keepdims"
    ):
        reduce_sum(Tensor(np.ones(2)), axes=(0,))


def test_gradients_accumulate_over_uses_and_calls():
    x = leaf([1.0, 2.0])
    (x * x + x).sum().backward()
    np.testing.assert_array_equal(x.grad.value, [3, 5])
    (2.0 * x).sum().backward()
    np.testing.assert_array_equal(x.grad.value, [5, 7])


def test_backward_needs_a_scalar_or_a_seed():
    x = leaf([1.0, 2.0])
    with pytest.raises(errors.GraphError, match=r"backward: the output has shape \(2,\)"):
        (x * x).backward()
    (x * x).backward(np.array([1.0, 10.0]))
    np.testing.assert_array_equal(x.grad.value, [2, 40])
    with pytest.raises(errors.ShapeError, match=r"must be \(2,\) float64 like the output, not \(3"):
        (x * x).backward(np.ones(3))


def test_backward_of_what_depends_on_no_leaf():
    with pytest.raises(errors.GraphError, match="depends on no leaf"):
        Tensor(1.0).backward()
    x = leaf(1.0)
    with no_grad():
        z = x * x
    with pytest.raises(errors.GraphError, match="depends on no leaf"):
        z.backward()


def test_only_floating_point_leaves():
    with pytest.raises(errors.DTypeError, match="only floating-point ones have gradients: int"):
        Tensor([1, 2], requires_grad=True)
    x = leaf([1.0, 2.0])
    assert not (x > 1.0).requires_grad


def test_detach_and_no_grad_cut_the_record():
    x = leaf(3.0)
    z = x * (x * x).detach()
    z.backward()
    assert x.grad.item() == 9.0
    with no_grad():
        assert not (x * x).requires_grad
    assert (x * x).requires_grad


def test_create_graph_gives_second_derivatives():
    x = leaf(2.0)
    (x * x * x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert (first.item(), x.grad.item()) == (12.0, 12.0)


def test_a_freed_record_says_so():
    x = leaf(2.0)
    y = x * x
    y.backward()
    with pytest.raises(errors.GraphError, match=r"freed by an earlier backward.*keep_graph=True"):
        y.backward()
    y = x * x
    y.backward(keep_graph=True)
    y.backward()
    assert x.grad.item() == 12.0


def test_a_hundred_thousand_nodes_without_recursion():
    x = leaf(1.0)
    y = x
    for _ in range(100_000):
        y = y + 1.0
    y.backward()
    assert x.grad.item() == 1.0
    z = x
    for _ in range(100_000):
        z = z + 1.0
    del z  # a record nobody walked is given back without recursion too
    gc.collect()


def test_backward_frees_the_memory_of_the_record():
    x = leaf(np.ones(100_000))
    tracemalloc.start()
    y = x
    for _ in range(20):
        y = y * 1.0001
    loss = y.sum()
    del y
    held = tracemalloc.get_traced_memory()[0]
    loss.backward()
    left = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held > 19 * 800_000
    assert left < 2 * 800_000  # x.grad and small change


def test_a_step_leaves_no_garbage_to_collect():
    gc.collect()
    gc.disable()
    try:
        x = leaf(np.ones(3))
        y = (x * x).sum()
        kept = weakref.ref(y.inputs[0].value)
        y.backward()
        del y
        assert kept() is None
    finally:
        gc.enable()


def test_numpy_does_not_swallow_gradients():
    x = leaf([1.0, 2.0])
    with pytest.raises(errors.GraphError, match="detach"):
        np.asarray(x)
    with pytest.raises(errors.GraphError, match=r"numpy\.cbrt"):
        np.cbrt(x)
    assert np.exp(x).requires_grad
    np.testing.assert_array_equal(np.asarray(x.detach()), [1, 2])


def test_repr_shows_value_and_origin():
    x = leaf([1.0, 2.0])
    assert repr(x) == "Tensor([1., 2.], dtype=float64, leaf)"
    assert repr(x + x) == "Tensor([2., 4.], dtype=float64, op=add)"
    assert repr(add) == "<primitive add>"


def test_a_tensor_converts_like_a_number():
    x = Tensor(2.5)
    assert (float(x), int(x), bool(x), x.item()) == (2.5, 2, True, 2.5)
    with pytest.raises(TypeError, match="len"):
        len(x)


def test_things_that_are_no_numbers():
    with pytest.raises(errors.DTypeError, match="neither a tensor, nor an array, nor a number"):
        Tensor(1.0) + object()


def test_the_package_imports_nothing_heavy():
    import subprocess
    import sys

    code = (
        "import sys, myad; heavy = {'llvmlite', 'scipy', 'pandas', 'tensorflow', 'rich',"
        " 'torch', 'jax', 'harness'}; print(sorted(heavy & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_every_public_name_is_documented():
    for name in myad.__all__:
        if not name.startswith("__"):
            assert getattr(myad, name).__doc__, name
    for name in myad.ops.__all__:
        assert getattr(myad.ops, name).__doc__, name
