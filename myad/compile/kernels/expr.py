"""Scalar expressions over affine indices: what a kernel computes at one point of its domain.

An expression is a tree of `Load`, `Const`, `AxisValue`, `Apply` and, in an epilogue, `Sum`. It
says nothing of order, vectors or memory layout; `lower.py` decides those.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from myad.compile.dtypes import BOOLEAN, FLOATS, converted
from myad.compile.kernels.index import Affine, Axis

# Operations of an expression, which are those of the loop code too, and their number of operands.
ARITY = {
    "add": 2, "sub": 2, "mul": 2, "div": 2, "max": 2, "min": 2, "pow": 2, "fma": 3,
    "neg": 1, "abs": 1, "floor": 1, "exp": 1, "log": 1, "sqrt": 1, "sin": 1, "cos": 1, "tanh": 1,
    "lt": 2, "le": 2, "gt": 2, "ge": 2, "eq": 2, "ne": 2,
    "and": 2, "or": 2, "not": 1, "xor": 2, "shr": 2, "shl": 2,
    "select": 3, "cast": 1,
}  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")


@dataclass(eq=False)
class Buffer:
    """An array that kernels read and write, named as the program names it.

    Fields: `shape` logical sizes; `dtype` a name of `dtypes.TABLE`; `kind`
    "temporary", "state" (lives from step to step), "input" (copied in before a call), "output"
    (copied out after it) or "stream" (the caller's own memory, read by row number); `fill` the
    constant of every element that no kernel writes; `given` the shape before any splitting.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    kind: str = "temporary"
    fill: float | None = None
    given: tuple[int, ...] = ()

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
    """Base of all expressions; Python's operators build `Apply` nodes."""

    dtype: str

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


@dataclass(frozen=True)
class Const(Expr):
    """A number."""

    value: float
    dtype: str


@dataclass(frozen=True)
class Load(Expr):
    """One element of a buffer."""

    buffer: Buffer
    index: tuple[Affine, ...]
    dtype: str = field(init=False, default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "dtype", self.buffer.dtype)


@dataclass(frozen=True)
class AxisValue(Expr):
    """The value of an index itself, as an integer."""

    index: Affine
    dtype: str = "i32"


@dataclass(frozen=True)
class Sum(Expr):
    """In an epilogue: the finished value of the kernel's reduction."""

    dtype: str


@dataclass(frozen=True)
class Apply(Expr):
    """`op` of its operands; all of one dtype but for comparisons, `select` and `cast`."""

    op: str
    args: tuple[Expr, ...]
    dtype: str


@dataclass(frozen=True)
class Choose(Expr):
    """`options[index]`: free where the schedule writes out the axes of `index`."""

    index: Affine
    options: tuple[Expr, ...]
    dtype: str


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


def walk(expr: Expr) -> Iterator[Expr]:
    """Every node once, parents before children; a part used twice is one node."""
    waiting, seen = [expr], set()
    while waiting:
        node = waiting.pop()
        if id(node) not in seen:
            seen.add(id(node))
            yield node
            waiting.extend(reversed(_parts(node)))


def _parts(expr: Expr) -> tuple[Expr, ...]:
    if isinstance(expr, Apply):
        return expr.args
    return expr.options if isinstance(expr, Choose) else ()


def loads(expr: Expr) -> list[Load]:
    """Every `Load` of the tree."""
    return [node for node in walk(expr) if isinstance(node, Load)]


def rewrite(expr: Expr, rule: Callable[[Expr], Expr | None]) -> Expr:
    """The tree with `rule` applied to every node from the leaves up; None keeps a node."""
    done: dict[int, Expr] = {}  # a part used twice stays one node: hashing would double it 9 times

    def visit(node: Expr) -> Expr:
        if id(node) not in done:
            new = node
            if parts := _parts(node):
                visited = tuple(visit(part) for part in parts)
                if any(a is not b for a, b in zip(visited, parts, strict=True)):
                    new = _rebuilt(node, visited)
            changed = rule(new)
            done[id(node)] = new if changed is None else changed
        return done[id(node)]

    return visit(expr)


def _rebuilt(expr: Expr, parts: tuple[Expr, ...]) -> Expr:
    if isinstance(expr, Apply):
        return Apply(expr.op, parts, expr.dtype)
    assert isinstance(expr, Choose)
    return Choose(expr.index, parts, expr.dtype)


def substitute(expr: Expr, mapping: Mapping[Axis, Affine]) -> Expr:
    """The tree with axes replaced by affine indices in every subscript."""

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load):
            return Load(node.buffer, tuple(i.substitute(mapping) for i in node.index))
        if isinstance(node, AxisValue):
            return AxisValue(node.index.substitute(mapping), node.dtype)
        if isinstance(node, Choose):
            return Choose(node.index.substitute(mapping), node.options, node.dtype)
        return None

    return rewrite(expr, rule) if mapping else expr


def show(expr: Expr) -> str:
    """The tree as one line of text."""
    if isinstance(expr, Load):
        return f"{expr.buffer.name}[{', '.join(map(repr, expr.index))}]"
    if isinstance(expr, Const):
        return f"{expr.value:g}" if expr.dtype in FLOATS else str(expr.value)
    if isinstance(expr, AxisValue):
        return f"({expr.index!r})"
    if isinstance(expr, Choose):
        return f"choose({expr.index!r}; {', '.join(show(o) for o in expr.options)})"
    if isinstance(expr, Apply):
        name = expr.dtype if expr.op == "cast" else expr.op
        return f"{name}({', '.join(show(a) for a in expr.args)})"
    return "sum"
