"""Every element type is carried as it is, nothing narrowed or signed by mistake; or is refused."""

import contextlib
import ctypes

import numpy as np
import pytest

import myad
from myad import ops
from myad.compile.dtypes import DTYPES, KIND, NAMES, SUPPORT
from myad.compile.kernels.expr import ARITY, COMPARISONS
from myad.compile.kernels.index import affine
from myad.compile.llvm.native import NativeModule, object_code
from myad.compile.llvm.render import Renderer
from myad.compile.loops.interpret import interpret
from myad.compile.loops.loops import LoopBuilder
from myad.compile.schedule.layout import Storage
from myad.compiled import compile_predict, compile_training
from myad.errors import CompileError, MyadError

pytestmark = pytest.mark.usefixtures("numpy_may_overflow")

INT64, UINT8, INT32 = np.int64, np.uint8, np.int32


def same(found, wanted):
    """Equal dtype and shape, and value: exactly, or to rounding."""
    wanted = np.asarray(wanted)
    assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape)
    tolerance = {"float32": 1e-5, "float64": 1e-12}.get(wanted.dtype.name, 0)
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def edges(dtype):
    """Numbers of a type: small ones, and where it ends."""
    if dtype.kind == "b":
        return np.array([0, 1, 1, 0, 1], dtype)
    if dtype.kind == "f":
        return np.array([-2.5, -0.5, 0.25, 1.5, 3.0], dtype)
    ends = np.iinfo(dtype)
    return np.array([ends.min, ends.max, 3, ends.max // 2 + 1, 100], dtype)


EDGES = {
    "sum of int64 beyond 32 bits": (lambda x: x + x, [np.array([2**40, -(2**40)])]),
    "product of uint64": (lambda x: x * x, [np.array([2**33 + 1, 3], np.uint64)]),
    "int64 constant": (lambda x: x + 2**40, [np.array([1, 2])]),
    "maximum of uint8": (ops.maximum, [np.array([200], UINT8), np.array([100], UINT8)]),
    "minimum of uint64": (ops.minimum, [np.array([2**63], np.uint64), np.array([1], np.uint64)]),
    "less of bool": (lambda x, y: x < y, [np.array([False, True]), np.array([True, False])]),
    "less of uint8": (lambda x, y: x < y, [np.array([1], UINT8), np.array([200], UINT8)]),
    "sum of bool": (lambda x: x + x, [np.array([True, False])]),
    "negate int32": (lambda x: -x, [np.array([1, -2, 2**31 - 1], INT32)]),
    "absolute int32": (abs, [np.array([1, -2, -(2**31)], INT32)]),
    "absolute uint8": (abs, [np.array([1, 200], UINT8)]),
    "divide int32": (lambda x, y: x / y, [np.array([7, -7], INT32), np.array([2, 0], INT32)]),
    "divide uint64": (lambda x: x / x[::-1], [np.array([2**63 + 2**20, 3], np.uint64)]),
    "mean of int32": (lambda x: x.mean(), [np.array([1, -2, 2**31 - 1], INT32)]),
    "max of int32": (lambda x: x.max(axis=1), [-np.arange(1, 41, dtype=INT32).reshape(2, 20)]),
    "max of uint16": (lambda x: x.max(), [np.arange(65500, 65536, dtype=np.uint16)]),
    "max of bool": (lambda x: x.max(axis=0), [np.eye(9, 40, dtype=bool)]),
    "sum of uint8": (lambda x: x.sum(), [np.full(77, 255, UINT8)]),
    "sum of many bools": (lambda x: x.sum(), [np.ones(77, bool)]),
    "product of matrices of int32": (lambda x: x @ x, [np.arange(49, dtype=INT32).reshape(7, 7)]),
    "product of matrices of bool": (lambda x: x @ x, [np.eye(9, k=1, dtype=bool)]),
    "power of int32": (lambda x, y: x**y, [np.arange(-3, 4, dtype="i4"), np.arange(7, dtype="i4")]),
    "sign of uint8": (ops.sign, [np.array([0, 200], UINT8)]),
    "int64 to float64": (lambda x: x.astype("f8"), [np.array([2**53, -(2**62)])]),
    "uint64 to float32": (lambda x: x.astype("f4"), [np.array([2**64 - 1, 5], np.uint64)]),
    "int8 to int64": (lambda x: x.astype("i8"), [np.array([-3, 100], np.int8)]),
    "int64 to uint8": (lambda x: x.astype("u1"), [np.array([-3, 2**40 + 5])]),
    "float32 to uint8": (lambda x: x.astype("u1"), [np.array([-3.0, 2.9, 300.0], "f4")]),
    "float64 to int8": (lambda x: x.astype("i1"), [np.array([-3.7, 2.9, 300.0])]),
    "float64 to bool": (lambda x: x.astype(bool), [np.array([0.0, 0.5, np.nan])]),
    "one_hot of int64": (lambda x: myad.one_hot(x, 5), [np.array([2**40 + 3, 3, -1])]),
    "one_hot of uint32": (lambda x: myad.one_hot(x, 300), [np.array([2**32 - 1, 299], "u4")]),
    "one_hot of int8": (lambda x: myad.one_hot(x, 300), [np.array([-1, 44], "i1")]),
    "joined int64": (lambda x: myad.concatenate([x, x]), [np.array([2**40, 1])]),
    "padded int16": (lambda x: myad.pad(x, ((1, 2),), 7), [np.array([-300, 1], "i2")]),
}  # fmt: skip


@pytest.mark.parametrize(("function", "arguments"), EDGES.values(), ids=EDGES)
def test_integers_and_booleans_are_numpy_s(function, arguments):
    wanted = function(*[myad.Tensor(x) for x in arguments]).numpy()
    same(myad.jit(function)(*arguments), wanted)


UNARY = {
    "absolute": ops.absolute, "negative": ops.negative, "sign": ops.sign, "floor": ops.floor,
    "exp": myad.exp, "log": lambda x: myad.log(x * x), "sqrt": lambda x: myad.sqrt(x * x),
    "sin": myad.sin, "cos": myad.cos, "tanh": myad.tanh, "sigmoid": myad.sigmoid,
    "softplus": myad.softplus, "relu": myad.relu, "square": lambda x: x**2,
    "sum": lambda x: x.sum(),
    "max": lambda x: x.max(), "mean": lambda x: x.mean(), "var": lambda x: x.var(),
    "last axis": lambda x: x.sum(axis=-1), "reversed": lambda x: x[::-1],
    "flat": lambda x: x.flatten(),
    "turned": lambda x: x.T, "kept": lambda x: x.max(axis=0, keepdims=True),
    "stretched": lambda x: myad.broadcast_to(x, (2, *x.shape)), "softmax": myad.softmax,
    "padded": lambda x: myad.pad(x, ((1, 1),) * len(x.shape)),
    **{f"to {name}": lambda x, name=name: x.astype(name) for name in NAMES},
}  # fmt: skip
BINARY = {
    "add": ops.add, "subtract": ops.subtract, "multiply": ops.multiply, "divide": ops.divide,
    "maximum": ops.maximum, "minimum": ops.minimum, "equal": ops.equal, "less": ops.less,
    "not_equal": ops.not_equal, "less_equal": ops.less_equal, "outer": lambda x, y: x[:, None] * y,
    "where": lambda x, y: myad.where(x < y, x, y), "joined": lambda x, y: myad.concatenate([x, y]),
    "stacked": lambda x, y: myad.stack([x, y]), "matmul": lambda x, y: x @ y.T,
    "one": lambda x, y: x + x.max() * y,
}  # fmt: skip
SHAPES = [(), (0,), (1,), (5,), (3, 0), (0, 4), (2, 17), (33,), (1, 1, 3)]
FLOATING = ("float32", "float64")
CASES = [(name, dtype) for name in (*UNARY, *BINARY) for dtype in NAMES]


def samples(dtype, count):
    """`count` arguments of every shape."""
    rng, found = np.random.default_rng(11), []
    for shape in SHAPES:
        size = int(np.prod(shape))
        for _ in range(count):
            if dtype in FLOATING:
                found.append(rng.standard_normal(size).astype(dtype).reshape(shape))
            else:
                found.append(rng.choice(edges(np.dtype(dtype)), size).reshape(shape))
    return [found[n : n + count] for n in range(0, len(found), count)]


def with_gradient(function, dtype):
    """`function`, and its gradient by the first argument where it has one."""

    def both(x, *others):
        value = function(x, *others)
        if dtype not in FLOATING or value.dtype.kind != "f":
            return (value,)
        return value, myad.grad(lambda x: (function(x, *others) * 1.5).sum())(x)

    return both


@pytest.mark.parametrize(("name", "dtype"), CASES)
def test_compiled_is_eager_for_every_operation_and_dtype(name, dtype):
    function = with_gradient(UNARY.get(name) or BINARY[name], dtype)
    arguments, wanted = [], []
    for values in samples(dtype, 1 if name in UNARY else 2):
        try:
            wanted.append(function(*[myad.Tensor(x) for x in values]))
        except Exception as fault:
            with contextlib.suppress(MyadError, type(fault)):  # refused too, or answered
                myad.jit(function)(*values)
        else:
            arguments.append(values)
    found = myad.jit(lambda *all_: [function(*values) for values in all_])(*map(tuple, arguments))
    for got, expected in zip(found, wanted, strict=True):
        for one, two in zip(got, expected, strict=True):
            same(one, two.numpy() if isinstance(two, myad.Tensor) else two)


@pytest.mark.parametrize("dtype", ["float16", "complex64", "longdouble"])
def test_other_dtypes_are_refused_by_name(dtype):
    x = np.ones(3, dtype)
    with pytest.raises(CompileError, match=f"{x.dtype.name}.* cannot be compiled"):
        myad.jit(lambda x: x + x)(x)
    if dtype == "float16":
        with pytest.raises(CompileError, match="float16"):
            myad.jit(lambda x: x.astype(np.float16))(np.ones(3))


@pytest.mark.parametrize("name", ["subtract", "negative"])
def test_what_a_dtype_cannot_do_is_refused_before_compiling(name):
    x = np.array([True, False])
    with pytest.raises(MyadError, match="bool"):
        myad.jit(lambda x: -x if name == "negative" else x - x)(x)


def test_every_operation_has_its_kinds_listed():
    assert set(SUPPORT) == set(ARITY)


PAIRS = [(op, dtype) for op in ARITY for dtype in DTYPES if KIND[dtype] in SUPPORT[op]]


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize(("op", "dtype"), PAIRS)
def test_interpreter_and_llvm_agree_on_every_operation_and_dtype(op, dtype, lanes):
    rng = np.random.default_rng(3)
    x = np.resize(edges(np.dtype(DTYPES[dtype])), 8)
    operands = [x, rng.permutation(x), rng.permutation(x)]
    if op in ("shr", "shl", "pow") and KIND[dtype] != "float":
        operands[1] = (np.arange(8) % 7).astype(x.dtype)
    if op in ("log", "sqrt", "pow") and KIND[dtype] == "float":
        operands[0] = np.abs(x)
    targets = (
        [d for d in DTYPES if d != dtype]
        if op == "cast"
        else ["bool" if op in COMPARISONS else dtype]
    )
    for target in targets:
        memory, code = one_operation(op, dtype, target, lanes, operands[: ARITY[op]])
        interpret(code, memory)
        (out,) = [s for s in memory if s.name == "out"]
        wanted, memory[out][:] = memory[out].copy(), 0
        renderer = Renderer()
        renderer.function(code)
        text = renderer.text().replace("define internal void @operation", "define void @operation")
        module = NativeModule(object_code(text))
        pointers = [memory[s].ctypes.data for s in code.storages]
        kinds = [ctypes.c_void_p] * len(pointers)
        ctypes.CFUNCTYPE(None, *kinds)(module.address("operation"))(*pointers)
        same(memory[out], wanted)


def one_operation(op, dtype, target, lanes, operands):
    """Loop code that applies `op` to arrays, and the memory it runs on."""
    build, memory, values = LoopBuilder("operation"), {}, []
    condition = np.arange(8) % 3 == 0
    kinds = [("bool", condition), *[(dtype, o) for o in operands[:2]]]
    for n, (kind, array) in enumerate(kinds if op == "select" else [(dtype, o) for o in operands]):
        storage = Storage(f"x{n}", kind, 8)
        memory[storage] = array.copy()
        values.append(build.load(storage, affine(0), lanes=lanes))
    out = Storage("out", target, 8)
    memory[out] = np.zeros(8, DTYPES[target])
    build.store(out, affine(0), build.apply(op, *values, dtype=target))
    return memory, build.code


FOREIGN = {
    "big-endian": lambda a: a.astype(a.dtype.newbyteorder(">")),
    "strided": lambda a: np.repeat(a, 2, axis=-1)[..., ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "misaligned": lambda a: np.frombuffer(b"x" + a.tobytes(), a.dtype, offset=1).reshape(a.shape),
    "read-only": lambda a: np.frombuffer(a.tobytes(), a.dtype).reshape(a.shape),
}


@pytest.mark.parametrize("label", ["u1", "i4", "i8", "u8"])
@pytest.mark.parametrize("made", FOREIGN.values(), ids=FOREIGN)
def test_data_of_any_order_is_converted_at_the_door(made, label, data):
    images, labels = data()
    images, labels = (images / 255).astype("f4"), labels.astype(label)
    results = []
    for x, y in ((images, labels), (made(images), made(labels))):
        model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (7, 6, 2))
        training = compile_training(
            model, "sparse_categorical_crossentropy", myad.SGD(), x, y, batch_size=3
        )
        losses = [training.epoch(x, y), training.epoch(x, y, made(np.arange(40)))]
        history = myad.fit(model, x, y, compiled=True, progress=False, shuffle=False)
        results.append([*losses, *history.loss, compile_predict(model, x, batch_size=7)(x)])
        results[-1].append(myad.jit(lambda x, y: x * y.astype("f4")[0])(x, y))
    for one, two in zip(*results, strict=True):
        np.testing.assert_array_equal(one, two)


def test_labels_of_eight_bytes_train_as_eagerly(data):
    images, labels = data()
    losses = []
    for compiled in (False, True):
        model = myad.Sequential([myad.Flatten(), myad.Dense(4, activation="softmax")], (7, 6, 2))
        options = {"progress": False, "shuffle": False, "compiled": compiled}
        losses += myad.fit(model, images, labels.astype(">i8"), **options).loss
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)


def test_vectors_of_the_caller_s_rows_read_their_own_row(data):
    """Float images whose rows fill no vector: each example is read where it lies."""
    images = np.random.default_rng(0).standard_normal((12, 11)).astype("f4")
    layers = [myad.Dense(3)]
    model = myad.Sequential(layers, (11,))
    found = compile_predict(model, images, batch_size=2)(images)
    np.testing.assert_allclose(found, myad.predict(model, images), rtol=1e-5, atol=1e-6)
