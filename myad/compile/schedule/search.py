"""The layout of every buffer and the vector axis of every kernel, chosen from shapes.

The choice is a search under a small cost model, in units of one vector operation: a kernel costs
its points, each with its arithmetic and its loads, a strided or gathered load costing as many
scalar loads as it has lanes. Layouts are chosen by descent: each buffer's contiguous dimension is
changed as long as the modelled cost of the kernels that touch it falls.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from heapq import heappop, heappush
from math import prod

from myad.compile.dtypes import BYTES
from myad.compile.kernels.cost import ACROSS_COST, CALLED, COST, LOAD_COST
from myad.compile.kernels.expr import Apply, Buffer, Expr, Load
from myad.compile.kernels.form import form_of
from myad.compile.kernels.index import Axis
from myad.compile.kernels.kernel import Kernel
from myad.compile.schedule.layout import Layout, Machine

MAX_CHANGES = 8  # of one buffer's layout: the descent ends, however large the program
RELAID_COST = 3.0  # of one element copied into another order: a load and a store of its own


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
        for buffer in self.buffers:
            self.restore(buffer)
        return self.layouts

    def restore(self, buffer: Buffer) -> None:
        """Back to row-major order where another has turned out to gain nothing."""
        chosen, kernels = self.layouts[buffer], self.touching[buffer]
        plain = Layout(buffer, self.machine, tuple(range(len(buffer.shape))))
        if chosen.order == plain.order:
            return
        self.layouts[buffer] = plain
        costs = {kernel: self.cost(kernel) for kernel in kernels}
        if sum(costs.values()) <= sum(self.costs[kernel] for kernel in kernels):
            self.costs.update(costs)
        else:
            self.layouts[buffer] = chosen

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
        best = self.layouts[buffer]
        before = lowest = sum(self.costs[k] for k in kernels) + _copying(best)
        for dim, extent in enumerate(buffer.shape):
            if extent == 1 or dim == best.inner:
                continue
            order = (*(d for d in range(len(buffer.shape)) if d != dim), dim)
            trial = self.layouts[buffer] = Layout(buffer, self.machine, order)
            cost = sum(self.cost(k) for k in kernels) + _copying(trial)
            if cost < lowest * 0.999:
                best, lowest = trial, cost
        self.layouts[buffer] = best
        if lowest < before:
            self.costs.update({k: self.cost(k) for k in kernels})
            return True
        return False


def _copying(layout: Layout) -> float:
    """Modelled cost of laying out the caller's array like this: nothing if it lies so already."""
    natural_order = sorted(layout.order, key=lambda dim: (layout.buffer.shape[dim] > 1, dim))
    if layout.buffer.kind not in ("argument", "result") or list(layout.order) == natural_order:
        return 0.0
    return RELAID_COST * layout.buffer.size


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
