"""What the tests of myad share: a seeded generator, and one table with a row for every primitive.

A test with an argument `case` runs once per row. Inputs are made away from kinks and ties by their
ranges, so that no tolerance has to cover for them.
"""

from __future__ import annotations

import os
import warnings
from typing import Any, NamedTuple

import numpy as np
import pytest

import myad
from myad.control.body import record
from myad.control.cond import Branch
from myad.control.scan import Scan
from myad.core import PRIMITIVES, Spec
from myad.tree import flatten

FLOAT32, FLOAT64 = np.dtype("float32"), np.dtype("float64")


class Case(NamedTuple):
    """A primitive, makers of its inputs (rng -> array), and its static parameters."""

    op: Any
    makers: list[Any]
    static: dict[str, Any]

    def inputs(self, rng: np.random.Generator, dtype: Any = FLOAT64) -> list[np.ndarray]:
        """The inputs, floating-point ones in `dtype`."""
        made = [make(rng) for make in self.makers]
        if "nest" in self.static:  # what is inside is recorded in float64
            return made
        return [x.astype(dtype) if x.dtype.kind == "f" else x for x in made]


def normal(*shape):
    return lambda rng: np.asarray(rng.standard_normal(shape))


def positive(*shape):
    return lambda rng: np.asarray(rng.uniform(0.5, 2.0, shape))


def small(*shape):
    return lambda rng: np.asarray(rng.uniform(-0.8, 0.8, shape))


def wide(*shape):
    return lambda rng: np.asarray(2.0 * rng.standard_normal(shape))


def off_zero(*shape):
    return lambda rng: np.asarray(rng.uniform(0.2, 2.0, shape) * rng.choice([-1.0, 1.0], shape))


def distinct(*shape):
    """All elements at least 0.05 apart."""
    return lambda rng: 0.05 * rng.permutation(int(np.prod(shape))).reshape(shape) - 1.0


def regular(*shape):
    """Square matrices with determinants and singular values away from 0 and from each other."""
    n = shape[-1]
    return lambda rng: (
        np.diag(np.arange(1.0, n + 1)) + 0.2 * rng.standard_normal((*shape[:-1], n, n))
    )


def definite(*shape):
    """Symmetric matrices with positive eigenvalues away from each other."""

    def make(rng):
        a = regular(*shape)(rng)
        return 0.5 * (a + np.swapaxes(a, -1, -2))

    return make


def integers(high, *shape):
    return lambda rng: rng.integers(0, high, shape)


def booleans(*shape):
    return lambda rng: rng.random(shape) < 0.5


def key(rng):
    return np.array([7, 3], np.uint32)


def pooled(rng, shape, op, **static):
    x = distinct(*shape)(np.random.default_rng(5))
    return x, np.asarray(op.value(x, **static))


WINDOWS = {"pool_size": (2, 3), "strides": (2, 1)}
POOL_INPUT = (2, 5, 6, 2)


def pool_x(rng):
    return pooled(rng, POOL_INPUT, PRIMITIVES["max_pool2d"], **WINDOWS)[0]


def pool_z(rng):
    return pooled(rng, POOL_INPUT, PRIMITIVES["max_pool2d"], **WINDOWS)[1]


def nests():
    """A scan and a branch, recorded: static parameters of `nested`."""
    specs = [Spec((3,), FLOAT64)] * 2
    leaf = flatten(0)[1]

    def step(c, x):
        z = myad.sin(c * SHIFT) + x * c
        return z, (z * x, myad.argmax(z))

    given = [([spec], leaf) for spec in specs]
    scan, closed, _ = record(step, given)
    yes, theirs, _ = record(lambda x: myad.sin(x * SHIFT), given[:1])
    no, others, _ = record(lambda x: x * x, given[:1])
    assert (len(closed), len(theirs), len(others)) == (1, 1, 0)
    return {"scan": Scan(scan, 1, 1, 5, False, True), "cond": Branch(yes, no, 1)}


SHIFT = myad.Tensor(np.ones(3), requires_grad=True)  # what both close over
NESTS = nests()


def row(name, *makers, **static):
    return Case(PRIMITIVES[name], list(makers), static)


