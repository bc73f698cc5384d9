"""`jit` in traces and derivatives; its arguments and results; its cache."""

import dataclasses
import functools
from collections import namedtuple

import numpy as np
import pytest

import myad
from myad.compile import function
from myad.compile.training import CompiledTraining
from myad.errors import CompileError, OptionError, TraceError
from myad.tree import register_dataclass

X = np.array([0.5, -1.0, 2.0])
Point = namedtuple("Point", "x y")


@register_dataclass
@dataclasses.dataclass
class Weights:
    kernel: object
    bias: object


def smooth(x):
    return (myad.sin(x) * x * x).sum()


TRANSFORMATIONS = {
    "grad": lambda f: myad.grad(f)(X),
    "grad-grad": lambda f: myad.grad(lambda x: (myad.grad(f)(x) ** 2.0).sum())(X),
    "third": lambda f: myad.grad(lambda x: myad.grad(lambda x: myad.grad(f)(x).sum())(x)[0])(X),
    "value_and_grad": lambda f: myad.value_and_grad(f)(X)[1],
    "jvp": lambda f: myad.jvp(f, (X,), (np.ones(3),))[1],
    "vjp": lambda f: myad.vjp(f, X)[1](np.array(2.0))[0],
    "jacobian": lambda f: myad.jacobian(myad.grad(f))(X),
    "hessian": lambda f: myad.hessian_vector_product(f, X, np.ones(3)),
    "jvp-of-grad": lambda f: myad.jvp(myad.grad(f), (X,), (np.ones(3),))[1],
}


