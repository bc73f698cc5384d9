"""Programs at the edges of the language: compiled, they give what they give eagerly."""

from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest

import myad
from myad import ops
from myad.compile import CompiledTraining
from myad.errors import DTypeError, MyadError, ShapeError, TraceError

pytestmark = pytest.mark.usefixtures("numpy_may_overflow")

Pair = namedtuple("Pair", "first second")


@dataclass
class Layer:
    """A class of the user's, whose fields are arrays."""

    weight: object
    bias: object


myad.tree.register_dataclass(Layer)
READ_ONLY = np.frombuffer(np.arange(4.0).tobytes())
WHOLE, OTHER = np.array([7, -7, 0, 2**31 - 1, -(2**31)], "i4"), np.array([2, -2, 3, -1, 1], "i4")


def repeated(function, times):
    def all_of_them(x):
        for _ in range(times):
            x = function(x)
        return x

    return all_of_them


def fibonacci(x):
    a, b = x, x * 1
    for _ in range(90):
        a, b = b, a + b
    return a, b


def third(f):
    for _ in range(3):
        f = lambda x, f=f: myad.grad(lambda x: f(x).sum())(x)  # noqa: E731
    return f


PROGRAMS = {
    "comparisons of comparisons": (
        lambda x, y: ((x < y) <= (y < x[::-1])) == (x != y), [WHOLE, OTHER]
    ),
    "comparisons as numbers": (
        lambda x, y: (x < y).astype("i4") * x - (x >= y).astype("i4") * y, [WHOLE, OTHER]
    ),
    "quotients of integers": (lambda x, y: (x / y, y / x), [WHOLE, OTHER]),
    "powers of integers, over their end": (lambda x: (x**2, x**3, x**0), [WHOLE]),
    "power of two": (lambda x: 2**x, [np.arange(70)]),
    "0 to the power of 0, 2 and -1": (lambda x, y: x**y, [np.zeros(3), np.array([0.0, 2, -1])]),
    "roots of negative numbers": (lambda x: x ** (1 / 3), [np.array([-8.0, 8])]),
    "unsigned below zero": (lambda x: (x - 1, 0 - x), [np.array([0, 1, 255], "u1")]),
    "an integer doubled out of its bits": (repeated(lambda x: x + x, 70), [np.array([1, 3])]),
    "a float doubled to infinity": (repeated(lambda x: x + x, 130), [np.array([1, -3], "f4")]),
    "Fibonacci beyond 64 bits": (fibonacci, [np.array([1, 2])]),
    "through small types and back": (
        lambda x: x.astype("u1").astype("i1").astype("f4"), [np.array([200, 300, -1])]
    ),
    "booleans of NaN": (lambda x: x.astype(bool), [np.array([np.nan, 0.0, -0.0])]),
    "what is not equal to itself": (
        lambda x: (x == x, x - x, x * 0, x / x), [np.array([0.0, np.inf, np.nan, 2])]
    ),
    "derivative beside a NaN": (
        lambda x: myad.grad(lambda x: myad.where(x > 0, myad.log(x), 0.0).sum())(x),
        [np.array([-1.0, 0, 1])],
    ),
    "bounds that cross": (lambda x: myad.clip(x, 2, 1), [np.arange(4.0)]),
    "strides of every kind": (
        lambda x: x[::-1, None, ..., ::-3] * x[:, 0::3][::-1][:, None],
        [np.arange(96.0).reshape(6, 16)[::2, ::2]],
    ),
    "Fortran's order": (lambda x: x @ x.T, [np.asfortranarray(np.arange(42.0).reshape(6, 7))]),
    "stretched without memory": (lambda x: x + 1, [np.broadcast_to(np.arange(3.0), (4, 3))]),
    "the other byte order": (
        lambda x, y: (x * x, y[::-1] - y), [np.arange(4, dtype=">f8"), np.arange(4, dtype=">u2")]
    ),
    "one read-only array twice": (lambda x, y: (x + y, x - y, x), [READ_ONLY, READ_ONLY]),
    "nothing, reduced": (
        lambda x: (x.sum(axis=0), x.max(axis=1), x.sum(), x.T @ x), [np.zeros((0, 3))]
    ),
    "nothing, differentiated": (
        lambda x: myad.grad(lambda x: (x @ x.T).sum())(x), [np.zeros((3, 0))]
    ),
    "nine axes": (lambda x: x.sum(axis=(0, 2, 8)), [np.arange(512.0).reshape((2,) * 9)]),
    "stretched batches of matrices": (
        lambda x, y: x @ y, [np.ones((4, 1, 2, 3)), np.arange(30.0).reshape(5, 3, 2)]
    ),
    "products of integers over their end": (lambda x: x @ x, [np.full((3, 3), 2**31 - 1, "i4")]),
    "products of bytes": (lambda x: x @ x, [np.full((33, 33), 200, "u1")]),
    "named tuples": (lambda p: Pair(p.second, p.first * 2), [Pair(np.ones(2), np.zeros(3))]),
    "classes of the user's": (
        lambda p: Layer(p.bias, p.weight * 2), [Layer(np.ones(2), np.zeros(3))]
    ),
    "keys that are no text": (lambda t: {1: t[2], 2: t[1]}, [{1: np.ones(2), 2: np.zeros(3)}]),
    "nested, with nothing in it": (
        lambda t: {"x": [t["a"][0], (t["a"][1], None)], "y": t["b"]},
        [{"a": [np.ones(2), np.arange(3)], "b": {}}],
    ),
    "the third derivative": (third(lambda x: x**4 + myad.sin(x)), [np.arange(3.0)]),
    "six hundred operations": (repeated(lambda x: x * 1.0001 + 0.001, 300), [np.ones(3)]),
    "derivative of two hundred": (
        lambda x: myad.grad(lambda x: repeated(lambda x: myad.tanh(x + 0.1), 100)(x).sum())(x),
        [np.ones(3)],
    ),
    "a derivative of compiled code in compiled code": (
        lambda x: myad.grad(myad.jit(lambda y: myad.jit(myad.sin)(y).sum()))(x), [np.arange(3.0)]
    ),
    "NumPy's functions": (lambda x: np.sum(x) * np.exp(x), [np.ones(3)]),
    "an index that is traced": (lambda x: x[x[::-1]] - x[-1], [np.arange(4)]),
    "numbers of Python beside small integers": (
        lambda x, n, b: (x * n, x * b), [np.arange(3, dtype="i1"), 3, True]
    ),
}  # fmt: skip


