"""Transformations of functions of trees, and what may not leave a derivative."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pytest

import myad
from myad import Tensor, errors, grad, hessian_vector_product, jacobian, jvp, value_and_grad, vjp
from myad.tree import register_dataclass


class Pair(NamedTuple):
    left: object
    right: object


@register_dataclass
@dataclass
class Affine:
    w: object
    b: object


TREES = {
    "dict": lambda a, b: {"a": a, "b": b},
    "tuple": lambda a, b: (a, b),
    "list": lambda a, b: [a, b],
    "named tuple": lambda a, b: Pair(a, b),
    "dataclass": lambda a, b: Affine(a, b),
    "nested with None": lambda a, b: {"x": (a, None), "y": [Pair(b, ())]},
}
A, B = np.array([1.0, 2.0]), np.array(3.0)


def parts(tree):
    return myad.tree.leaves(tree)


def assert_same(found, expected):
    assert myad.tree.flatten(found)[1] == myad.tree.flatten(expected)[1]
    for x, y in zip(parts(found), parts(expected), strict=True):
        np.testing.assert_allclose(x, y)
        assert np.asarray(x).dtype == np.asarray(y).dtype


def cubes(tree):
    a, b = parts(tree)
    return (a**3).sum() + b**2 * a.sum()


@pytest.mark.parametrize("make", TREES.values(), ids=TREES)
def test_every_transformation_of_a_tree(make):
    x, v = make(A, B), make(np.array([1.0, 0.0]), np.array(1.0))
    assert_same(grad(cubes)(x), make(3 * A**2 + B**2, np.array(2 * 3.0 * 3.0)))
    value, tangent = jvp(cubes, (x,), (v,))
    assert (float(value), float(tangent)) == (9.0 + 27.0, 3.0 + 9.0 + 18.0)
    # H = diag(6a), 2b between a and b, 2·Σa
    assert_same(hessian_vector_product(cubes, x, v), make(np.array([12.0, 6.0]), np.array(12.0)))
    value, pullback = vjp(lambda x: make(parts(x)[0] * 2.0, parts(x)[1] * parts(x)[0]), x)
    assert_same(value, make(2 * A, 3 * A))
    (found,) = pullback(make(np.array([1.0, 0.0]), np.array([0.0, 1.0])))
    assert_same(found, make(np.array([2.0, 3.0]), np.array(2.0)))


def test_jacobian_of_a_tree_is_a_tree_of_trees():
    def f(p, scale=1.0):
        return {"u": p["a"] * p["b"] * scale, "v": (p["b"] ** 2, None, 5.0)}

    found = jacobian(f)({"a": A, "b": B}, scale=2.0)
    zero = np.zeros(())
    expected = {
        "u": {"a": 6 * np.eye(2), "b": 2 * A},
        "v": ({"a": np.zeros(2), "b": np.array(6.0)}, None, {"a": np.zeros(2), "b": zero}),
    }
    assert_same(found, expected)
    both = jacobian(lambda x, y: x * y, argnums=(0, -1))(A, B)
    assert_same(both, (3 * np.eye(2), A))
    assert jacobian(lambda x: x[:0])(A).shape == (0, 2)
    matrix, aux = jacobian(lambda x: (x * x, "aux"), has_aux=True)(A)
    np.testing.assert_array_equal(matrix, np.diag(2 * A))
    assert aux == "aux"


def test_the_hessian_product_of_the_issue():
    found = hessian_vector_product(
        lambda p: (p["a"] ** 3).sum(), {"a": np.ones(2)}, {"a": np.ones(2)}
    )
    np.testing.assert_array_equal(found["a"], [6, 6])


@pytest.mark.parametrize("constant", [3.0, 3, np.float32(2), np.ones(()), Tensor(1.0)])
def test_constants_have_zero_gradients(constant):
    x = {"a": np.ones(2, np.float32), "b": (1.0, None)}
    gradient = parts(grad(lambda p: constant)(x))
    assert [(np.shape(g), np.asarray(g).dtype) for g in gradient] == [((2,), "f4"), ((), "f8")]
    assert not any(np.asarray(g).any() for g in gradient)
    tangent = jvp(lambda p: (constant, None), (x,), (x,))[1]
    assert float(tangent[0]) == 0.0
    _, pullback = vjp(lambda p: {"c": constant}, x)
    assert not np.asarray(pullback({"c": 1.0})[0]["a"]).any()


def test_negative_and_several_argnums_and_keywords():
    def f(x, y, z, *, scale=1.0):
        return x * y**2 * z**3 * scale

    assert grad(f, -1)(2.0, 3.0, 1.0) == 54.0
    assert grad(f, argnums=(-1, 0))(2.0, 3.0, 1.0, scale=2.0) == (108.0, 18.0)
    value, pullback = vjp(f, 2.0, 3.0, 1.0, scale=2.0)
    assert (float(value), [float(g) for g in pullback(1.0)]) == (36.0, [18.0, 24.0, 108.0])
    assert jvp(f, (2.0, 3.0, 1.0), (1.0, 0.0, 0.0), scale=2.0)[1] == 18.0
    assert hessian_vector_product(lambda x, scale: scale * x**3, 2.0, 1.0, scale=5.0) == 60.0
    assert value_and_grad(lambda x, p: x * p["w"])(2.0, {"w": 3.0}) == (6.0, 3.0)


def test_aux_where_jax_has_it():
    def f(x):
        return x * x, {"twice": 2.0 * x, "text": "kept"}

    gradient, aux = grad(f, has_aux=True)(3.0)
    assert (gradient, aux) == (6.0, {"twice": 6.0, "text": "kept"})
    value, pullback, aux = vjp(f, 3.0, has_aux=True)
    assert (value, pullback(1.0)[0], aux["twice"]) == (9.0, 6.0, 6.0)
    value, tangent, aux = jvp(f, (3.0,), (1.0,), has_aux=True)
    assert (value, tangent, aux["twice"]) == (9.0, 6.0, 6.0)


REFUSALS = {
    "dict for a scalar": (
        lambda: grad(lambda x: {"a": x})(1.0),
        errors.GraphError,
        r"returned \{'a': \*\}, which is no scalar.*has_aux=True",
    ),
    "nothing returned": (
        lambda: grad(lambda x: None)(1.0),
        errors.GraphError,
        "returned None, which is no scalar",
    ),
    "vector for a scalar": (
        lambda: grad(lambda x: np.ones(2))(1.0),
        errors.GraphError,
        r"output has shape \(2,\)",
    ),
    "text": (
        lambda: vjp(lambda x: (x, "text"), 1.0),
        errors.DTypeError,
        "returned 'text', which is no real number.*has_aux",
    ),
    "integer argument": (
        lambda: grad(lambda p: p["w"])({"w": 1.0, "n": 3}),
        errors.DTypeError,
        r"only floating-point arguments have gradients, and argument 0\.n is int64",
    ),
    "argument by name": (
        lambda: grad(lambda x: x)(x=1.0),
        errors.DTypeError,
        "those given by name are not differentiated",
    ),
    "argnums": (lambda: grad(lambda x: x, "x"), errors.OptionError, "argnums: must be an integer"),
    "tangents of another structure": (
        lambda: jvp(lambda p: p["a"], ({"a": 1.0},), ((1.0,),)),
        errors.TreeError,
        r"tangents: must be nested like \(\{'a': \*\},\), not like \(\(\*,\),\)",
    ),
    "tangents are no tuple": (
        lambda: jvp(lambda x: x, (1.0,), 1.0),
        errors.TreeError,
        "tangents must be a tuple",
    ),
    "too few tangents": (
        lambda: jvp(lambda x, y: x, (1.0, 2.0), (1.0,)),
        errors.TreeError,
        "must be nested like",
    ),
    "upstream of another structure": (
        lambda: vjp(lambda x: {"a": x}, 1.0)[1]([1.0]),
        errors.TreeError,
        r"upstream gradient: must be nested like \{'a': \*\}, not like \[\*\]",
    ),
    "no aux": (
        lambda: grad(lambda x: x, has_aux=True)(1.0),
        errors.TreeError,
        "must return .result, anything",
    ),
}


@pytest.mark.parametrize(("call", "error", "text"), REFUSALS.values(), ids=REFUSALS)
def test_wrong_uses_are_named(call, error, text):
    with pytest.raises(error, match="(?s)" + text):
        call()


LEAVING = {
    "math.sin": lambda x: math.sin(x) * x,
    "float": lambda x: float(x) * x,
    "int": lambda x: int(x) * x,
    "item": lambda x: x.item() * x,
    "numpy": lambda x: x.numpy() * x,
    "np.asarray": lambda x: np.asarray(x) * x,
    "np.array of a list": lambda x: np.array([x, 1.0]).sum() * x,
    "numpy's searchsorted": lambda x: float(np.searchsorted([1.0], x)) * x,
}
TRANSFORMS = {
    "grad": lambda f: grad(f)(1.5),
    "vjp": lambda f: vjp(f, 1.5),
    "jvp": lambda f: jvp(f, (1.5,), (1.0,)),
    "jacobian": lambda f: jacobian(f)(1.5),
    "grad of a tensor": lambda f: grad(f)(Tensor(1.5)),
    "grad of a leaf": lambda f: grad(f)(Tensor(1.5, requires_grad=True)),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
@pytest.mark.parametrize("f", LEAVING.values(), ids=LEAVING)
def test_a_value_that_leaves_a_derivative_raises(f, transform):
    with pytest.raises(errors.GraphError, match=r"detach\(\)"):
        transform(f)


def test_what_may_be_read_inside_and_outside():
    leaf = Tensor(2.0, requires_grad=True)
    loss = leaf * leaf
    assert (float(loss), int(loss), loss.item(), math.sqrt(loss)) == (4.0, 4, 4.0, 2.0)
    seen = []

    def f(x):
        seen.append(float(x.detach()))
        with myad.no_grad():
            seen.append(float(x))
        return x * x if x > 1.0 and x else x

    assert grad(f)(3.0) == 6.0
    assert grad(f)(0.5) == 1.0
    assert seen == [3.0, 3.0, 0.5, 0.5]
    # an index depends on nothing smoothly: its derivative is zero, so nothing is lost
    assert grad(lambda x: float(np.argmax(x)) * x.sum())(np.array([1.0, 3.0])).tolist() == [1, 1]
    # a constant of an outer derivative's argument may not be read inside an inner one either
    with pytest.raises(errors.GraphError, match="detach"):
        grad(lambda x: grad(lambda y: y * float(x))(1.0))(2.0)


def test_backward_twice_says_what_happened():
    x = Tensor([1.0, 2.0], requires_grad=True)
    for loss in (x.sum(), x.max(axis=0), x.reshape(2, 1)[0, 0]):
        loss.backward()
        with pytest.raises(errors.GraphError, match=r"freed by an earlier backward.*keep_graph"):
            loss.backward()


def memory_apart(*arrays):
    return not any(
        np.shares_memory(a, b) for i, a in enumerate(arrays) for b in arrays[:i] if a.size
    )


def test_gradients_share_no_memory():
    x, y = np.arange(3.0), np.ones(3)
    seed = np.array([1.0, 2.0, 3.0])
    functions = [
        lambda x, y: x + y,
        lambda x, y: (x + y).reshape(3, 1).reshape(3),
        lambda x, y: x[::-1] + y,
        lambda x, y: x * 1.0,
        lambda x, y: myad.einsum("i->i", x) - y,
    ]
    for f in functions:
        _, pullback = vjp(f, x, y)
        assert memory_apart(*pullback(seed), *pullback(seed), seed, x, y)
        _, tangent = jvp(f, (x, y), (seed, seed))
        assert memory_apart(tangent, seed, x, y)
    assert memory_apart(*grad(lambda x, y: x.sum() + y.sum(), (0, 1))(x, y))
    assert memory_apart(*vjp(lambda x: x, x)[1](seed), seed)


def test_gradients_of_leaves_share_no_memory():
    x, y = (Tensor(np.ones(3), requires_grad=True) for _ in range(2))
    seed = np.arange(3.0)
    (x + y).backward(seed)
    assert memory_apart(x.grad.value, y.grad.value, seed, x.value, y.value)
    x.grad.value[...] = 7.0
    np.testing.assert_array_equal(y.grad.value, [0, 1, 2])
    x.grad = None
    (x + y).backward(seed, create_graph=True)
    assert memory_apart(x.grad.value, seed)


def test_a_changed_gradient_changes_nothing_else():
    x = np.ones(3)
    _, pullback = vjp(lambda x: (x + x.sum()) * 2.0, x)
    first = pullback(np.ones(3))[0]
    kept = first.copy()
    first[...] = 0.0
    np.testing.assert_array_equal(pullback(np.ones(3))[0], kept)
