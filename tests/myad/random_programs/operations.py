"""The operations of random programs: each adds one line to a draft, or none if nothing fits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tests.myad.random_programs.draft import FLOATS, INTEGERS, LARGEST, Draft
from tests.myad.random_programs.routines import branches, items, loops, sorting, whole_loops

UNARY = ("sin", "cos", "tanh", "sigmoid", "softplus", "relu", "silu", "elu", "leaky_relu", "exp")


def unary(d: Draft) -> None:
    name = d.rng.choice(UNARY)
    d.add(name, f"myad.{name}({{0}})", d.floating())


def guarded(d: Draft) -> None:
    """Logarithm and square root where they are defined, and sometimes where they are not."""
    name = d.rng.choice(("log", "sqrt"))
    inside = "{0}" if d.wild or d.rng.random() < 0.2 else "myad.absolute({0}) + 0.25"
    d.add(name, f"myad.{name}({inside})", d.floating())


def simple(d: Draft) -> None:
    """Functions of any dtype."""
    name, text = d.rng.choice(
        (
            ("negative", "-{0}"),
            ("absolute", "abs({0})"),
            ("sign", "myad.sign({0})"),
            ("floor", "myad.floor({0})"),
            ("stop_gradient", "myad.stop_gradient({0})"),
            ("clip", "myad.clip({0}, -1, 2)"),
        )
    )
    d.add(name, text, d.anything())


def binary(d: Draft) -> None:
    x = d.anything()
    op = d.rng.choice(("+", "-", "*", "*", "+", "/", "myad.maximum", "myad.minimum"))
    name = op.rpartition(".")[2]
    if d.rng.random() < 0.25:
        _with_number(d, name, op, x)
        return
    y = d.partner(x)
    if op == "/" and not d.wild and d.values[x].dtype.kind == "f":
        d.add("divide", "{0} / (abs({1}) + 0.5)", x, y)
    else:
        d.add(name, _infix(op, "{0}", "{1}"), x, y)


def _with_number(d: Draft, name: str, op: str, x: str) -> None:
    number = d.rng.choice((2, 3, -1, 0, 1) if d.values[x].dtype.kind != "f" else (2, 0.5, -1.25, 1))
    sides = ["{0}", repr(number)]
    if d.rng.random() < 0.4:
        sides.reverse()
    d.add(f"{name} number", _infix(op, *sides), x)


def _infix(op: str, x: str, y: str) -> str:
    return f"{op}({x}, {y})" if "." in op else f"{x} {op} {y}"


def power(d: Draft) -> None:
    x = d.floating()
    if d.rng.random() < 0.7:
        number = d.rng.choice((2, 2.0, 3, 0.5, 1, 0, -1, 1.5))
        d.add("power", f"(abs({{0}}) + 0.25) ** {number}", x)
        d.add("power", "{0} ** 2", x)
    else:
        d.add("power", "(abs({0}) + 0.25) ** myad.minimum({1}, 2.0)", x, d.partner(x))


def comparison(d: Draft) -> None:
    x = d.anything()
    op = d.rng.choice(("<", "<=", ">", ">=", "==", "!="))
    if d.rng.random() < 0.3:
        d.add(f"{op} number", f"{{0}} {op} {d.rng.choice((0, 1, 2))}", x)
    else:
        d.add(op, f"{{0}} {op} {{1}}", x, d.partner(x))


def where(d: Draft) -> None:
    x = d.anything()
    y = d.partner(x)
    condition = d.find(lambda v: v.dtype == bool and _meets(v, d.values[x]))
    if condition is None or d.rng.random() < 0.5:
        d.add("where", "myad.where({0} < {1}, {0}, {1})", x, y)
    else:
        d.add("where", "myad.where({0}, {1}, {2})", condition, x, y)


def _meets(x: np.ndarray, y: np.ndarray) -> bool:
    try:
        return math.prod(np.broadcast_shapes(x.shape, y.shape)) <= LARGEST
    except ValueError:
        return False


def cast(d: Draft) -> None:
    """Between any dtypes; out of range, a float has no integer (undefined in C)."""
    x = d.anything()
    dtype = d.rng.choice((*FLOATS, *INTEGERS, "bool", d.dtype, d.dtype))
    value = d.values[x]
    if value.dtype.kind == "f" and np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        with np.errstate(all="ignore"):
            inside = np.all((value > max(info.min, -1e3)) & (value < min(info.max, 1e3)))
        if not inside:
            return
    d.add("cast", f"{{0}}.astype({dtype!r})", x)


def reduction(d: Draft) -> None:
    name = d.rng.choice(("sum", "sum", "mean", "max", "max", "min", "var", "logsumexp"))
    x = d.floating() if name == "logsumexp" else d.anything()
    d.add(name, f"myad.{name}({{0}}, {_axis(d, x)}, keepdims={d.rng.random() < 0.4})", x)


def _axis(d: Draft, x: str) -> str:
    ndim = d.values[x].ndim
    if ndim == 0 or d.rng.random() < 0.25:
        return "None"
    chosen = d.rng.sample(range(ndim), d.rng.randint(1, ndim))
    chosen = [a - ndim if d.rng.random() < 0.3 else a for a in chosen]
    return str(chosen[0]) if len(chosen) == 1 else str(tuple(chosen))


def softmax(d: Draft) -> None:
    name = d.rng.choice(("softmax", "log_softmax"))
    x = d.floating(1)
    d.add(name, f"myad.{name}({{0}}, {d.rng.randrange(d.values[x].ndim)})", x)


def reshape(d: Draft) -> None:
    x = d.anything()
    size = d.values[x].size
    shape: list[int] = []
    while size > 1 and len(shape) < 3:
        n = d.rng.choice([k for k in range(1, size + 1) if size % k == 0])
        shape.append(n)
        size //= n
    shape = [0, *d.fresh_shape(1)] if size == 0 else [*shape, size]
    if d.rng.random() < 0.2:
        shape[d.rng.randrange(len(shape))] = -1
    d.add("reshape", f"{{0}}.reshape({tuple(shape)})", x)


def transpose(d: Draft) -> None:
    x = d.anything(1)
    axes = list(range(d.values[x].ndim))
    d.rng.shuffle(axes)
    d.add("transpose", f"myad.transpose({{0}}, {tuple(axes)})", x)


def broadcast(d: Draft) -> None:
    x = d.anything()
    shape = [d.rng.choice((1, 2, 3, 5)) if n == 1 else n for n in d.values[x].shape]
    shape = [*d.rng.choice(((), (2,), (1,), (3,))), *shape]
    if math.prod(shape) <= LARGEST:
        d.add("broadcast_to", f"myad.broadcast_to({{0}}, {tuple(shape)})", x)


def index(d: Draft) -> None:
    x = d.anything(1)
    parts = []
    for n in d.values[x].shape:
        way = d.rng.random()
        if way < 0.2 and n:
            parts.append(str(d.rng.randrange(-n, n)))
        elif way < 0.45:
            parts.append(":")
        elif way < 0.55:
            parts.append("::-1")
        else:
            step = d.rng.choice(("", "2", "-1", "3", "-2"))
            edges = [d.rng.choice(("", str(d.rng.randint(-n, n)))) for _ in range(2)]
            parts.append(f"{edges[0]}:{edges[1]}:{step}")
    if d.rng.random() < 0.2:
        parts.insert(d.rng.randint(0, len(parts)), "None")
    d.add("index", f"{{0}}[{', '.join(parts)}]", x)


def concatenate(d: Draft) -> None:
    x = d.anything(1)
    value = d.values[x]
    axis = d.rng.randrange(value.ndim)

    def fits(v: np.ndarray) -> bool:
        rest = [n for a, n in enumerate(v.shape) if a != axis]
        return v.dtype == value.dtype and v.ndim == value.ndim and rest == [
            n for a, n in enumerate(value.shape) if a != axis
        ]  # fmt: skip

    names = [
        x,
        *[d.pick(fits, lambda: value.shape, value.dtype) for _ in range(d.rng.randint(0, 2))],
    ]
    listed = ", ".join(f"{{{i}}}" for i in range(len(names)))
    d.add("concatenate", f"myad.concatenate([{listed}], {axis})", *names)


def stack(d: Draft) -> None:
    x = d.anything()
    value = d.values[x]
    y = d.pick(
        lambda v: v.dtype == value.dtype and v.shape == value.shape,
        lambda: value.shape,
        value.dtype,
    )
    d.add("stack", f"myad.stack([{{0}}, {{1}}], {d.rng.randint(0, value.ndim)})", x, y)


def pad(d: Draft) -> None:
    x = d.anything(1)
    widths = [(d.rng.choice((0, 0, 1, 2)), d.rng.choice((0, 1, 3))) for _ in d.values[x].shape]
    value = (
        d.rng.choice((0, 0, 1, 2)) if d.values[x].dtype.kind != "f" else d.rng.choice((0.0, -1.5))
    )
    d.add("pad", f"myad.pad({{0}}, {widths}, {value})", x)


def matmul(d: Draft) -> None:
    x = d.floating(1) if d.rng.random() < 0.85 else d.anything(1)
    value = d.values[x]
    inner = value.shape[-1]

    def fits(v: np.ndarray) -> bool:
        return v.dtype == value.dtype and v.ndim in (1, 2) and v.shape[0] == inner

    def near() -> tuple[int, ...]:
        return d.rng.choice(((inner,), (inner, d.rng.choice((1, 2, 3, 5, 17)))))

    d.add("matmul", "{0} @ {1}", x, d.pick(fits, near, value.dtype))


def product(d: Draft) -> None:
    """Matrix products larger than the rest, transposed or not, of sizes that do not divide."""
    shape = {a: d.rng.choice((3, 7, 8, 11, 13, 16, 19, 23)) for a in "ikj"}
    left, right = d.rng.choice(("ik", "ki")), d.rng.choice(("kj", "jk"))
    x = d.new(tuple(shape[a] for a in left), d.dtype)
    y = d.new(tuple(shape[a] for a in right), d.dtype)
    out = d.rng.choice(("ij", "ij", "ij", "ji", "i", "j", ""))
    d.add("product", f"myad.einsum('{left},{right}->{out}', {{0}}, {{1}})", x, y)


def einsum(d: Draft) -> None:
    x = d.floating(1)
    letters = "abcdefgh"[: d.values[x].ndim]
    other = d.rng.sample(letters, d.rng.randint(1, len(letters)))
    extra = d.rng.choice(("", "", "k"))
    sizes = dict(zip(letters, d.values[x].shape, strict=True), k=3)
    shape = tuple(sizes[a] for a in [*other, *extra])
    y = d.pick(
        lambda v: v.dtype == d.values[x].dtype and v.shape == shape,
        lambda: shape,
        d.values[x].dtype,
    )
    everything = [*letters, *extra]
    output = d.rng.sample(everything, d.rng.randint(0, len(everything)))
    subscripts = f"{letters},{''.join(other)}{extra}->{''.join(output)}"
    d.add("einsum", f"myad.einsum({subscripts!r}, {{0}}, {{1}})", x, y)


def images(d: Draft) -> str:
    return d.pick(
        lambda v: v.ndim == 4 and v.dtype.kind == "f" and v.shape[1] > 1 and v.shape[2] > 1,
        lambda: d.rng.choice(
            ((1, 5, 6, 1), (2, 4, 5, 2), (1, 7, 4, 3), (0, 4, 4, 1), (1, 6, 9, 2))
        ),
        d.dtype,
    )


def convolution(d: Draft) -> None:
    """Convolutions of more channels and filters than the rest have, with bias."""
    if d.wild:  # as in `conv2d`
        return
    channels, filters = d.rng.choice((1, 2, 3, 5)), d.rng.choice((3, 4, 7, 9))
    kernel = (d.rng.choice((1, 2, 3)), d.rng.choice((1, 2, 3)))
    size = tuple(k + d.rng.choice((1, 3, 4)) for k in kernel)
    x = d.new((d.rng.choice((1, 2, 3)), *size, channels), d.dtype)
    w = d.new((*kernel, channels, filters), d.dtype)
    b = d.new((filters,), d.dtype)
    strides, padding = d.rng.choice((1, 1, 2, (3, 2))), d.rng.choice(("valid", "same"))
    options = f"strides={strides}, padding={padding!r}"
    d.add("convolution", f"myad.conv2d({{0}}, {{1}}, {options}) + {{2}}", x, w, b)


def conv2d(d: Draft) -> None:
    if d.wild:  # zeros around an image, times a NaN of the kernel: NaN or left out, as one pleases
        return
    x = images(d)
    _, h, w, c = d.values[x].shape
    shape = (d.rng.randint(1, min(3, h)), d.rng.randint(1, min(3, w)), c, d.rng.choice((1, 2, 5)))
    kernel = d.new(shape, d.values[x].dtype)
    options = (
        f"strides={d.rng.choice((1, 1, 2, (2, 1)))}, padding={d.rng.choice(('valid', 'same'))!r}"
    )
    if d.rng.random() < 0.2:
        options += ", dilation=2"
    d.add("conv2d", f"myad.conv2d({{0}}, {{1}}, {options})", x, kernel)


def pooling(d: Draft) -> None:
    name = d.rng.choice(("max_pooling2d", "average_pooling2d"))
    options = f"{d.rng.choice((1, 2, (2, 1), (1, 3)))}, {d.rng.choice((None, 1, 2, (1, 2)))}"
    padding = d.rng.choice(("valid", "same"))
    d.add(name, f"myad.{name}({{0}}, {options}, {padding!r})", images(d))


def classes(d: Draft) -> None:
    """Labels: one-hot rows, and the cross-entropy of numbers with them."""
    if d.rng.random() < 0.4:
        x = d.pick(lambda v: v.dtype.kind in "iu", d.shape, d.integer)
        d.add("one_hot", f"myad.one_hot({{0}}, {d.rng.choice((1, 3, 5))}, {d.dtype!r})", x)
        return
    x = d.pick(lambda v: v.ndim == 2 and v.dtype.kind == "f" and v.shape[1] > 0,
               lambda: (d.rng.choice((1, 2, 5, 9)), d.rng.choice((1, 3, 10))), d.dtype)  # fmt: skip
    rows, count = d.values[x].shape
    labels = d.give(d.numbers.integers(0, count, rows).astype(d.rng.choice(INTEGERS)))
    d.add("sparse_softmax_cross_entropy", "myad.sparse_softmax_cross_entropy({0}, {1})", x, labels)


def random_numbers(d: Draft) -> None:
    key = d.pick(lambda v: v.dtype == np.uint32 and v.shape == (2,), lambda: (2,), np.uint32)
    options = f"shape={d.shape()}, dtype=np.dtype({d.dtype!r})"
    d.add("random_uniform", f"myad.random_uniform({{0}}, {options})", key)


NAMED_UNARY = (
    "myad.expm1({0})", "myad.sinh({0})", "myad.cosh({0})", "myad.arctan({0})", "myad.arcsinh({0})",
    "myad.erf({0})", "myad.gelu({0})", "myad.gelu({0}, approximate=True)",
    "myad.tan(myad.sin({0}))",
    "myad.log1p(abs({0}))", "myad.log2(abs({0}) + 0.25)", "myad.log10(abs({0}) + 0.25)",
    "myad.exp2({0})", "myad.arccosh(abs({0}) + 1.25)", "myad.arctanh(myad.sin({0}) * 0.875)",
    "myad.arcsin(myad.sin({0}) * 0.875)", "myad.arccos(myad.sin({0}) * 0.875)",
    "myad.square({0})", "myad.reciprocal(abs({0}) + 0.5)",
)  # fmt: skip


def named_unary(d: Draft) -> None:
    text = d.rng.choice(NAMED_UNARY)
    d.add(text.partition("(")[0].removeprefix("myad."), text, d.floating())


def named_binary(d: Draft) -> None:
    name = d.rng.choice(("hypot", "arctan2", "logaddexp", "fmax", "fmin", "mod", "logical_xor"))
    x = d.anything() if name in ("mod", "logical_xor") else d.floating()
    if name == "mod" and d.values[x].dtype.kind == "f":
        # of numbers given, not of ones that rounding may move over a jump
        x = d.new(d.shape(), d.dtype)
        d.add(name, f"{{0}} % {d.rng.choice((0.75, -1.5, 2))}", x)
        return
    texts = {
        # the logarithm of a sum near 1 has lost the digits that its terms were rounded in
        "logaddexp": ("myad.logaddexp(abs({0}), abs({1}))",),
        # on the left, the angle jumps with the sign of a zero
        "arctan2": ("myad.arctan2(abs({0}) + 0.25, {1})", "myad.arctan2({0}, abs({1}) + 0.25)"),
    }.get(name, (f"myad.{name}({{0}}, {{1}})",))
    d.add(name, d.rng.choice(texts), x, d.partner(x))


def rearranged(d: Draft) -> None:
    """Moves of whole axes, running sums and the like, of any dtype."""
    x = d.anything(1)
    axis = d.rng.randrange(d.values[x].ndim)
    floating = d.values[x].dtype.kind == "f"
    sizes = "abs({0})" if floating else "{0}"  # sums of both signs may cancel
    text = d.rng.choice(
        (
            f"myad.roll({{0}}, {d.rng.randint(-3, 3)}, {axis})", f"myad.flip({{0}}, {axis})",
            f"myad.repeat({{0}}, {d.rng.randint(0, 3)}, {axis})", "myad.tile({0}, (2, 1))",
            f"myad.cumsum({sizes}, {axis})", f"myad.diff({{0}}, axis={axis})",
            f"myad.prod({{0}}, {axis})", f"myad.split({{0}}, [1, 3], {axis})[1]",
            f"myad.moveaxis({{0}}, {axis}, -1)", f"myad.expand_dims({{0}}, {axis})",
            "myad.squeeze({0})",
        )
    )  # fmt: skip
    d.add(text.partition("(")[0].removeprefix("myad."), text, x)


def matrices(d: Draft) -> None:
    x = d.anything(2)
    k = d.rng.randint(-1, 2)
    name = d.rng.choice(("tril", "triu", "diagonal", "trace"))
    d.add(name, f"myad.{name}({{0}}, {k})", x)


def places(d: Draft) -> None:
    """Where the extremes of given numbers are; of computed ones, rounding may say."""
    x = d.new(d.shape() or (3,), d.any_dtype())
    axis = d.rng.randrange(d.values[x].ndim)
    name = d.rng.choice(("argmax", "argmin", "argsort"))
    d.add(name, f"myad.{name}({{0}}, {axis})", x)


OPERATIONS: dict[Callable[[Draft], None], float] = {
    unary: 10, guarded: 4, simple: 6, binary: 18, power: 2, comparison: 4, where: 5, cast: 6,
    reduction: 8, softmax: 3, reshape: 5, transpose: 4, broadcast: 3, index: 6, concatenate: 4,
    stack: 2, pad: 3, matmul: 6, einsum: 3, conv2d: 2, pooling: 2.5, classes: 2,
    random_numbers: 1.5, items: 3, sorting: 1, loops: 3, whole_loops: 1, branches: 1, product: 3,
    convolution: 2, named_unary: 6, named_binary: 4, rearranged: 6, matrices: 2, places: 1,
}  # fmt: skip
