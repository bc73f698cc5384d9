"""Each operation on each dtype and shape: NumPy's value in NumPy's dtype, or a named refusal."""

import itertools
import math

import numpy as np
import pytest

from myad import Spec, Tensor, errors, ops
from myad.core import PRIMITIVES

DTYPES = [f"float{n}" for n in (16, 32, 64)] + [
    f"{kind}int{n}" for kind in ("", "u") for n in (8, 16, 32, 64)
] + ["bool"]  # fmt: skip
SHAPES = {"0-d": (), "empty": (0,), "empty rows": (2, 0), "small": (2, 3)}
UNARY = [
    "negative", "absolute", "exp", "log", "sqrt", "sin", "cos", "tanh", "sign", "floor", "log1p",
    "expm1", "exp2", "log2", "log10", "sinh", "cosh", "tan", "arcsin", "arccos", "arctan",
    "arcsinh", "arccosh", "arctanh", "square", "reciprocal", "logical_not",
]  # fmt: skip
BINARY = [
    "mod", "arctan2", "hypot", "logaddexp", "fmax", "fmin", "logical_and", "logical_or",
    "logical_xor",
    "add", "subtract", "multiply", "divide", "power", "maximum", "minimum",
    "equal", "not_equal", "less", "less_equal", "greater", "greater_equal",
]  # fmt: skip
REDUCTIONS = ["sum", "mean", "max", "min", "var", "std", "prod", "argmax", "argmin"]
ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, np.zeros((), x.dtype)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "softplus": lambda x: np.log1p(np.exp(x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "elu": lambda x: np.where(x > 0, x, np.expm1(x)),
    "leaky_relu": lambda x: np.where(x > 0, x, x * np.asarray(0.2, x.dtype)),
}
MOVES = {
    # name: ours, NumPy's, of one array
    "reshape": (lambda x: ops.reshape(x, -1), lambda x: np.reshape(x, -1)),
    "transpose": (ops.transpose, np.transpose),
    "broadcast_to": (
        lambda x: ops.broadcast_to(x, (2, *x.shape)), lambda x: np.broadcast_to(x, (2, *x.shape))
    ),
    "concatenate": (lambda x: ops.concatenate([x, x]), lambda x: np.concatenate([x, x])),
    "stack": (lambda x: ops.stack([x, x], -1), lambda x: np.stack([x, x], -1)),
    "pad": (
        lambda x: ops.pad(x, [(1, 2)] * len(x.shape)),
        lambda x: np.pad(x, [(1, 2)] * x.ndim) if x.ndim else x,
    ),
    "take": (lambda x: ops.take(x, [0, 0], -1), lambda x: np.take(x, [0, 0], -1)),
    "getitem": (lambda x: Tensor(x)[..., ::-1], lambda x: x[..., ::-1]),
    "mask": (lambda x: Tensor(x)[np.asarray(x) > 0], lambda x: x[x > 0]),
    "where": (lambda x: ops.where(x > x, x, x), lambda x: np.where(x > x, x, x)),
    "clip": (lambda x: ops.clip(x, x, x), lambda x: np.clip(x, x, x)),
    "cast": (lambda x: ops.cast(x, "float32"), lambda x: x.astype("float32")),
    "stop_gradient": (ops.stop_gradient, lambda x: x),
    "matmul": (lambda x: ops.matmul(x, ops.transpose(x)), lambda x: np.matmul(x, np.transpose(x))),
    "einsum": (
        lambda x: ops.einsum("ij,kj->ik", x, x), lambda x: np.einsum("ij,kj->ik", x, x)
    ),
    "one_hot": (lambda x: ops.one_hot(x, 4), lambda x: np.eye(4, dtype="float32")[x.astype(int)]),
    "softmax": (ops.softmax, lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True)),
    "log_softmax": (ops.log_softmax, lambda x: x - np.log(np.exp(x).sum(-1, keepdims=True))),
    "logsumexp": (ops.logsumexp, lambda x: np.log(np.exp(x).sum())),
}  # fmt: skip


def erf(x):
    return np.asarray([math.erf(v) for v in x.flat], x.dtype).reshape(x.shape)


def of_rows(name, *args, **options):
    """NumPy's function of this name and ours, of one array."""
    return (
        lambda x: getattr(ops, name)(x, *args, **options),
        lambda x: getattr(np, name)(x, *args, **options),
    )


