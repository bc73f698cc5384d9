"""What holds for every primitive: derivatives of both orders, shape rules, both dtypes."""

import numpy as np
import pytest

from myad import Spec, Tensor, check_gradient, grad, vjp
from myad.core import PRIMITIVES
from myad.errors import GradientMismatch
from myad.ops.arithmetic import multiply

# Constant wherever they are differentiable: their rules give no gradient at all.
FLAT = {
    "determinant_sign",
    "equal",
    "floor",
    "largest_place",
    "less",
    "less_equal",
    "nested_integers",
    "not_equal",
    "one_hot",
    "random_uniform",
    "sign",
    "sorted_places",
    "split_key",
    "stop_gradient",
}
# these take their other inputs only to find the maxima or the signs; they have no gradient there
ONLY_FIRST = {"max_pool2d_gradient", "max_pool2d_pick", "relu_gradient"}


def of_differentiable(case, rng):
    inputs = case.inputs(rng)
    if case.op.name not in ONLY_FIRST:
        return case.op, inputs

    def first(x, **static):
        return case.op(x, *inputs[1:], **static)

    return first, inputs[:1]


@pytest.mark.parametrize("order", [1, 2])
def test_derivatives_agree_with_finite_differences(case, order, rng):
    op, inputs = of_differentiable(case, rng)
    if case.op.name in FLAT:
        z = op.value(*inputs, **case.static)
        assert set(op.vjp(z, z, *inputs, **case.static)) == {None}
    else:
        # the second difference of a first gradient: rounding of 1e-11 over a step of 1e-5
        check_gradient(op, inputs, order=order, tolerance=1e-6, **case.static)


def test_every_primitive_has_a_case(cases):
    package = {n for n, op in PRIMITIVES.items() if op.value.__module__.startswith("myad.")}
    assert {case.op.name for case in cases.values()} == package


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_shape_rule_tells_the_real_result(case, dtype, rng):
    inputs = case.inputs(rng, dtype)
    real = case.op.value(*inputs, **{**(case.op.value.__kwdefaults__ or {}), **case.static})
    static = {**(case.op.value.__kwdefaults__ or {}), **case.static}
    told = case.op.shape_rule(*[Spec(x.shape, x.dtype) for x in inputs], **static)
    assert isinstance(told, Spec)
    assert (told.shape, told.dtype) == (real.shape, real.dtype)
    assert isinstance(told.shape, tuple)


def test_gradients_keep_shape_and_dtype_in_float32(case, rng):
    inputs = case.inputs(rng, np.float32)
    moving = [i for i, x in enumerate(inputs) if x.dtype.kind == "f"]
    if not moving:
        return

    def function(*values):
        full = list(inputs)
        for i, value in zip(moving, values, strict=True):
            full[i] = value
        return case.op(*full, **case.static)

    value, pullback = vjp(function, *[inputs[i] for i in moving])
    if value.dtype.kind != "f":
        return
    for i, gradient in zip(moving, pullback(np.ones(value.shape, value.dtype)), strict=True):
        assert gradient.shape == inputs[i].shape
        assert gradient.dtype == inputs[i].dtype


def test_rules_do_not_change_their_inputs(case, rng):
    inputs = case.inputs(rng)
    before = [x.copy() for x in inputs]
    leaves = [Tensor(x, requires_grad=x.dtype.kind == "f") for x in inputs]
    z = case.op(*leaves, **case.static)
    if z.requires_grad:
        z.backward(np.ones(z.shape))
    for x, was in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x, was)


def test_checker_rejects_a_gradient_one_percent_off(rng, monkeypatch):
    exact = multiply.vjp
    monkeypatch.setattr(
        multiply, "vjp", lambda *a: tuple((lambda d=d: 1.01 * d()) for d in exact(*a))
    )
    with pytest.raises(GradientMismatch, match="multiply: gradient of argument 0"):
        check_gradient(multiply, [rng.standard_normal(3), rng.standard_normal(3)])


def test_checker_rejects_a_second_derivative_one_percent_off(rng):
    from myad import primitive
    from myad.ops.functions import cos, sin

    @primitive
    def crooked(x):
        """A sine whose derivative is right and whose second derivative is not."""
        return np.sin(x)

    @crooked.gradient
    def _(dz, z, x):
        return (dz * slope(x),)

    @primitive
    def slope(x):
        """The cosine, with a wrong derivative."""
        return np.cos(x)

    @slope.gradient
    def _(dz, z, x):
        return (dz * sin(x) * -1.01,)

    try:
        check_gradient(crooked, [rng.standard_normal(3)])
        check_gradient(lambda x: cos(x), [rng.standard_normal(3)], order=2)
        with pytest.raises(GradientMismatch, match="second derivative of argument 0"):
            check_gradient(crooked, [rng.standard_normal(3)], order=2)
    finally:
        del PRIMITIVES["crooked"], PRIMITIVES["slope"]


def test_a_value_used_twice_gets_both_gradients(rng):
    x = rng.standard_normal((3, 3))
    check_gradient(lambda x: x @ x + x * x, [x])
    np.testing.assert_allclose(grad(lambda x: (x * x).sum())(x), 2 * x)
