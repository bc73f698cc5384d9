"""How each kernel runs, chosen from its shapes: vector axis, register block, unrolling, and the
layout of every buffer. All decisions are here; `lower.py` only carries them out.

The choice is a search under a small cost model, in units of one vector operation: a kernel costs
its points, each with its arithmetic and its loads, a strided or gathered load costing as many
scalar loads as it has lanes. Layouts are chosen by descent: each buffer's contiguous dimension is
changed as long as the modelled cost of the kernels that touch it falls.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from heapq import heappop, heappush
from itertools import product
from math import prod

from myad.compile.dtypes import BYTES
from myad.compile.kernels.cost import ACROSS_COST, CALLED, COST, LOAD_COST
from myad.compile.kernels.expr import Apply, Buffer, Expr, Load, loads
from myad.compile.kernels.form import form_of
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.layout import Layout, Machine
from myad.compile.schedule.schedule import Schedule

MAX_UNROLLED = 96  # multiply-adds written out in one block: more only costs compile time
MAX_SHARED = 256  # the same where neighbours share loads
LONG_BODY = 16  # nodes of a body that counts for two and more multiply-adds when written out
MAX_WRITTEN = 512  # operations of one block of an elementwise kernel
MAX_CHANGES = 8  # of one buffer's layout: the descent ends, however large the program
LONG_ROW = 8  # vectors in a row that are written out when the row does not divide evenly


def natural(buffers: list[Buffer], machine: Machine) -> dict[Buffer, Layout]:
    """Row-major layouts, the last dimension contiguous."""
    return {b: Layout(b, machine, tuple(range(len(b.shape)))) for b in buffers}


def plan(kernels: list[Kernel], buffers: list[Buffer], machine: Machine) -> dict[Buffer, Layout]:
    """The layout of every buffer, by descent on the modelled cost."""
    return _Descent(kernels, buffers, machine).run()


class _Descent:
    """Layouts being improved buffer by buffer, in sweeps over those whose surroundings changed.

    Fields: `touching` by buffer, the kernels that read or write it; `costs` what each kernel costs
    now; `known` the cost of each form of kernel under the layouts of its buffers: an unrolled loop
    is costed once.
    """

    def __init__(self, kernels: list[Kernel], buffers: list[Buffer], machine: Machine) -> None:
        self.machine, self.buffers = machine, buffers
        self.layouts = natural(buffers, machine)
        self.touching: dict[Buffer, list[Kernel]] = {b: [] for b in buffers}
        self.around: dict[Kernel, tuple[Buffer, ...]] = {}
        self.forms: dict[Kernel, int] = {}
        numbers: dict[Hashable, int] = {}
        for kernel in kernels:
            form = form_of(kernel)
            self.forms[kernel] = numbers.setdefault(form.key, len(numbers))
            self.around[kernel] = form.buffers
            for buffer in form.buffers:
                self.touching[buffer].append(kernel)
        self.known: dict[Hashable, float] = {}
        self.costs = {kernel: self.cost(kernel) for kernel in kernels}

    def run(self) -> dict[Buffer, Layout]:
        places = {buffer: place for place, buffer in enumerate(self.buffers)}
        changes = dict.fromkeys(self.buffers, 0)
        sweep, following = list(places.values()), set[int]()
        queued = set(sweep)
        while sweep:
            place = heappop(sweep)
            queued.discard(place)
            buffer = self.buffers[place]
            if changes[buffer] < MAX_CHANGES and self.improve(buffer):
                changes[buffer] += 1
                near = {places[b] for k in self.touching[buffer] for b in self.around[k]}
                following |= {other for other in near if other <= place}
                for other in near - queued - following:
                    queued.add(other)
                    heappush(sweep, other)
            if not sweep:
                sweep, queued, following = sorted(following), set(following), set()
        return self.layouts

    def cost(self, kernel: Kernel) -> float:
        """The modelled cost of `kernel` under the present layouts."""
        orders = [self.layouts[buffer].order for buffer in self.around[kernel]]
        key = (self.forms[kernel], *orders)
        if key not in self.known:
            self.known[key] = cheapest(kernel, self.layouts, self.machine)[0]
        return self.known[key]

    def improve(self, buffer: Buffer) -> bool:
        """Try every other contiguous dimension of `buffer`; keep the best if it is cheaper."""
        if (
            buffer.kind == "stream"
            or buffer.fixed
            or sum(extent > 1 for extent in buffer.shape) < 2
        ):
            return False
        kernels = self.touching[buffer]
        best, before = self.layouts[buffer], sum(self.costs[k] for k in kernels)
        lowest = before
        for dim, extent in enumerate(buffer.shape):
            if extent == 1 or dim == best.inner:
                continue
            order = (*(d for d in range(len(buffer.shape)) if d != dim), dim)
            trial = self.layouts[buffer] = Layout(buffer, self.machine, order)
            cost = sum(self.cost(k) for k in kernels)
            if cost < lowest * 0.999:
                best, lowest = trial, cost
        self.layouts[buffer] = best
        if lowest < before:
            self.costs.update({k: self.cost(k) for k in kernels})
            return True
        return False


def cheapest(
    kernel: Kernel, layouts: dict[Buffer, Layout], machine: Machine
) -> tuple[float, Axis | None]:
    """The modelled cost of `kernel` under its best vector axis, and that axis."""
    candidates = [None, *(a for a in kernel.axes if _can_be_vector(kernel, a))]
    return min(
        ((cost(kernel, axis, layouts, machine), axis) for axis in candidates), key=lambda c: c[0]
    )


def _can_be_vector(kernel: Kernel, axis: Axis) -> bool:
    """Overlapping windows are added one by one: lanes must write different elements."""
    if not kernel.accumulate:
        return True
    own = [part for part in kernel.index if axis in part.terms]
    return len(own) == 1 and own[0].plain() is axis


def cost(
    kernel: Kernel, axis: Axis | None, layouts: dict[Buffer, Layout], machine: Machine
) -> float:
    """Modelled cost of `kernel` with `axis` along the lanes."""
    lanes = machine.lanes_for(axis.size, kernel_dtype(kernel)) if axis else 1
    vectors = -(-axis.size // lanes) if axis else 1
    points = prod(a.size for a in kernel.axes if a is not axis) * vectors
    outputs = prod(a.size for a in kernel.parallel if a is not axis)
    inside = axis is not None and axis in kernel.reduced
    outputs *= vectors if axis and not inside else 1
    total = points * work(kernel.body_nodes, axis, lanes, layouts)
    total += outputs * (ACROSS_COST if inside else 0.0)
    if kernel.epilogue is not None:
        around = None if inside else axis
        total += outputs * work(kernel.epilogue_nodes, around, lanes, layouts)
    stored = _access(kernel.output, kernel.index, None if inside else axis, lanes, layouts)
    return total + outputs * stored * (2 if kernel.accumulate else 1)


def work(
    nodes: Sequence[Expr], axis: Axis | None, lanes: int, layouts: dict[Buffer, Layout]
) -> float:
    """Modelled cost of one evaluation of `nodes`."""
    total = 0.0
    for node in nodes:
        if isinstance(node, Apply):
            each = COST[node.op]
            total += each * lanes if node.op in CALLED else each
        elif isinstance(node, Load):
            total += LOAD_COST * _access(node.buffer, node.index, axis, lanes, layouts)
    return total


def _access(
    buffer: Buffer, index: tuple, axis: Axis | None, lanes: int, layouts: dict[Buffer, Layout]
) -> float:
    """Cost of reaching `lanes` elements: 1 together, 3 every second, else 2 each."""
    if axis is None or not any(axis in part.terms for part in index):
        return 1.0
    if buffer.kind == "stream" and index[0].coefficient(axis):
        return 3.0 * lanes
    stride = layouts[buffer].step(index, axis)
    return {1: 1.0, 2: 3.0}.get(stride, 2.0 * lanes)


def kernel_dtype(kernel: Kernel) -> str:
    """The widest dtype a kernel computes in: it decides the number of lanes."""
    found = {kernel.output.dtype, kernel.body.dtype}
    found |= {load.buffer.dtype for load in kernel.reads}
    return max(found, key=lambda dtype: (BYTES[dtype], dtype))


def choose(kernel: Kernel, layouts: dict[Buffer, Layout], machine: Machine) -> Schedule:
    """The schedule of `kernel` for these layouts."""
    _, vector = cheapest(kernel, layouts, machine)
    lanes = machine.lanes_for(vector.size, kernel_dtype(kernel)) if vector else 1
    schedule = Schedule(vector, lanes)
    vectors = -(-vector.size // lanes) if vector else 1
    parallel = [a for a in kernel.parallel if a is not vector]
    reduced = [a for a in kernel.reduced if a is not vector]
    if kernel.accumulate:
        schedule.loops, schedule.reductions = parallel, reduced
        schedule.chunks = min(vectors, LONG_ROW)
        return schedule
    inside = vector is not None and vector in kernel.reduced
    block, chunks = register_block(kernel, parallel, 1 if inside else vectors, vector, machine)
    schedule.block = block
    schedule.chunks = chunks
    sums = prod(block.values()) * (1 if inside else chunks)
    if inside:
        schedule.chunks = _inner_chunks(vectors, vector, lanes, sums)
    turns = schedule.chunks if inside else 1
    reduced = _by_layout(kernel, reduced, layouts)
    schedule.unroll = _unrolled(kernel, reduced, sums * turns, block)
    schedule.reductions = [a for a in reduced if schedule.unroll.get(a, 1) < a.size]
    schedule.loops = _by_layout(kernel, parallel, layouts)
    turns *= prod(schedule.unroll.values())
    if reduced or inside:
        schedule.ways = max(1, min(turns, 8 // sums, 4))
    return schedule


def _inner_chunks(vectors: int, vector: Axis | None, lanes: int, sums: int) -> int:
    assert vector is not None
    if vectors <= LONG_ROW and vectors * sums <= MAX_UNROLLED:
        return vectors
    return max(1, min(4, MAX_UNROLLED // max(1, sums)))


def _unrolled(
    kernel: Kernel, reduced: list[Axis], each: int, block: dict[Axis, int]
) -> dict[Axis, int]:
    """What to write out of the reduced axes, given from the outermost to the innermost.

    First what slides along with the register block, as a kernel's rows do with an image's: a load
    then serves several sums. Then from the innermost axis on, as long as the body stays short;
    never an outer axis without the inner ones, which would walk through memory in long steps.
    """
    chosen: dict[Axis, int] = {}
    count = each * max(1, len(kernel.body_nodes) // LONG_BODY)
    partners = {axis: _partners(kernel, axis, block) for axis in reduced}
    for axis in sorted(reduced, key=lambda a: -partners[a]):
        if partners[axis] > 1:
            fits = [n for n in range(2, axis.size + 1) if axis.size % n == 0]
            chosen[axis] = max((n for n in fits if count * n <= MAX_SHARED), default=1)
            count *= chosen[axis]
    for axis in reversed(reduced):
        if axis not in chosen:
            if count * axis.size > MAX_UNROLLED:
                break
            chosen[axis] = axis.size
            count *= axis.size
    return {axis: n for axis, n in reversed(chosen.items()) if n > 1}


def _partners(kernel: Kernel, axis: Axis, block: dict[Axis, int]) -> int:
    """How many values of the register block share a dimension of some buffer with `axis`."""
    return max((n for load in loads(kernel.body) for part in load.index if axis in part.terms
                for other, n in block.items() if other in part.terms), default=1)  # fmt: skip


def _by_layout(kernel: Kernel, axes: list[Axis], layouts: dict[Buffer, Layout]) -> list[Axis]:
    """`axes`, the one with the longest step through the largest buffer first."""
    reads = [*kernel.reads, Load(kernel.output, kernel.index)]

    def step(axis: Axis) -> int:
        steps = [abs(part.coefficient(axis)) * layouts[load.buffer].strides[dim]
                 for load in reads for dim, part in enumerate(load.index)]  # fmt: skip
        return max(steps, default=0)

    return sorted(axes, key=step, reverse=True)


def register_block(
    kernel: Kernel, parallel: list[Axis], vectors: int, vector: Axis | None, machine: Machine
) -> tuple[dict[Axis, int], int]:
    """How many values of which parallel axes, and how many vectors, share the registers.

    The block with the fewest loads per multiply-add wins, among those whose sums leave room for
    the operands.
    """
    if kernel.combine == "store":
        return _small_block(kernel, parallel, vectors)
    limit = machine.registers * 3 // 4
    reads = list(dict.fromkeys(loads(kernel.body)))
    best: tuple[tuple[float, int], dict[Axis, int], int] | None = None
    widths = [n for n in range(1, min(vectors, limit) + 1) if vectors % n == 0 or n == 1]
    options = [[n for n in range(1, min(a.size, limit) + 1) if a.size % n == 0] for a in parallel]
    for chunks in widths:
        for counts in product(*options):
            if (sums := chunks * prod(counts)) > limit or sum(n > 1 for n in counts) > 3:
                continue
            block = {a: n for a, n in zip(parallel, counts, strict=True) if n > 1}
            loaded = sum(_distinct(load, block, chunks, vector) for load in reads)
            # a sum waits 4 cycles for the one before it, two start per cycle: 8 in flight
            score = (max(loaded / sums, 0.5) + 0.1 * max(0, 8 - sums) / 8, -sums)
            if best is None or score < best[0]:
                best = score, block, chunks
    assert best is not None
    return best[1], best[2]


def _small_block(kernel: Kernel, parallel: list[Axis], vectors: int) -> tuple[dict[Axis, int], int]:
    """Elementwise kernels: whole short rows, and short axes written out; less of long bodies."""
    limit = max(1, MAX_WRITTEN // len(kernel.nodes))
    chunks = vectors if vectors <= min(LONG_ROW, limit) else min(4, limit)
    block: dict[Axis, int] = {}
    count = chunks
    for axis in sorted(parallel, key=lambda a: a.size):
        if count * axis.size > min(16, limit):
            break
        block[axis] = axis.size
        count *= axis.size
    return block, chunks


def _distinct(load: Load, block: dict[Axis, int], chunks: int, vector: Axis | None) -> float:
    """Loads of one operand for a block."""
    used = {axis for part in load.index for axis in part.terms}
    count = prod(n for axis, n in block.items() if axis in used)
    return float(count * (chunks if vector in used else 1))