@pytest.mark.parametrize("transformed", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
def test_derivatives_of_compiled_functions(transformed):
    np.testing.assert_array_equal(transformed(myad.jit(smooth)), transformed(smooth))


@pytest.mark.parametrize("transformed", TRANSFORMATIONS.values(), ids=TRANSFORMATIONS)
def test_derivatives_of_compiled_functions_compile(transformed):
    inner = myad.jit(smooth)
    found = myad.jit(lambda: transformed(inner))()
    np.testing.assert_allclose(found, transformed(smooth), rtol=1e-12)


def test_jit_in_jit_becomes_one_program():
    inner = myad.jit(lambda x: myad.sin(x) * 2.0)
    outer = myad.jit(lambda x: inner(x).sum() + inner(x)[0])
    np.testing.assert_allclose(outer(X), (2 * np.sin(X)).sum() + 2 * np.sin(X[0]), rtol=1e-14)
    assert inner.cache_info().misses == 0
    names = [step.op.name for step in outer.lower(X).plan.program.steps]
    assert names.count("sin") == 1  # the two calls share what is equal


def test_jit_in_jit_may_close_over_what_is_traced():
    outer = myad.jit(lambda x: myad.jit(lambda y: y * x)(np.ones(3)))
    np.testing.assert_array_equal(outer(X), X)


def test_jit_in_a_training_step():
    loss = myad.jit(lambda w, x, y: ((x @ w - y) ** 2.0).mean())

    def step(parameters, state, images, labels, key):
        value, slope = myad.value_and_grad(loss)(parameters["w"], images, labels)
        return value, {"w": parameters["w"] - 0.1 * slope}, state

    rng = np.random.default_rng(3)
    images, labels = rng.standard_normal((8, 3)), rng.standard_normal(8)
    training = CompiledTraining(step, {"w": np.zeros(3)}, {}, images, labels, batch_size=4)
    training.epoch(images, labels)
    parameters = {"w": np.zeros(3)}
    for rows in (slice(0, 4), slice(4, 8)):
        _, parameters, _ = step(parameters, {}, images[rows], labels[rows], None)
    np.testing.assert_allclose(training.parameters["w"], parameters["w"], rtol=1e-12)


def test_leaves_get_their_gradients():
    x, w = (myad.Tensor(X, requires_grad=True) for _ in range(2))
    f = myad.jit(lambda x: (x * w).sum())
    f(x).backward()
    np.testing.assert_array_equal(x.grad, X)
    np.testing.assert_array_equal(w.grad, X)


def test_a_followed_tensor_that_is_no_argument_keeps_its_derivative():
    """The call has no Tensor among its arguments: only the result shows who is followed."""
    found = myad.grad(lambda w: myad.jit(lambda x: (x * w).sum())(X))(np.ones(3))
    np.testing.assert_array_equal(found, X)


def test_results_are_tensors_where_an_argument_is_one():
    f = myad.jit(lambda x, y: x + y)
    assert type(f(X, X)) is np.ndarray
    assert type(f(X, myad.Tensor(X))) is myad.Tensor


def test_trees_go_in_and_out():
    def swapped(point, weights, rest):
        assert type(point) is Point
        assert type(weights) is Weights
        return Weights(point.y * 2.0, None), Point(weights.kernel, (rest["b"], [rest["a"]])), None

    given = Point(X, X + 1), Weights(X - 1, None), {"b": np.float32(3), "a": X}
    weights, point, nothing = myad.jit(swapped)(*given)
    assert nothing is None
    assert weights.bias is None
    np.testing.assert_array_equal(weights.kernel, 2 * (X + 1))
    np.testing.assert_array_equal(point.x, X - 1)
    np.testing.assert_array_equal(point.y[1][0], X)
    assert point.y[0].dtype == np.float32


def test_another_nesting_is_another_program():
    f = myad.jit(lambda tree: tree[0] if isinstance(tree, tuple) else tree["b"])
    np.testing.assert_array_equal(f((X, -X)), X)
    np.testing.assert_array_equal(f({"a": X, "b": -X}), -X)
    np.testing.assert_array_equal(f({"b": X, "a": -X}), X)
    assert f.cache_info().misses == 3


def test_results_may_be_inputs_constants_and_the_same_value_twice():
    @myad.jit
    def f(x):
        y = x * 2.0
        return x, y, y, X, np.ones((2, 0)), x

    x, y, again, constant, empty, last = f(X + 1)
    for found, wanted in ((x, X + 1), (y, 2 * X + 2), (again, y), (constant, X), (last, x)):
        np.testing.assert_array_equal(found, wanted)
    assert empty.shape == (2, 0)
    y[0] = 99.0  # what is returned shares memory with nothing
    assert again[0] != 99.0
    np.testing.assert_array_equal(f(X + 1)[1], 2 * X + 2)


def test_functions_of_nothing():
    np.testing.assert_array_equal(myad.jit(lambda: myad.exp(np.zeros(2)))(), [1.0, 1.0])
    assert myad.jit(lambda: ())() == ()


def test_keyword_arguments_and_defaults():
    f = myad.jit(lambda x, *, scale, shift=1.0: x * scale + shift)
    np.testing.assert_array_equal(f(X, scale=X), X * X + 1)
    np.testing.assert_array_equal(f(X, shift=X, scale=2.0), 2 * X + X)
    np.testing.assert_array_equal(f(X, scale=2.0, shift=X), 2 * X + X)
    assert f.cache_info()[:2] == (1, 2)  # the order of keywords is nothing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_python_numbers_take_the_dtype_beside_them(dtype):
    f = myad.jit(lambda x, rate, power: rate * x**power)
    x = X.astype(dtype)
    wanted = (0.1 * myad.Tensor(x) ** 2).numpy()
    assert f(x, 0.1, 2).dtype == wanted.dtype == dtype
    np.testing.assert_allclose(f(x, 0.1, 2), wanted, rtol=1e-6)
    np.testing.assert_allclose(f(x, 0.2, 2), 2 * wanted, rtol=1e-6)


def test_numbers_that_are_equal_are_not_the_same():
    f = myad.jit(lambda x, n: x * n if isinstance(n, float) else x)
    np.testing.assert_array_equal([f(X, 1)[0], f(X, 1.0)[0], f(X, True)[0]], X[0])
    assert f.cache_info().currsize == 3


def test_static_arguments():
    def f(x, kind, power=1):
        return {"sin": myad.sin, "exp": myad.exp}[kind](x) ** float(power)

    for compiled in (
        myad.jit(f, static_argnums=(1, 2)),
        myad.jit(f, static_argnames=("kind", "power")),
        functools.partial(myad.jit, static_argnums=(1, -1))()(f),
    ):
        np.testing.assert_allclose(compiled(X, "sin"), np.sin(X), rtol=1e-14)
        np.testing.assert_allclose(compiled(X, "exp", power=2), np.exp(X) ** 2, rtol=1e-14)
        np.testing.assert_allclose(compiled(X, kind="exp", power=2), np.exp(X) ** 2, rtol=1e-14)


def test_static_arguments_must_be_hashable_and_exist():
    with pytest.raises(OptionError, match="static argument 1 must be hashable, not a list"):
        myad.jit(lambda x, sizes: x, static_argnums=1)(X, [1])
    with pytest.raises(OptionError, match="no argument 'size'"):
        myad.jit(lambda x, sizes: x, static_argnames="size")
    with pytest.raises(OptionError, match="2 positional arguments, not number 2"):
        myad.jit(lambda x, sizes: x, static_argnums=2)


def test_an_argument_that_is_no_array_is_named():
    with pytest.raises(CompileError, match=r"argument mode\.0 is not an array: 'fast'.*static"):
        myad.jit(lambda x, mode: x)(X, mode=("fast",))


def test_complex_numbers_are_refused_by_name():
    with pytest.raises(
        CompileError, match=r"argument 0\.z is complex128, which cannot be compiled"
    ):
        myad.jit(lambda x: x)({"z": X + 1j})


def test_settings_within_arguments_must_be_hashable():
    @dataclasses.dataclass
    class Layer:
        kernel: object
        sizes: object

    register_dataclass(Layer, ["kernel"], ["sizes"])
    twice = myad.jit(lambda layer: layer.kernel * layer.sizes[0])
    np.testing.assert_array_equal(twice(Layer(X, (2,))), 2 * X)
    np.testing.assert_array_equal(twice(Layer(X, (3,))), 3 * X)
    with pytest.raises(OptionError, match="settings within its arguments must be hashable"):
        twice(Layer(X, [2]))


def test_the_cache_is_bounded_and_can_be_cleared(monkeypatch):
    monkeypatch.setattr(function, "CACHE_SIZE", 2)
    f = myad.jit(lambda x: x + 1.0)
    for size in (1, 2, 1, 3, 1, 2):
        assert f(np.zeros(size)).shape == (size,)
    assert f.cache_info() == (2, 4, 2, 2)  # 1 was used in between and kept, 2 was compiled again
    f.clear_cache()
    assert f.cache_info() == (0, 0, 2, 0)


def test_another_dtype_is_another_program():
    f = myad.jit(lambda x: x * x)
    assert f(np.ones(2, "f4")).dtype == np.float32
    assert f(np.ones(2, "f8")).dtype == np.float64
    assert f.cache_info().currsize == 2


class Model:
    """With a compiled method, whose instance is a setting."""

    def __init__(self, scale):
        self.scale = scale

    @functools.partial(myad.jit, static_argnums=0)
    def scaled(self, x):
        """x times the scale."""
        return x * self.scale

    def plain(self, x):
        return x - self.scale


def test_methods():
    two, three = Model(2.0), Model(3.0)
    np.testing.assert_array_equal(two.scaled(X), 2 * X)
    np.testing.assert_array_equal(three.scaled(X), 3 * X)
    np.testing.assert_array_equal(myad.jit(two.plain)(X), X - 2)


def test_what_is_compiled_keeps_its_name_and_its_documentation():
    assert Model.scaled.__name__ == "scaled"
    assert Model.scaled.__doc__ == "x times the scale."
    assert "scaled" in repr(Model.scaled)


def test_random_numbers_are_those_of_the_key():
    f = myad.jit(lambda key: myad.random_uniform(key, shape=(5,), dtype=np.dtype("f4")))
    for key in (myad.random_key(1), myad.random_key(1, 1)):
        np.testing.assert_array_equal(f(key), f.function(key))


QUESTIONS = {
    "if": lambda x: x if (x.sum() > 0) else -x,
    "float": lambda x: float(x.sum()),
    "int": lambda x: x[int(x[0])],
    "item": lambda x: x[0].item() * x,
    "numpy": lambda x: np.asarray(x) * 2,
}


@pytest.mark.parametrize("asking", QUESTIONS.values(), ids=QUESTIONS)
def test_asking_for_a_value_is_refused_in_one_line(asking):
    with pytest.raises(TraceError, match="being traced: only shapes are known then") as caught:
        myad.jit(asking)(X)
    assert "\n" not in str(caught.value)
    assert myad.jit(lambda x: x * 2.0)(X)[0] == 1.0  # nothing is left behind


def test_lower_in_a_derivative_is_refused():
    f = myad.jit(smooth)
    with pytest.raises(CompileError, match="smooth: what it reads is being traced"):
        myad.grad(lambda x: f.lower(x))(X)


def test_two_borders_keep_their_numbers():
    """Of two paddings in a row the outer one is not 0 where the inner one is."""

    def f(x):
        return myad.pad(myad.pad(x, [(1, 2)], 0.0), [(2, 1)], 2.0)

    np.testing.assert_array_equal(myad.jit(f)(X), f(X))
