"""Kernels that are no loop nest over affine places: where data decide what is read, or how often.

To the stages around it a routine is a kernel that reads whole buffers and writes one, which nothing
is fused with, and that one thread runs for the whole batch. Its buffers keep their shapes and lie
row by row, as `Buffer.fixed` says; its code is written by `llvm/routines.py`, and the interpreter
calls the operation itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import indent
from typing import Any

from myad.compile.kernels.expr import Buffer, Choose, Load
from myad.compile.kernels.index import Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.core import Primitive


class Routine(Kernel):
    """`output = op(*inputs, **static)`.

    Fields: `inputs` the operation's; `faults` where it notes an index out of bounds, if it can;
    `parts` for each body inside: its plan, and the buffer that is the arena of it.
    """

    def __init__(
        self, name: str, output: Buffer, op: Primitive, inputs: Sequence[Buffer],
        static: Mapping[str, Any], faults: Buffer | None = None,
        parts: Sequence[tuple[Any, Buffer]] = (),
    ) -> None:  # fmt: skip
        self.op, self.inputs, self.static = op, tuple(inputs), dict(static)
        self.faults, self.parts = faults, tuple(parts)
        touched = [*inputs, *([faults] if faults is not None else []), *[b for _, b in parts]]
        for buffer in (output, *touched):
            buffer.fixed = True
        axes = tuple(Axis(f"i{n}", size) for n, size in enumerate(output.shape))
        reads = tuple([Load(b, tuple(affine(0) for _ in b.shape)) for b in touched])
        super().__init__(
            name, output, tuple(a for a in axes if a.size > 1), tuple(map(affine, axes)),
            Choose(affine(0), reads, output.dtype), "routine", accumulate=True,
        )  # fmt: skip

    @property
    def buffers(self) -> list[Buffer]:
        """What its function takes, in order: inputs, faults, arenas, output."""
        more = [self.faults] if self.faults is not None else []
        return [*self.inputs, *more, *[arena for _, arena in self.parts], self.output]

    @property
    def may_fail(self) -> bool:
        """Whether it has to know of indices out of bounds: who looks at a place that data decide,
        and a loop that might never end on what one who failed has left."""
        return "nest" not in self.static or self.static["nest"].is_endless

    def renamed(self, writes: Mapping[Buffer, Buffer]) -> Routine:
        """The same, reading and writing other buffers."""
        inputs = [writes.get(b, b) for b in self.inputs]
        output = writes.get(self.output, self.output)
        return Routine(self.name, output, self.op, inputs, self.static, self.faults, self.parts)

    def with_parts(self, faults: Buffer | None, parts: Sequence[tuple[Any, Buffer]]) -> Routine:
        """The same with what is inside planned, and a place for faults if one may occur."""
        return Routine(self.name, self.output, self.op, self.inputs, self.static, faults, parts)

    def __str__(self) -> str:
        inputs = ", ".join(b.name for b in self.inputs)
        text = f"{self.name}: {self.output.name} = {self.op.name}({inputs})"
        for number, (plan, _) in enumerate(self.parts):
            inner = indent("\n".join(map(str, plan.kernels)), "    ")
            text += f"\n  body {number}:\n{inner}"
        return text