CASES = {
    "reshape": row("reshape", normal(2, 6), shape=(3, 4)),
    "reshape-scalar": row("reshape", normal(1, 1), shape=()),
    "broadcast_to": row("broadcast_to", normal(3, 1), shape=(2, 3, 4)),
    "reduce_sum": row("reduce_sum", normal(3, 4, 2), axis=(0, 2)),
    "reduce_sum-kept": row("reduce_sum", normal(3, 1, 2), axis=(1,), keepdims=True),
    "reduce_max": row("reduce_max", distinct(3, 4), axis=(1,)),
    "reduce_max-all": row("reduce_max", distinct(3, 4), axis=(0, 1), keepdims=True),
    "reduce_min": row("reduce_min", distinct(3, 4), axis=(0,), keepdims=True),
    "stop_gradient": row("stop_gradient", normal(3)),
    "add": row("add", normal(3, 4), normal(3, 4)),
    "add-broadcast": row("add", normal(4), normal(2, 3, 4)),
    "subtract": row("subtract", normal(3, 4), normal(3, 1)),
    "multiply": row("multiply", normal(3, 4), normal(3, 4)),
    "multiply-broadcast": row("multiply", normal(4, 3), normal(3)),
    "divide": row("divide", normal(2, 3), off_zero(3)),
    "power": row("power", positive(2, 3), normal(3)),
    "maximum": row("maximum", distinct(4, 3), lambda rng: np.array([-0.97, -0.77, -0.61])),
    "minimum": row("minimum", distinct(4, 3), lambda rng: np.array([-0.97, -0.77, -0.61])),
    "equal": row("equal", integers(3, 5), integers(3, 5)),
    "not_equal": row("not_equal", normal(5), normal(5)),
    "less": row("less", normal(2, 5), normal(5)),
    "less_equal": row("less_equal", normal(5), normal(5)),
    "sign": row("sign", off_zero(5)),
    "floor": row("floor", lambda rng: np.array([-1.5, 0.3, 2.6])),
    "where": row("where", booleans(3, 4), normal(4), normal(3, 1)),
    "cast": row("cast", normal(3), dtype=FLOAT64),
    "one_hot": row("one_hot", integers(4, 2, 3), classes=4, dtype=FLOAT64),
    "negative": row("negative", normal(3)),
    "absolute": row("absolute", off_zero(5)),
    "exp": row("exp", normal(5)),
    "log": row("log", positive(5)),
    "sqrt": row("sqrt", positive(5)),
    "sin": row("sin", normal(5)),
    "cos": row("cos", normal(5)),
    "tanh": row("tanh", normal(5)),
    "sigmoid": row("sigmoid", normal(5)),
    "softplus": row("softplus", normal(5)),
    "relu": row("relu", off_zero(2, 5)),
    "softmax": row("softmax", normal(3, 4), axis=(1,)),
    "softmax-first": row("softmax", normal(3, 4), axis=(0,)),
    "transpose": row("transpose", normal(2, 3, 4), axes=(2, 0, 1)),
    "concatenate": row("concatenate", normal(2, 3), normal(2, 1), normal(2, 2), axis=1),
    "strided_slice": row(
        "strided_slice", normal(5, 6), starts=(4, 1), stops=(-1, 6), steps=(-2, 2)
    ),
    "strided_embed": row(
        "strided_embed", normal(3, 3), shape=(5, 6), starts=(4, 1), stops=(-1, 6), steps=(-2, 2)
    ),
    "pad": row("pad", normal(2, 3), widths=((1, 0), (2, 3)), value=0.5),
    "gather": row("gather", normal(4, 3), integers(4, 5)),
    "gather-pairs": row("gather", normal(4, 3, 2), integers(4, 5, 1), integers(3, 2)),
    "scatter_add": row("scatter_add", normal(5, 3), integers(4, 5), shape=(4, 3)),
    "scatter_set": row("scatter_set", normal(4, 3), normal(5, 3), integers(4, 5)),
    "scatter_set-pairs": row(
        "scatter_set", normal(4, 3, 2), normal(3, 2, 2), integers(4, 3, 1), integers(3, 2)
    ),
    "matmul": row("matmul", normal(3, 4), normal(4, 2)),
    "matmul-batched": row("matmul", normal(2, 1, 3, 4), normal(5, 4, 2)),
    "sum_of_products": row("sum_of_products", normal(2, 3), normal(3, 4), subscripts="ij,jk->ik"),
    "sum_of_products-lone": row(
        "sum_of_products", normal(2, 3, 2), normal(3), subscripts="ija,j->i"
    ),
    "correlate2d": row("correlate2d", normal(2, 5, 6, 2), normal(3, 2, 2, 3)),
    "correlate2d-strided": row(
        "correlate2d", normal(2, 8, 7, 1), normal(3, 2, 1, 2), strides=(2, 3), dilation=(2, 1)
    ),
    "correlate2d-one-channel": row("correlate2d", normal(1, 6, 6, 1), normal(3, 3, 1, 1)),
    "correlate2d_input_gradient": row(
        "correlate2d_input_gradient",
        normal(2, 3, 2, 3),
        normal(2, 3, 2, 3),
        size=(7, 5),
        strides=(2, 2),
        dilation=(2, 1),
    ),
    "correlate2d_kernel_gradient": row(
        "correlate2d_kernel_gradient",
        normal(2, 7, 5, 2),
        normal(2, 3, 2, 3),
        size=(2, 3),
        strides=(2, 2),
        dilation=(2, 1),
    ),
    "interleave2d": row("interleave2d", *[normal(2, 3, 2, 2)] * 6, steps=(2, 3)),
    "max_pool2d": row("max_pool2d", distinct(2, 4, 6, 2), pool_size=(2, 2), strides=(2, 2)),
    "max_pool2d-overlap": row("max_pool2d", distinct(1, 5, 7, 2), pool_size=(3, 2), strides=(1, 2)),
    "max_pool2d_gradient": row(
        "max_pool2d_gradient", normal(2, 2, 4, 2), pool_z, pool_x, **WINDOWS
    ),
    "max_pool2d_pick": row("max_pool2d_pick", normal(*POOL_INPUT), pool_z, pool_x, **WINDOWS),
    "sum_pool2d": row("sum_pool2d", normal(2, 5, 6, 2), **WINDOWS),
    "sum_pool2d_gradient": row("sum_pool2d_gradient", normal(2, 2, 4, 2), size=(5, 6), **WINDOWS),
    "sparse_softmax_cross_entropy": row(
        "sparse_softmax_cross_entropy", normal(4, 5), integers(5, 4)
    ),
    "sparse_softmax_cross_entropy_gradient": row(
        "sparse_softmax_cross_entropy_gradient", normal(4), normal(4, 5), integers(5, 4)
    ),
    "relu_gradient": row("relu_gradient", normal(2, 5), off_zero(2, 5)),
    "log1p": row("log1p", small(7)),
    "expm1": row("expm1", normal(7)),
    "exp2": row("exp2", normal(5)),
    "log2": row("log2", positive(5)),
    "log10": row("log10", positive(5)),
    "logaddexp": row("logaddexp", normal(3, 4), normal(4)),
    "sinh": row("sinh", wide(9)),
    "cosh": row("cosh", wide(9)),
    "arcsinh": row("arcsinh", wide(9)),
    "arccosh": row("arccosh", lambda rng: rng.uniform(1.2, 4.0, 7)),
    "arctanh": row("arctanh", small(9)),
    "arctan": row("arctan", wide(9)),
    "arctan2": row("arctan2", off_zero(4, 3), off_zero(3)),
    "arcsin": row("arcsin", small(7)),
    "arccos": row("arccos", small(7)),
    "hypot": row("hypot", off_zero(4, 3), off_zero(3)),
    "erf": row("erf", wide(9)),
    "remainder": row(
        "remainder", lambda rng: np.array([3.3, -2.6, 7.1, -0.4]), lambda rng: np.array([1.5])
    ),
    "remainder-negative": row(
        "remainder", lambda rng: np.array([3.3, -2.6]), lambda rng: np.array([-1.2, -0.7])
    ),
    "cumulative_sum": row("cumulative_sum", normal(2, 5, 3), axis=1),
    "cumulative_sum-reverse": row("cumulative_sum", normal(7), axis=0, reverse=True),
    "sorted_places": row("sorted_places", distinct(3, 6), axis=1),
    "sorted_places-first": row("sorted_places", distinct(5, 2, 2), axis=0),
    "largest_place": row("largest_place", distinct(3, 4, 2), axis=1, smallest=False),
    "largest_place-smallest": row("largest_place", distinct(3, 4), axis=0, smallest=True),
    "solve_matrix": row("solve_matrix", regular(2, 3), normal(3, 2)),
    "determinant": row("determinant", regular(2, 3)),
    "log_determinant": row("log_determinant", regular(2, 3)),
    "determinant_sign": row("determinant_sign", regular(2, 3)),
    "cholesky_factor": row("cholesky_factor", definite(2, 3)),
    "symmetric_spectrum": row("symmetric_spectrum", definite(4)),
    "singular_spectrum": row("singular_spectrum", regular(3)),
    "singular_spectrum-tall": row("singular_spectrum", lambda rng: regular(4)(rng)[:, :3]),
    "singular_spectrum-wide": row("singular_spectrum", lambda rng: regular(4)(rng)[:3]),
    "nested-scan": row("nested", normal(3), normal(5, 3), normal(3), nest=NESTS["scan"]),
    "nested-cond": row("nested", booleans(), normal(3), normal(3), nest=NESTS["cond"]),
    "nested_integers": row(
        "nested_integers", normal(3), normal(5, 3), normal(3), nest=NESTS["scan"]
    ),
    "split_key": row("split_key", key, count=3),
    "random_uniform": row("random_uniform", key, shape=(3, 4), dtype=FLOAT64),
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run a test that takes `case` once per row of the table."""
    if "case" in metafunc.fixturenames:
        metafunc.parametrize("case", CASES.values(), ids=CASES)


@pytest.fixture
def cases() -> dict[str, Case]:
    """The whole table."""
    return CASES


@pytest.fixture
def rng() -> np.random.Generator:
    """A generator with a fixed seed."""
    return np.random.default_rng(2024)


@pytest.fixture(scope="session")
def keras():
    """Keras on TensorFlow, one thread, no GPU: the reference of the conformance tests."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what TensorFlow's own imports warn of is not ours
        import keras
    return keras
