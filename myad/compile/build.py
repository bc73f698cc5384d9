"""From a recorded program to a plan: kernels in order, layouts, loop code, places in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from myad.compile.kernels.expr import Buffer, Expr, Load, loads, rewrite
from myad.compile.kernels.fuse import fuse, kernels_of
from myad.compile.kernels.kernel import Kernel, KernelBuilder, Source
from myad.compile.kernels.split import split_dimensions
from myad.compile.loops.codes import codes_of
from myad.compile.loops.plan import Plan, place
from myad.compile.program.program import Program
from myad.compile.program.simplify import expand, remove_unread, simplify
from myad.compile.schedule.layout import Machine
from myad.compile.schedule.search import natural, plan

PASSES = ("fold", "fuse", "split", "layouts")  # what can be left out, to see what it gains


def build(
    program: Program, machine: Machine, *, state: Mapping[int, int] | None = None,
    streams: Sequence[int] = (), without: Sequence[str] = (),
) -> Plan:  # fmt: skip
    """Plan `program` for `machine`.

    Args:
        state: {output: input} positions: the output's new value takes the place of the input's.
        streams: positions of inputs that are the caller's own memory, indexed by example; a
            further array of row numbers says which example is where.
        without: names of `PASSES` to leave out; the result is the same, only slower.
    """
    program = expand(remove_unread(program)) if "fold" in without else simplify(program)
    kernels, buffers = kernels_of(program)
    inputs = [buffers[v] for v in program.inputs]
    outputs = [buffers[v] for v in program.outputs]
    for position in streams:
        inputs[position].kind = "stream"
    constants = {b: v.value for v, b in buffers.items() if v.value is not None}
    if "fuse" not in without:
        kernels = fuse(kernels, set(outputs))
    kernels = _place_state(kernels, inputs, outputs, state or {})
    if "split" not in without:
        kernels = split_dimensions(kernels)
    used = _buffers_of(kernels, inputs, outputs)
    if streams:
        count = program.inputs[streams[0]].shape[0]
        used.append(Buffer("rows", (count,), "i32", "stream_rows"))
    layouts = natural(used, machine) if "layouts" in without else plan(kernels, used, machine)
    codes = codes_of(kernels, layouts, machine)
    result = Plan(
        program, kernels, layouts, codes, inputs, outputs, [inputs[p] for p in streams],
        {b: v for b, v in constants.items() if b in layouts and v is not None},
    )  # fmt: skip
    place(result)
    return result


def _buffers_of(kernels: list[Kernel], inputs: list[Buffer], outputs: list[Buffer]) -> list[Buffer]:
    found = dict.fromkeys([*inputs, *outputs])
    for kernel in kernels:
        found.update(dict.fromkeys([*(load.buffer for load in kernel.reads), kernel.output]))
    return list(found)


def _place_state(
    kernels: list[Kernel], inputs: list[Buffer], outputs: list[Buffer],
    state: Mapping[int, int],
) -> list[Kernel]:  # fmt: skip
    """Order the kernels so that new state can overwrite old, and let it.

    A kernel may overwrite the buffer it updates once nobody else will read the old value and if
    it reads it only at the place it writes. Otherwise it writes elsewhere and a copy follows.
    """
    pairs: dict[Buffer, Buffer] = {}  # new -> old
    copies: list[tuple[Buffer, Buffer]] = []
    for out, into in state.items():
        new, old = outputs[out], inputs[into]
        old.kind = "state"
        if new is old:
            continue
        if any(k.output is new for k in kernels) and new not in pairs:
            pairs[new] = old
        else:
            copies.append((new, old))
    ordered: list[Kernel] = []
    waiting = list(kernels)
    while waiting:
        kernel = _next(waiting, pairs)
        if kernel is None:  # updates that wait for each other: give the first its own memory
            kernel = next(k for k in waiting if k.output in pairs and _ready(k, waiting))
            copies.append((kernel.output, pairs.pop(kernel.output)))
        elif kernel.output in pairs and not _pointwise(kernel, pairs[kernel.output]):
            copies.append((kernel.output, pairs.pop(kernel.output)))
        waiting.remove(kernel)
        ordered.append(kernel)
    ordered = [_renamed(kernel, pairs) for kernel in ordered]
    for position, buffer in enumerate(outputs):
        outputs[position] = pairs.get(buffer, buffer)
    for new, old in copies:
        builder = KernelBuilder(f"copy_{old.name}", old)
        ordered.append(builder.map(lambda a: a, Source(pairs.get(new, new))))
        outputs[:] = [old if b is new else b for b in outputs]
    return ordered


def _ready(kernel: Kernel, waiting: list[Kernel]) -> bool:
    pending = {k.output for k in waiting if k is not kernel}
    return not any(load.buffer in pending for load in kernel.reads)


def _next(waiting: list[Kernel], pairs: dict[Buffer, Buffer]) -> Kernel | None:
    """The first kernel whose inputs are there, those that overwrite state last."""
    ready = [k for k in waiting if _ready(k, waiting)]
    for kernel in ready:
        if kernel.output not in pairs:
            return kernel
    for kernel in ready:
        old = pairs[kernel.output]
        others = [k for k in waiting if k is not kernel]
        if not any(load.buffer is old for k in others for load in k.reads):
            return kernel
    return None


def _pointwise(kernel: Kernel, old: Buffer) -> bool:
    """Whether `kernel` reads `old` only where it writes, and only when it writes."""
    body = [load for load in loads(kernel.body) if load.buffer is old]
    if body and kernel.combine != "store":
        return False
    return all(load.index == kernel.index for load in kernel.reads if load.buffer is old)


def _renamed(kernel: Kernel, pairs: dict[Buffer, Buffer]) -> Kernel:
    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.buffer in pairs:
            return Load(pairs[node.buffer], node.index)
        return None

    return Kernel(
        kernel.name, pairs.get(kernel.output, kernel.output), kernel.axes, kernel.index,
        rewrite(kernel.body, rule), kernel.combine,
        None if kernel.epilogue is None else rewrite(kernel.epilogue, rule), kernel.accumulate,
    )  # fmt: skip
