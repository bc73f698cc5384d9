"""grad, value_and_grad, vjp, jvp, Hessian products and Jacobians: values, nesting, errors."""

import math

import numpy as np
import pytest

from myad import (
    Tensor,
    cos,
    errors,
    exp,
    grad,
    hessian_vector_product,
    jacobian,
    jvp,
    no_grad,
    sin,
    tanh,
    value_and_grad,
    vjp,
    where,
)


def test_no_perturbation_is_confused():
    assert grad(lambda x: x * grad(lambda y: x + y)(2.0))(1.0) == 1.0
    # d/dx (x · d/dy (x·y²) at 3) = d/dx 6x² = 12x
    assert grad(lambda x: x * grad(lambda y: x * y * y)(3.0))(2.0) == 24.0
    # inner and outer variable meet in one product
    assert grad(lambda x: grad(lambda y: (x * y) ** 3)(x))(2.0) == pytest.approx(15 * 2.0**4)


def test_forward_inside_reverse_and_the_other_way_round():
    def square_slope(x):
        return jvp(lambda y: x * y * y, (x,), (1.0,))[1]  # 2x² at y = x

    assert grad(square_slope)(3.0) == 12.0
    value, tangent = jvp(grad(lambda y: y**4), (2.0,), (1.0,))
    assert (float(value), float(tangent)) == (32.0, 48.0)
    # forward over forward
    twice = jvp(lambda x: jvp(sin, (x,), (1.0,))[1], (0.3,), (1.0,))[1]
    np.testing.assert_allclose(twice, -math.sin(0.3))


def test_derivatives_of_any_order():
    f, expected = exp, math.exp(0.4)
    for _ in range(6):
        f = grad(f)
        np.testing.assert_allclose(f(0.4), expected)
    f = sin
    for n in range(1, 6):
        f = grad(f)
        np.testing.assert_allclose(f(0.4), math.sin(0.4 + n * math.pi / 2))


def test_results_are_arrays_unless_a_tensor_came_in(rng):
    x = rng.standard_normal(3)
    assert isinstance(grad(lambda x: (x * x).sum())(x), np.ndarray)
    assert isinstance(grad(lambda x: (x * x).sum())(Tensor(x)), Tensor)
    value, gradient = value_and_grad(lambda x: (x * x).sum())(x)
    np.testing.assert_allclose(value, (x * x).sum())
    np.testing.assert_allclose(gradient, 2 * x)


def test_arguments_may_be_nested(rng):
    parameters = {"w": rng.standard_normal((2, 3)), "more": [rng.standard_normal(3), None]}

    def loss(p, x):
        return (tanh(x @ p["w"]) * p["more"][0]).sum()

    x = rng.standard_normal((4, 2))
    gradient = grad(loss)(parameters, x)
    z = np.tanh(x @ parameters["w"])
    np.testing.assert_allclose(gradient["more"][0], z.sum(axis=0))
    assert gradient["more"][1] is None
    np.testing.assert_allclose(gradient["w"], x.T @ ((1 - z * z) * parameters["more"][0]))


def test_several_arguments_and_keywords():
    def f(x, y, *, scale):
        return scale * x * y

    assert grad(f, 1)(2.0, 3.0, scale=10.0) == 20.0
    assert [float(g) for g in grad(f, (1, 0))(2.0, 3.0, scale=10.0)] == [20.0, 30.0]


def test_aux_comes_back_plain():
    def f(x):
        return (x * x).sum(), {"double": x + x, "text": "kept"}

    (value, aux), gradient = value_and_grad(f, has_aux=True)(np.ones(2))
    assert float(value) == 2.0
    assert aux["text"] == "kept"
    np.testing.assert_array_equal(aux["double"], [2, 2])
    np.testing.assert_array_equal(gradient, [2, 2])


def test_a_constant_has_gradient_zero():
    assert grad(lambda x: 3.0)(1.0) == 0.0
    assert grad(lambda x: x.detach() * 2.0)(1.0) == 0.0
    np.testing.assert_array_equal(grad(lambda xy: xy[0] * 1.0)((1.0, np.ones(2)))[1], [0, 0])


