"""Scalar expressions over affine indices: what a kernel computes at one point of its domain.

An expression is a graph of `Load`, `Const`, `AxisValue`, `Apply` and, in an epilogue, `Sum`. It
says nothing of order, vectors or memory layout; `lower.py` decides those.

A part that is used twice is one node, and stays one: `rewrite` makes equal nodes one (`Pool`), so
an expression is as large as the number of different values in it. Nothing here recurses, hashes or
compares below the node it is given: chains of any length are walked by loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

from myad.compile.dtypes import BOOLEAN, FLOATS, converted
from myad.compile.kernels.index import Affine, Axis

# Operations of an expression, which are those of the loop code too, and their number of operands.
ARITY = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "max": 2, "min": 2, "rem": 2, "pow": 2, "fma": 3,
    "neg": 1, "abs": 1, "floor": 1, "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "ne": 2,
    "and": 2, "or": 2, "not": 1, "xor": 2, "shr": 2, "shl": 2,
    "select": 3, "cast": 1,
}  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
SHOWN = 60  # nodes of an expression that are written out for a reader; of more, only a summary


@dataclass(eq=False)
class Buffer:
    """An array that kernels read and write, named as the program names it.

    Fields: `shape` logical sizes; `dtype` a name of `dtypes.TABLE`; `kind`
    "temporary", "state" (lives from step to step), "input" (copied in before a call), "output"
    (copied out after it), "stream" (the caller's own memory, read by row number), "argument" or
    "result" (whole arrays in the caller's memory, read and written there), "arena" (what a body
    inside of a loop or a branch works in) or "faults" (where a routine notes an index out of
    bounds); `fill` the constant of every element that no kernel writes; `given` the shape before
    any splitting; `fixed` that it keeps that shape and lies row by row, as a routine wants it.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str = "temporary"
    fill: float | None = None
    given: tuple[int, ...] = ()
    fixed: bool = False

    def __post_init__(self) -> None:
        self.given = self.shape

    @property
    def size(self) -> int:
        """Number of logical elements."""
        count = 1
        for extent in self.shape:
            count *= extent
        return count

    def __repr__(self) -> str:
        return f"{self.name}:{self.dtype}{list(self.shape)}"


class Expr:
    """Base of all expressions; Python's operators build `Apply` nodes.

    Nodes are never changed once made, and are equal only if they are the same object.
    """

    __slots__ = ()
    dtype: str

    @property
    def parts(self) -> tuple[Expr, ...]:
        """The nodes this one is made of."""
        return ()

    def key(self) -> Hashable:
        """Equal for nodes of equal value whose parts are the same nodes."""
        raise NotImplementedError

    def __add__(self, other: Operand) -> Expr:
        return apply("add", self, other)

    def __radd__(self, other: Operand) -> Expr:
        return apply("add", other, self)

    def __sub__(self, other: Operand) -> Expr:
        return apply("sub", self, other)

    def __rsub__(self, other: Operand) -> Expr:
        return apply("sub", other, self)

    def __mul__(self, other: Operand) -> Expr:
        return apply("mul", self, other)

    def __rmul__(self, other: Operand) -> Expr:
        return apply("mul", other, self)

    def __truediv__(self, other: Operand) -> Expr:
        return apply("div", self, other)

    def __rtruediv__(self, other: Operand) -> Expr:
        return apply("div", other, self)

    def __neg__(self) -> Expr:
        return apply("neg", self)


@dataclass(eq=False, slots=True)
class Const(Expr):
    """A number."""

    value: float
    dtype: str

    def key(self) -> Hashable:
        # -0.0 equals 0.0 and True equals 1, but they are not the same constant
        return (repr(self.value), self.dtype)


class Load(Expr):
    """One element of a buffer."""

    __slots__ = ("buffer", "dtype", "index")

    def __init__(self, buffer: Buffer, index: tuple[Affine, ...]) -> None:
        self.buffer, self.index, self.dtype = buffer, index, buffer.dtype

    def key(self) -> Hashable:
        return (self.buffer, self.index)


@dataclass(eq=False, slots=True)
class AxisValue(Expr):
    """The value of an index itself, as an integer."""

    index: Affine
    dtype: str = "i32"

    def key(self) -> Hashable:
        return (self.index, self.dtype)


@dataclass(eq=False, slots=True)
class Sum(Expr):
    """In an epilogue: the finished value of the kernel's reduction."""

    dtype: str

    def key(self) -> Hashable:
        return self.dtype


@dataclass(eq=False, slots=True)
class Apply(Expr):
    """`op` of its operands; all of one dtype but for comparisons, `select` and `cast`."""

    op: str
    args: tuple[Expr, ...]
    dtype: str

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.args

    def key(self) -> Hashable:
        return (self.op, self.dtype, *map(id, self.args))


@dataclass(eq=False, slots=True)
class Choose(Expr):
    """`options[index]`: free where the schedule writes out the axes of `index`."""

    index: Affine
    options: tuple[Expr, ...]
    dtype: str

    @property
    def parts(self) -> tuple[Expr, ...]:
        return self.options

    def key(self) -> Hashable:
        return (self.index, self.dtype, *map(id, self.options))


Operand = Expr | float | int


def apply(op: str, *args: Operand) -> Expr:
    """`op(*args)`; numbers take the dtype of the operands beside them."""
    typed = [a for a in args if isinstance(a, Expr)]
    values = typed[1:] if op == "select" and len(typed) > 1 else typed
    dtype = next((a.dtype for a in values if a.dtype != "bool"), values[0].dtype)
    operands = tuple(a if isinstance(a, Expr) else Const(a, dtype) for a in args)
    assert len(operands) == ARITY[op], op
    if dtype == "bool":
        op = BOOLEAN.get(op, op)
    return Apply(op, operands, "bool" if op in COMPARISONS else dtype)


def cast(value: Expr, dtype: str) -> Expr:
    """`value` converted to `dtype`; nothing if it has it already."""
    if value.dtype == dtype:
        return value
    if isinstance(value, Const):
        return Const(converted(value.value, value.dtype, dtype), dtype)
    return Apply("cast", (value,), dtype)


class Pool:
    """Makes equal nodes one: `pool(node)` is the first node it was given that is equal.

    The parts of a node must have gone through the pool before it.
    """

    def __init__(self) -> None:
        self._known: dict[Hashable, Expr] = {}

    def __call__(self, node: Expr) -> Expr:
        return self._known.setdefault(node.key(), node)


def walk(expr: Expr) -> list[Expr]:
    """Every node once, after its parts; leaves in the order in which they are written."""
    done: dict[int, Expr] = {}
    waiting = [expr]
    while waiting:
        node = waiting[-1]
        if id(node) not in done:
            missing = [part for part in node.parts if id(part) not in done]
            if missing:
                waiting.extend(reversed(missing))
                continue
            done[id(node)] = node
        waiting.pop()
    return list(done.values())


def loads(expr: Expr) -> list[Load]:
    """Every `Load` of the expression, once."""
    return [node for node in walk(expr) if isinstance(node, Load)]


def rewrite(expr: Expr, rule: Callable[[Expr], Expr | None], pool: Pool | None = None) -> Expr:
    """The expression with `rule` applied to every node from the leaves up; None keeps a node.

    What `rule` returns must be made of nodes of `pool`, if equal nodes are to be found in it too.
    """
    pool = pool or Pool()
    new: dict[int, Expr] = {}
    for node in walk(expr):
        here = node
        if node.parts:
            parts = tuple([new[id(part)] for part in node.parts])
            if any(a is not b for a, b in zip(parts, node.parts, strict=True)):
                here = _rebuilt(node, parts)
        changed = rule(here)
        new[id(node)] = pool(here if changed is None else changed)
    return new[id(expr)]


def share(expr: Expr, pool: Pool | None = None) -> Expr:
    """The same expression in which equal nodes are one node."""
    return rewrite(expr, lambda node: None, pool)


def _rebuilt(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    if isinstance(expr, Apply):
        return Apply(expr.op, parts, expr.dtype)
    assert isinstance(expr, Choose)
    return Choose(expr.index, parts, expr.dtype)


def substitute(expr: Expr, mapping: Mapping[Axis, Affine], pool: Pool | None = None) -> Expr:
    """The expression with axes replaced by affine indices in every subscript."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load):
            return Load(node.buffer, tuple([i.substitute(mapping) for i in node.index]))
        if isinstance(node, AxisValue):
            return AxisValue(node.index.substitute(mapping), node.dtype)
        if isinstance(node, Choose):
            return Choose(node.index.substitute(mapping), node.options, node.dtype)
        return None

    return rewrite(expr, rule, pool)


def show(expr: Expr) -> str:
    """The expression as one line of text; operations used more than once are named behind it."""
    nodes = walk(expr)
    if len(nodes) > SHOWN:
        names = dict.fromkeys(node.buffer.name for node in nodes if isinstance(node, Load))
        return f"{len(nodes)} operations and operands, of {', '.join(names) or 'no buffer'}"
    uses = Counter(id(part) for node in nodes for part in node.parts)
    text: dict[int, str] = {}
    named: list[str] = []
    for node in nodes:
        line = _line(node, [text[id(part)] for part in node.parts])
        if node.parts and uses[id(node)] > 1:
            named.append(f"t{len(named) + 1} = {line}")
            line = f"t{len(named)}"
        text[id(node)] = line
    return text[id(expr)] + (f" with {', '.join(named)}" if named else "")


def _line(node: Expr, parts: list[str]) -> str:
    if isinstance(node, Load):
        return f"{node.buffer.name}[{', '.join(map(repr, node.index))}]"
    if isinstance(node, Const):
        return f"{node.value:g}" if node.dtype in FLOATS else str(node.value)
    if isinstance(node, AxisValue):
        return f"({node.index!r})"
    if isinstance(node, Choose):
        return f"choose({node.index!r}; {', '.join(parts)})"
    if isinstance(node, Apply):
        return f"{node.dtype if node.op == 'cast' else node.op}({', '.join(parts)})"
    return "sum"
