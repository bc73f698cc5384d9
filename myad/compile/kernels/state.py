"""New state in the place of old: every read of an old value before the write, whatever is returned.

A step maps state to state. What a kernel computes for a state is written straight over the old
value if the kernel reads that only where it writes; anything else is copied into place. Either way
a state has one writer, and the kernels are ordered so that whoever reads the old value runs before
it. Where writers wait for each other in a circle, as in a swap, one of them gets memory of its own
and is copied from there afterwards: the parallel move of compilers, with kernels for registers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from myad.compile.kernels.expr import Buffer, Expr, Load, loads
from myad.compile.kernels.kernel import Kernel, KernelBuilder, Source
from myad.compile.kernels.routine import Routine


def place_state(
    kernels: Sequence[Kernel], inputs: Sequence[Buffer], outputs: list[Buffer],
    state: Mapping[int, int],
) -> list[Kernel]:  # fmt: skip
    """The kernels in order, with the copies that are needed; `outputs` name where results end up.

    Args: state: {output: input} positions: the output's new value takes the place of the input's.
    """
    writes: dict[Buffer, Buffer] = {}  # what is computed -> the state that it overwrites
    makers = {kernel.output: kernel for kernel in kernels}
    copies: list[Kernel] = []
    for out, into in state.items():
        new, old = outputs[out], inputs[into]
        old.kind = "state"
        if new is old or not old.size:
            continue
        if new in makers and new not in writes and _in_place(makers[new], old):
            writes[new] = old
        else:
            copies.append(_copied(new, old, writes))
    overwritten = set(writes.values())
    for position, buffer in enumerate(outputs):
        if position in state:
            outputs[position] = inputs[state[position]]
        elif buffer in overwritten or buffer.kind == "stream":
            kept = Buffer(f"{buffer.name}_kept", buffer.shape, buffer.dtype)
            copies.append(copy_kernel(buffer, kept, buffer))
            outputs[position] = kept
    ordered = _Order([*kernels, *copies], writes).run()
    outputs[:] = [writes.get(buffer, buffer) for buffer in outputs]
    return [renamed(kernel, writes) for kernel in ordered]


def copy_kernel(source: Buffer, target: Buffer, named: Buffer) -> Kernel:
    """`target = source`, called by the name of `named`."""
    return KernelBuilder(f"copy_{named.name}", target).map(lambda a: a, Source(source))


def _copied(source: Buffer, old: Buffer, writes: dict[Buffer, Buffer]) -> Kernel:
    """A kernel that overwrites the state `old` with `source`."""
    target = Buffer(f"{old.name}_next", old.shape, old.dtype)
    writes[target] = old
    return copy_kernel(source, target, old)


def _in_place(kernel: Kernel, old: Buffer) -> bool:
    """Whether `kernel` writes all of its output and reads `old` only where, and when, it writes."""
    if kernel.output.fill is not None:  # the borders are set once, in memory of their own
        return False
    if kernel.combine != "store" and any(load.buffer is old for load in loads(kernel.body)):
        return False
    return all(load.index == kernel.index for load in kernel.reads if load.buffer is old)


class _Order:
    """Kernels ordered by what they read, those that overwrite state as late as can be.

    Fields: `writes` as above; `missing` by kernel, how many others make what it reads; `readers`
    by state, how many kernels that do not overwrite it still have to read it; `plain`, `writers`
    the kernels that have all they read, by position.
    """

    def __init__(self, kernels: list[Kernel], writes: dict[Buffer, Buffer]) -> None:
        self.kernels, self.writes = kernels, writes
        self.sources = [{load.buffer for load in kernel.reads} for kernel in kernels]
        self.readers_of: dict[Buffer, list[int]] = {}
        for number, sources in enumerate(self.sources):
            for buffer in sources:
                self.readers_of.setdefault(buffer, []).append(number)
        made = {kernel.output for kernel in kernels}
        self.missing = [len(sources & made) for sources in self.sources]
        self.readers = {buffer: len(found) for buffer, found in self.readers_of.items()}
        for number, kernel in enumerate(kernels):
            old = writes.get(kernel.output)
            if old in self.sources[number]:
                self.readers[old] -= 1
        self.broken: set[int] = set()
        ready = [number for number, count in enumerate(self.missing) if not count]
        self.plain = [n for n in ready if kernels[n].output not in writes]
        self.writers = [n for n in ready if kernels[n].output in writes]
        heapify(self.plain)

    def run(self) -> list[Kernel]:
        """All kernels, in order."""
        ordered = []
        while self.plain or self.writers:
            number = heappop(self.plain) if self.plain else self.next_writer()
            ordered.append(self.kernels[number])
            self.done(number)
        assert len(ordered) == len(self.kernels), "a program is free of circles"
        return ordered

    def next_writer(self) -> int:
        """The first writer whose old value nobody waits for; one with memory of its own if none."""
        self.writers.sort()
        free = [n for n in self.writers if not self.readers.get(self.old(n), 0)]
        if free:
            self.writers.remove(free[0])
            return free[0]
        # Copies out of own memory read nothing that is overwritten: they are never in a circle.
        number = next(n for n in self.writers if n not in self.broken)
        self.writers.remove(number)
        self.give_memory(number)
        return number

    def old(self, number: int) -> Buffer:
        return self.writes[self.kernels[number].output]

    def give_memory(self, number: int) -> None:
        """Let kernel `number` write elsewhere, and a copy follow."""
        new = self.kernels[number].output
        old = self.writes.pop(new)
        if old in self.sources[number]:  # it reads the old value like everybody else now
            self.readers[old] += 1
        self.broken.add(len(self.kernels))
        self.readers_of.setdefault(new, []).append(len(self.kernels))
        self.kernels.append(_copied(new, old, self.writes))
        self.sources.append({new})
        self.missing.append(1)

    def done(self, number: int) -> None:
        """Note that kernel `number` has run."""
        kernel = self.kernels[number]
        for buffer in self.sources[number]:
            if buffer is not self.writes.get(kernel.output):
                self.readers[buffer] = self.readers.get(buffer, 0) - 1
        for reader in self.readers_of.get(kernel.output, ()):
            self.missing[reader] -= 1
            if not self.missing[reader]:
                writes = self.kernels[reader].output in self.writes
                self.writers.append(reader) if writes else heappush(self.plain, reader)


def renamed(kernel: Kernel, writes: dict[Buffer, Buffer]) -> Kernel:
    """`kernel` reading and writing `writes[buffer]` where it read and wrote `buffer`."""
    if isinstance(kernel, Routine):
        return kernel.renamed(writes)

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.buffer in writes:
            return Load(writes[node.buffer], node.index)
        return None

    return kernel.rewritten(rule, output=writes.get(kernel.output, kernel.output))
