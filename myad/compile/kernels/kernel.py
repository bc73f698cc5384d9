"""Kernels: what one loop nest computes, before it is known how.

A kernel says: for every point of a domain of axes, `output[index] ⊕= body`, with ⊕ one of
"store", "add", "max", "min". Axes that do not occur in `index` are reduced. An epilogue may then
change the finished value (`Sum`) once per output element, as in bias, ReLU or a weight's update.

The rules of the primitives (`@op.kernel` in `myad/ops`) build kernels with `KernelBuilder`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from myad.compile.dtypes import KIND
from myad.compile.kernels.expr import (
    AxisValue,
    Buffer,
    Choose,
    Const,
    Expr,
    Load,
    Operand,
    Sum,
    apply,
    cast,
    rewrite,
    share,
    show,
    substitute,
    walk,
)  # fmt: skip
from myad.compile.kernels.index import Affine, Axis, Index, affine
from myad.compile.program.factors import common_factors
from myad.recording import Origin


@dataclass(eq=False)
class Kernel:
    """`output[index] ⊕= body` over `axes`.

    Fields: `accumulate` several points of the domain write the same element although their axes
    occur in `index` (overlapping windows): the output is zeroed first and added to; `slice` the
    axis over slices of the batch, if the kernel is in a group that runs by slices: a run is for one
    of them, and it is none of `axes`; `continued` the sums go on from slice to slice; `origins` the
    operations it computes, and where each was called, the one that was there first in front.
    """

    name: str
    output: Buffer
    axes: tuple[Axis, ...]
    index: tuple[Affine, ...]
    body: Expr
    combine: str = "store"
    epilogue: Expr | None = None
    accumulate: bool = False
    slice: Axis | None = None
    continued: bool = False
    origins: tuple[tuple[str, Origin], ...] = ()

    @cached_property
    def parallel(self) -> list[Axis]:
        """The axes of the output."""
        written = {axis for part in self.index for axis in part.terms}
        return [axis for axis in self.axes if axis in written]  # never `slice`, which is no loop

    @cached_property
    def reduced(self) -> list[Axis]:
        """The axes summed (or maximised) over."""
        written = set(self.parallel)
        return [axis for axis in self.axes if axis not in written]

    @cached_property
    def body_nodes(self) -> list[Expr]:
        """The nodes of the body."""
        return walk(self.body)

    @cached_property
    def epilogue_nodes(self) -> list[Expr]:
        """The nodes of the epilogue, if there is one."""
        return [] if self.epilogue is None else walk(self.epilogue)

    @property
    def nodes(self) -> list[Expr]:
        """The nodes of the body, then those of the epilogue."""
        return self.body_nodes + self.epilogue_nodes

    @cached_property
    def reads(self) -> list[Load]:
        """Every load of body and epilogue."""
        return [node for node in self.nodes if isinstance(node, Load)]

    @cached_property
    def times_read(self) -> dict[Buffer, int]:
        """How often elements of each buffer are read."""
        times: dict[Buffer, int] = {}
        parts = (self.body_nodes, self.axes), (self.epilogue_nodes, self.parallel)
        for nodes, axes in parts:
            points = math.prod(axis.size for axis in axes)
            for node in nodes:
                if isinstance(node, Load):
                    times[node.buffer] = times.get(node.buffer, 0) + points
        return times

    def substituted(self, mapping: dict[Axis, Affine], fresh: Sequence[Axis]) -> Kernel:
        """The same kernel with axes replaced; `fresh` are the axes that take their place."""
        axes = (*(a for a in self.axes if a not in mapping), *fresh)
        return replace(
            self, axes=tuple(dict.fromkeys(axes)),
            index=tuple(i.substitute(mapping) for i in self.index),
            body=substitute(self.body, mapping),
            epilogue=None if self.epilogue is None else substitute(self.epilogue, mapping),
        )  # fmt: skip

    def renewed(self) -> Kernel:
        """The same kernel over axes of its own, so that others' may be cut or split apart."""
        fresh = {axis: Axis(axis.name, axis.size) for axis in self.axes}
        return self.substituted({a: affine(b) for a, b in fresh.items()}, list(fresh.values()))

    def rewritten(self, rule: Callable[[Expr], Expr | None], **changes: Any) -> Kernel:
        """The same kernel with `rule` applied to body and epilogue, as by `rewrite`, and with other
        `changes` of its fields."""
        epilogue = None if self.epilogue is None else rewrite(self.epilogue, rule)
        return replace(self, body=rewrite(self.body, rule), epilogue=epilogue, **changes)

    def __str__(self) -> str:
        over = ", ".join(map(repr, self.axes))
        sign = {"store": "=", "add": "+=", "max": "max=", "min": "min="}[self.combine]
        place = f"{self.output.name}[{', '.join(map(repr, self.index))}]"
        by = f"slice of {self.slice.size}, " if self.slice is not None else ""
        text = f"{self.name}: for {by}{over or 'once'}: {place} {sign} {show(self.body)}"
        if self.epilogue is not None:
            text += f", then {show(self.epilogue)}"
        return text