def leaves(tree):
    return [np.asarray(getattr(leaf, "value", leaf)) for leaf in myad.tree.leaves(tree)]


def tensors(tree):
    return myad.tree.map_leaves(lambda x: myad.Tensor(x) if isinstance(x, np.ndarray) else x, tree)


def same(found, wanted):
    assert len(found) == len(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert (one.dtype, one.shape) == (other.dtype, other.shape)
        tolerance = {"float32": 1e-6, "float64": 1e-13}.get(other.dtype.name, 0)
        np.testing.assert_allclose(one, other, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", PROGRAMS)
def test_compiled_is_eager(name):
    function, arguments = PROGRAMS[name]
    wanted = leaves(function(*[tensors(a) for a in arguments]))
    same(leaves(myad.jit(function)(*arguments)), wanted)


STEPS = {
    "a queue of old values": lambda s, x: {"a": s["b"], "b": s["c"], "c": s["a"] + x.sum(axis=0)},
    "one value for all": lambda s, x: dict.fromkeys("abc", s["a"] * 0.5 + x[0]),
    "the old value and its slices": lambda s, x: {
        "a": s["b"][::-1], "b": myad.concatenate([s["a"][1:], s["a"][:1]]), "c": s["a"] - s["b"],
    },
    "nothing new": lambda s, x: s,
    "products of all": lambda s, x: {
        "a": s["a"] * s["b"], "b": s["b"] * s["c"], "c": s["c"] * s["a"] * 0.5
    },
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_compiled_steps_are_eager_steps(name):
    """Eight steps on batches of two, on state of two dtypes."""
    rng = np.random.default_rng(5)
    data = rng.standard_normal((16, 3)).astype("f4")
    state = {k: rng.standard_normal(3).astype("f4") for k in "abc"}
    count = {"n": np.zeros((), "i8")}

    def step(state, count, x, y, key=None):
        new = STEPS[name](state, x)
        return (new["a"] * x).sum() * y[1], new, {"n": count["n"] * 3 + 1}

    training = CompiledTraining(step, state, count, data, data[:, 0], batch_size=2)
    mean, losses, eager = training.epoch(data, data[:, 0]), [], (tensors(state), tensors(count))
    for first in range(0, 16, 2):
        batch = data[first : first + 2]
        loss, *eager = step(*eager, myad.Tensor(batch), myad.Tensor(batch[:, 0]))
        losses.append(float(loss.value))
    same([np.float32(mean)], [np.float32(np.mean(losses))])
    same(leaves([training.parameters, training.optimizer_state]), leaves(list(eager)))


REFUSED = {
    "negative powers of integers": (lambda x: x**-1, [WHOLE], ShapeError, "negative integer"),
    "negative powers among others": (
        lambda x: x ** np.array([1, 2, 3, 4, -5], "i4"), [WHOLE], ShapeError, "negative integer"
    ),
    "a mask that is traced": (lambda x: x[x > 1], [np.arange(4.0)], TraceError, "a mask picks"),
    "an index that is no integer": (lambda x: x[x], [np.arange(4.0)], DTypeError, "be integers"),
    "a branch on a value": (lambda x: x if x.sum() > 0 else -x, [WHOLE], TraceError, "Python bran"),
    "a number out of the range": (lambda x: x + 2**31, [WHOLE], MyadError, "range of int32"),
    "a maximum of nothing": (lambda x: ops.max(x), [np.zeros(0)], ShapeError, "of nothing"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_only_data_know_is_refused_in_one_line(name):
    function, arguments, error, text = REFUSED[name]
    with pytest.raises(error, match=text):
        myad.jit(function)(*arguments)


@pytest.mark.parametrize("size", [0, 3])
@pytest.mark.parametrize("function", [lambda x: -x, lambda x: x - x], ids=["negative", "subtract"])
def test_booleans_have_no_minus_with_or_without_elements(function, size):
    x = np.ones(size, bool)
    for run in (lambda x: function(myad.Tensor(x)), myad.jit(function)):
        with pytest.raises(DTypeError, match=r"minus|numpy boolean"):
            run(x)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_negative_floats_as_unsigned_integers_are_those_of_eager_code(dtype):
    x = np.array([-2.0, -0.5, 3.0, 1e19, -4.0, 7.5, -1.0, 0.0, -9.0], dtype)
    with np.errstate(invalid="ignore"):
        wanted = myad.Tensor(x).astype("uint64").numpy()
    assert wanted[0] == 2**64 - 2
    for size in (1, 4, 9):
        found = myad.jit(lambda x: x.astype("uint64"))(x[:size])
        assert np.array_equal(found, wanted[:size])