MOVES |= {
    "cumsum": of_rows("cumsum"), "cumsum of rows": of_rows("cumsum", -1),
    "diff": of_rows("diff"), "diff twice": of_rows("diff", 2, 0),
    "diag": of_rows("diag"), "diag above": of_rows("diag", 1), "diagonal": of_rows("diagonal"),
    "trace": of_rows("trace"), "trace below": of_rows("trace", -1),
    "tril": of_rows("tril"), "triu": of_rows("triu", 1),
    "argsort": (ops.argsort, lambda x: np.argsort(x, kind="stable")),
    "sort": of_rows("sort"), "sort all": of_rows("sort", None),
    "append": (lambda x: ops.append(x, x), lambda x: np.append(x, x)),
    "append rows": (lambda x: ops.append(x, x, 0), lambda x: np.append(x, x, 0)),
    "expand_dims": of_rows("expand_dims", (0, -1)), "squeeze": of_rows("squeeze"),
    "flip": of_rows("flip"), "flip rows": of_rows("flip", 0),
    "moveaxis": of_rows("moveaxis", 0, -1), "repeat": of_rows("repeat", 2),
    "repeat rows": of_rows("repeat", 3, 0), "roll": of_rows("roll", 1),
    "roll both": of_rows("roll", (1, -4), (0, 1)), "tile": of_rows("tile", (2, 1, 3)),
    "split": (lambda x: ops.split(x, [1, 5], -1)[0], lambda x: np.split(x, [1, 5], -1)[0]),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, np.zeros((2, 1), int), 1),
        lambda x: np.take_along_axis(x, np.zeros((2, 1), int), 1),
    ),
    "dot": (lambda x: ops.dot(x, ops.transpose(x)), lambda x: np.dot(x, np.transpose(x))),
    "outer": (lambda x: ops.outer(x, x), lambda x: np.outer(x, x)),
    "tensordot": (lambda x: ops.tensordot(x, x, 1 if len(x.shape) < 2 else [[0], [0]]),
                  lambda x: np.tensordot(x, x, 1 if x.ndim < 2 else [[0], [0]])),
    "kron": (lambda x: ops.kron(x, x), lambda x: np.kron(x, x)),
    "cross": (lambda x: ops.cross(x, x), lambda x: np.cross(x, x)),
    "gelu": (ops.gelu, lambda x: x * ((1 + erf(x / 2**0.5)) / 2)),
    "erf": (ops.erf, lambda x: erf(x)),
}  # fmt: skip
ELSEWHERE = {  # images, labels and keys: tests of their own
    "average_pooling2d", "conv2d", "max_pooling2d", "random_key", "random_normal",
    "random_split", "random_uniform", "at", "dynamic_slice", "dynamic_update_slice",
    "sparse_softmax_cross_entropy",
}  # fmt: skip


def rows():
    for name in UNARY:
        yield name, 1, getattr(ops, name), getattr(np, name)
    for name in BINARY:
        yield name, 2, getattr(ops, name), getattr(np, name)
    for name, keepdims in itertools.product(REDUCTIONS, (False, True)):
        ours, numpys = getattr(ops, name), getattr(np, name)
        yield name, 1, lambda x, f=ours: f(x), numpys
        yield (
            f"{name} of rows", 1, lambda x, f=ours, k=keepdims: f(x, -1, k),
            lambda x, f=numpys, k=keepdims: f(x, axis=-1, keepdims=k),
        )  # fmt: skip
    for name, numpys in ACTIVATIONS.items():
        yield name, 1, getattr(ops, name), numpys
    for name, (ours, numpys) in MOVES.items():
        yield name, 1, ours, numpys


ROWS = list(rows())


def test_every_public_operation_has_a_row():
    known = {name for name, *_ in ROWS} | ELSEWHERE
    assert set(ops.__all__) <= known


def inputs_of(count, dtype, shape):
    rng = np.random.default_rng(7)
    numbers = [rng.integers(0, 4, shape) for _ in range(count)]
    return [np.asarray(x).astype(dtype) for x in numbers]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of NumPy: log of 0, mean of nothing
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_values_and_dtypes_are_numpys_or_refused_by_name(dtype, shape):
    for name, count, ours, numpys in ROWS:
        inputs = inputs_of(count, dtype, shape)
        for given in (inputs, [Tensor(x) for x in inputs]):
            try:
                found = ours(*given)
            except errors.MyadError as refusal:
                text = str(refusal)
                assert dtype in text or str(shape) in text or "axes" in text or "axis" in text, text
                if dtype in ("float32", "float64") and shape == (2, 3):
                    assert name == "one_hot", f"{name} refused: {text}"
                continue
            found = np.asarray(found.value if isinstance(found, Tensor) else found)
            expected = np.asarray(numpys(*inputs))
            assert found.dtype == expected.dtype, (name, found.dtype, expected.dtype)
            tolerance = 4e-3 if found.dtype == np.float16 else 2e-6
            np.testing.assert_allclose(found, expected, tolerance, tolerance, err_msg=name)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", DTYPES)
def test_shape_rules_tell_what_numpy_does(dtype):
    for name in {*UNARY, *BINARY} & set(PRIMITIVES):
        op = PRIMITIVES[name]
        inputs = inputs_of(2 if name in BINARY else 1, dtype, (2, 3))
        try:
            told = op.shape_rule(*[Spec(x.shape, x.dtype) for x in inputs])
            real = op(*[Tensor(x) for x in inputs])
        except errors.MyadError:
            continue
        assert (told.shape, told.dtype) == (real.shape, real.dtype), name