class Source:
    """An input of a kernel rule: subscript it with axes to load an element."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.shape, self.dtype = buffer.shape, buffer.dtype

    def __getitem__(self, index: Index | tuple[Index, ...]) -> Load:
        parts = index if isinstance(index, tuple) else (index,)
        assert len(parts) == len(self.shape), (self.buffer, parts)
        return Load(self.buffer, tuple(affine(part) for part in parts))


class KernelBuilder:
    """Passed to kernel rules as `k`; `k.output` is the buffer to define."""

    def __init__(self, name: str, output: Buffer) -> None:
        self.name = name
        self.output = output
        self.shape, self.dtype = output.shape, output.dtype

    def axes(self, *sizes: int) -> tuple[Axis, ...]:
        """Fresh axes of these sizes."""
        return tuple(Axis(f"{'ijklmnopqrstuvwxyz'[n % 18]}{size}", size)
                     for n, size in enumerate(sizes))  # fmt: skip

    def apply(self, op: str, *args: Operand) -> Expr:
        """An operation of `expr.ARITY`."""
        return apply(op, *args)

    def cast(self, value: Expr, dtype: str) -> Expr:
        """`value` converted."""
        return cast(value, dtype)

    def index_value(self, index: Index, dtype: str = "i32") -> Expr:
        """An index as a number."""
        return AxisValue(affine(index), dtype)

    @property
    def signed(self) -> bool:
        """Whether the output's type has negative numbers."""
        return KIND[self.dtype] in ("float", "signed")

    def const(self, value: float, dtype: str | None = None) -> Expr:
        """A number, of the output's dtype by default."""
        return Const(value, dtype or self.dtype)

    def choose(self, index: Index, options: Sequence[Expr]) -> Expr:
        """`options[index]`."""
        return Choose(affine(index), tuple(options), options[0].dtype)

    def power(self, x: Expr, y: Expr) -> Expr:
        """x to the power of y; constant squares and square roots without a logarithm."""

        known = {2.0: lambda: x * x, 0.5: lambda: apply("sqrt", x), 1.0: lambda: x}
        if isinstance(y, Const) and y.value in known and x.dtype != "bool":
            return known[y.value]()
        return apply("pow", x, y)

    def stretch(self, x: Source, lead: Sequence[Axis], own: int) -> list[Index]:
        """Indices of the leading axes of `x`, all but the last `own`, broadcast against `lead`."""
        extents = x.shape[: len(x.shape) - own]
        axes = lead[len(lead) - len(extents) :]
        return [0 if extent == 1 else a for a, extent in zip(axes, extents, strict=True)]

    def scatter_add(
        self, index: Sequence[Index], body: Expr, domain: Sequence[Axis] | None = None
    ) -> Kernel:
        """Zeros to which `body` is added at `index`, added up where places coincide."""
        places = [affine(i) for i in index]
        if not _injective(places):
            return self.define(places, body, domain=domain, fill=0.0, accumulate=True)
        return self.define(places, body, domain=domain, fill=0.0)

    def define(
        self, index: Sequence[Index], body: Expr, *, combine: str | None = None,
        domain: Sequence[Axis] | None = None, fill: float | None = None, accumulate: bool = False,
    ) -> Kernel:  # fmt: skip
        """`output[index] ⊕= body`; the domain is every axis that occurs, unless given.

        `fill` is the value of the elements that `index` never reaches (None: it reaches all).
        """
        places = tuple(affine(i) for i in index)
        found = dict.fromkeys(axis for place in places for axis in place.terms)
        for node in walk(body):
            subscripts = node.index if isinstance(node, Load) else ()
            if isinstance(node, AxisValue | Choose):
                subscripts = (node.index,)
            found.update(dict.fromkeys(axis for part in subscripts for axis in part.terms))
        axes = tuple(a for a in (domain if domain is not None else found) if a.size > 1)
        covered = math.prod(a.size for p in places for a in p.terms) == self.output.size
        self.output.fill = None if covered and not accumulate else fill
        reduces = any(axis not in {a for p in places for a in p.terms} for axis in axes)
        if not reduces and not accumulate:
            combine = "store"
        elif combine is None:
            combine = "add"
        if self.dtype == "bool" and combine == "add" and not accumulate:
            combine = "max"  # sums of booleans are "or"
        body = share(cast(body, self.dtype))
        return Kernel(self.name, self.output, axes, places, body, combine, accumulate=accumulate)

    def map(self, function: Callable[..., Expr], *inputs: Source) -> Kernel:
        """`output = function(*inputs)` elementwise, with broadcasting."""
        axes = self.axes(*self.shape)
        return self.define(axes, function(*(self.broadcast(x, axes) for x in inputs)), domain=axes)

    def broadcast(self, x: Source, axes: Sequence[Axis]) -> Load:
        """The element of `x` that meets the output's element `axes`."""
        own = axes[len(axes) - len(x.shape) :]
        return x[tuple(0 if extent == 1 else a for a, extent in zip(own, x.shape, strict=True))]

    def reduce(
        self, combine: str, x: Source, reduced: Sequence[int],
        function: Callable[[Expr], Expr] = lambda e: e,
    ) -> Kernel:  # fmt: skip
        """`output = ⊕ function(x)` over the axes numbered in `reduced`, kept or dropped."""
        axes = self.axes(*x.shape)
        if len(self.shape) == len(x.shape):
            place: tuple[Index, ...] = tuple(0 if n in reduced else a for n, a in enumerate(axes))
        else:
            place = tuple(a for n, a in enumerate(axes) if n not in reduced)
        return self.define(place, function(x[axes]), combine=combine, domain=axes)

    def reshape(self, x: Source) -> Kernel:
        """`output` holds the elements of `x` in the same order under another shape."""
        factors = common_factors(x.shape, self.shape)
        assert factors is not None, "simplify splits other reshapes in two"
        axes = self.axes(*factors)
        return self.define(_merged(axes, self.shape), x[tuple(_merged(axes, x.shape))], domain=axes)


def _injective(places: Sequence[Affine]) -> bool:
    """Whether different values of the axes always give different places."""
    seen: set[Axis] = set()
    for place in places:
        reach = 0
        for axis, step in sorted(place.terms.items(), key=lambda term: abs(term[1])):
            if abs(step) <= reach or axis in seen:
                return False
            seen.add(axis)
            reach += abs(step) * (axis.size - 1)
    return True


def _merged(axes: Sequence[Axis], shape: Sequence[int]) -> list[Affine]:
    """Indices of `shape` in terms of `axes`, the last axis fastest."""
    rest = list(axes)
    indices: list[Affine] = []
    for extent in reversed(shape):
        index, reach = affine(0), 1
        while reach < extent:
            axis = rest.pop()
            index = index + axis * reach
            reach *= axis.size
        indices.insert(0, index)
    return indices


def sum_of(kernel: Kernel) -> Expr:
    """The finished reduction of `kernel`, for its epilogue."""
    return kernel.epilogue if kernel.epilogue is not None else Sum(kernel.output.dtype)
