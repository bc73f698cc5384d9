"""The form of a kernel: what is left of it when its axes and buffers lose their names.

Programs repeat themselves, an unrolled loop most of all. Kernels of one form whose buffers are
laid out alike run alike: they are scheduled, lowered and compiled once.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from myad.compile.kernels.expr import Apply, AxisValue, Buffer, Choose, Const, Expr, Load, walk
from myad.compile.kernels.index import Affine, Axis
from myad.compile.kernels.kernel import Kernel


class Form(NamedTuple):
    """`key` equal for kernels that differ in names only; `buffers` in the order of the key."""

    key: Hashable
    buffers: tuple[Buffer, ...]


def form_of(kernel: Kernel) -> Form:
    """The form of `kernel`."""
    return _Reader(kernel).form()


class _Reader:
    """Numbers the axes and buffers of a kernel as it meets them."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        axes = [*kernel.axes, *([kernel.slice] if kernel.slice is not None else [])]
        self.axes: dict[Axis, int] = {axis: n for n, axis in enumerate(axes)}
        self.buffers: dict[Buffer, int] = {}

    def form(self) -> Form:
        kernel = self.kernel
        output = self.buffer(kernel.output), self.index(kernel.index)
        body = self.expression(kernel.body)
        epilogue = None if kernel.epilogue is None else self.expression(kernel.epilogue)
        buffers = tuple((b.shape, b.dtype, b.kind, b.fill) for b in self.buffers)
        sizes = tuple(axis.size for axis in self.axes)
        how = kernel.combine, kernel.accumulate, kernel.slice is None, kernel.continued
        return Form((sizes, buffers, output, body, epilogue, how), tuple(self.buffers))

    def buffer(self, buffer: Buffer) -> int:
        return self.buffers.setdefault(buffer, len(self.buffers))

    def index(self, parts: tuple[Affine, ...]) -> Hashable:
        # the order of the terms counts: it is that of the address arithmetic
        return tuple((part.const, *[(self.axes[a], c) for a, c in part.terms.items()])
                     for part in parts)  # fmt: skip

    def expression(self, expr: Expr) -> Hashable:
        numbers: dict[int, int] = {}
        lines = []
        for node in walk(expr):
            parts = tuple([numbers[id(part)] for part in node.parts])
            lines.append((type(node).__name__, node.dtype, parts, self.own(node)))
            numbers[id(node)] = len(numbers)
        return tuple(lines)

    def own(self, node: Expr) -> Hashable:
        """What distinguishes a node from others with the same parts."""
        if isinstance(node, Load):
            return self.buffer(node.buffer), self.index(node.index)
        if isinstance(node, Const):
            return node.key()
        if isinstance(node, AxisValue | Choose):
            return self.index((node.index,))
        return node.op if isinstance(node, Apply) else None