def test_vjp_may_be_called_many_times(rng):
    a = rng.standard_normal((3, 2))
    value, pullback = vjp(lambda x: a @ x, np.ones(2))
    np.testing.assert_allclose(value, a.sum(axis=1))
    for row, unit in zip(a, np.eye(3), strict=True):
        np.testing.assert_allclose(pullback(unit)[0], row)
    with pytest.raises(errors.ShapeError, match=r"vjp: the upstream gradient must be \(3,\)"):
        pullback(np.ones(2))


def test_a_pullback_can_be_differentiated():
    _, pullback = vjp(lambda x: x * x * x, 2.0)
    # linear in its argument: slope 3x²
    assert grad(lambda u: pullback(u)[0])(5.0) == 12.0


def test_jvp_equals_the_directional_derivative(rng):
    x, v = rng.standard_normal((2, 4))

    def f(x):
        return sin(x) * exp(x[::-1]) + x.sum()

    value, tangent = jvp(f, (x,), (v,))
    h = 1e-6
    np.testing.assert_allclose(value, np.sin(x) * np.exp(x[::-1]) + x.sum())
    at = [f(Tensor(x + s * h * v)).value for s in (1, -1)]
    np.testing.assert_allclose(tangent, (at[0] - at[1]) / (2 * h), rtol=1e-7, atol=1e-8)
    np.testing.assert_array_equal(jvp(lambda x: 0.0 * x.detach(), (x,), (v,))[1], np.zeros(4))


def test_hessian_vector_product(rng):
    a = rng.standard_normal((4, 4))
    x, v = rng.standard_normal((2, 4))
    found = hessian_vector_product(lambda x: (x * (a @ x)).sum() + (x**3).sum(), x, v)
    np.testing.assert_allclose(found, (a + a.T) @ v + 6 * x * v)


def test_jacobian_and_hessian(rng):
    a = rng.standard_normal((3, 2))
    x = rng.standard_normal(2)
    np.testing.assert_allclose(jacobian(lambda x: a @ x)(x), a)
    np.testing.assert_allclose(jacobian(lambda y, x: sin(x), argnums=1)(0, x), np.diag(np.cos(x)))
    hessian = jacobian(grad(lambda x: (x**3).sum()))(x)
    np.testing.assert_allclose(hessian, np.diag(6 * x))
    assert jacobian(lambda x: x.sum())(np.ones((2, 2))).shape == (2, 2)


def test_leaves_outside_are_followed():
    w = Tensor(3.0, requires_grad=True)
    g = grad(lambda x: x * x * w)(2.0)  # 2xw
    g.backward()
    assert (g.item(), w.grad.item()) == (12.0, 4.0)


def test_grad_works_inside_no_grad():
    with no_grad():
        assert grad(lambda x: x * x)(3.0) == 6.0


def test_branches_on_values_differentiate_the_branch_taken():
    def f(x):
        y = x
        while y < 100.0:
            y = y * y
        return y

    assert grad(f)(2.0) == 8 * 2.0**7
    assert grad(lambda x: where(x > 0.0, x * 2.0, x * 3.0))(-1.0) == 3.0


def test_wrong_uses_are_named():
    with pytest.raises(errors.GraphError, match=r"grad: the output has shape \(2,\)"):
        grad(lambda x: x * x)(np.ones(2))
    with pytest.raises(errors.DTypeError, match="only floating-point arguments have gradients"):
        grad(lambda x: x)(3)
    with pytest.raises(errors.DTypeError, match=r"argnums \[1\] of a call with 1"):
        grad(lambda x: x, 1)(3.0)
    with pytest.raises(errors.ShapeError, match="jvp: the tangent must be"):
        jvp(lambda x: x, (np.ones(2),), (np.ones(3),))


def test_an_error_inside_leaves_nothing_behind():
    from myad.recording import thread_state

    def broken(x):
        raise KeyError("inside")

    before = thread_state.active
    with pytest.raises(KeyError, match="inside"):
        grad(broken)(1.0)
    assert thread_state.active == before
    assert grad(lambda x: cos(x) * 2.0)(0.0) == 0.0
