"""From a kernel per step to few: neighbours are put together.

Two moves, made as long as one applies:
- *inline*: a kernel that only maps or moves elements is written into its readers;
- *finish*: an elementwise reader of a reduction becomes the reduction's epilogue.

A kernel is looked at again only when one of its readers has changed, so the work grows with the
number of steps and not with its square.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from heapq import heappop, heappush
from math import isfinite

from myad.compile.kernels.cost import (
    COST,
    FAR_LOAD_COST,
    FAR_STORE_COST,
    LOAD_COST,
    STORE_COST,
    is_far,
    price,
)  # fmt: skip
from myad.compile.kernels.expr import (
    Apply,
    Buffer,
    Const,
    Expr,
    Load,
    Pool,
    rewrite,
    share,
    substitute,
    walk,
)  # fmt: skip
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel, sum_of
from myad.compile.kernels.routine import Routine

# Nodes of one kernel. A longer one spills its registers and gains nothing, as what it saves is one
# store and one load where it is cut; and LLVM's time for a function grows faster than its length.
MAX_NODES = 96


def fuse(kernels: list[Kernel], kept: set[Buffer]) -> list[Kernel]:
    """The same results with fewer kernels; the buffers of `kept` are still written."""
    return _Fusion(kernels, kept).run()


class _Fusion:
    """Kernels by their place in the program, and for each buffer who writes and who reads it."""

    def __init__(self, kernels: list[Kernel], kept: set[Buffer]) -> None:
        self.kept = kept
        self.kernels = dict(enumerate(kernels))
        self.writer = {kernel.output: place for place, kernel in self.kernels.items()}
        self.readers: dict[Buffer, dict[int, None]] = {kernel.output: {} for kernel in kernels}
        self.waiting = list(self.kernels)  # a heap: the first kernel that can, moves
        self.queued = set(self.waiting)
        for place, kernel in self.kernels.items():
            self._read(place, kernel)

    def run(self) -> list[Kernel]:
        while self.waiting:
            place = heappop(self.waiting)
            self.queued.discard(place)
            if place in self.kernels and self.kernels[place].output not in self.kept:
                self._move(place)
        return list(self.kernels.values())

    def _move(self, place: int) -> None:
        kernel = self.kernels[place]
        places = list(self.readers[kernel.output])
        fused = _merged(kernel, [self.kernels[reader] for reader in places])
        if fused is None:
            return
        touched = set(kernel.times_read)  # whose writers may now find what they did not before
        for reader, new in zip(places, fused, strict=True):
            old = self.kernels[reader]
            if (old.axes, old.combine) != (new.axes, new.combine):
                touched.update(new.times_read)
            self._forget(reader)
            self.kernels[reader] = new
            self._read(reader, new)
            self._queue(reader)
        self._forget(place)
        del self.kernels[place]
        for buffer in touched & self.readers.keys():
            # among several readers only views move, and those when they are first looked at
            if len(self.readers[buffer]) <= 1:
                self._queue(self.writer[buffer])

    def _read(self, place: int, kernel: Kernel) -> None:
        for buffer in kernel.times_read:
            if buffer in self.readers:
                self.readers[buffer][place] = None

    def _forget(self, place: int) -> None:
        for buffer in self.kernels[place].times_read:
            if buffer in self.readers:
                self.readers[buffer].pop(place, None)

    def _queue(self, place: int) -> None:
        if place in self.kernels and place not in self.queued:
            self.queued.add(place)
            heappush(self.waiting, place)


def _merged(kernel: Kernel, readers: list[Kernel]) -> list[Kernel] | None:
    """What `readers` become if `kernel` vanishes into them, or None if it has to stay."""
    if any(isinstance(each, Routine) for each in (kernel, *readers)):
        return None
    if len(readers) == 1 and len(kernel.nodes) + len(readers[0].nodes) > MAX_NODES:
        return None
    fused = _inlined(kernel, readers)
    if fused is None and len(readers) == 1:
        last = finish(kernel, readers[0])
        fused = None if last is None else [last]
    return fused


def _inlined(kernel: Kernel, readers: list[Kernel]) -> list[Kernel] | None:
    """Every reader with `kernel` written into it, or None if that cannot be or does not pay."""
    if kernel.combine != "store" or kernel.epilogue is not None or kernel.accumulate:
        return None
    pays = _pays(kernel, readers[0]) if len(readers) == 1 else _saves_memory(kernel, readers)
    if not is_view(kernel) and not pays:
        return None
    fused = []
    for reader in readers:
        new = inline(kernel, reader)
        if new is None or len(new.nodes) > MAX_NODES:
            return None
        fused.append(replace(new, origins=(*new.origins, *kernel.origins)))
    return fused


def is_view(kernel: Kernel) -> bool:
    """Whether a kernel costs next to nothing to repeat: it moves or scales one operand."""
    operands = [node for node in kernel.body_nodes if isinstance(node, Load)]
    if len(operands) > 1 or any(load.buffer.kind == "stream" for load in operands):
        return False
    return sum(COST[node.op] for node in kernel.body_nodes if isinstance(node, Apply)) <= 1.0


def _pays(kernel: Kernel, reader: Kernel) -> bool:
    """Whether computing the elements where they are read costs no more than keeping them.

    Kept, each is computed once, stored, and loaded as often as it is read; inlined, it is computed
    as often as it is read: once in an elementwise reader, once per column in a matrix product.
    """
    each, times = price(kernel.body_nodes), reader.times_read[kernel.output]
    kept = kernel.output.size * (each + STORE_COST) + times * LOAD_COST
    return times * each <= kept


def _saves_memory(kernel: Kernel, readers: list[Kernel]) -> bool:
    """Whether an array that no cache holds is better computed by each of its readers.

    To compute an exponential twice takes less time than to write it to memory and fetch it. Only
    for readers that meet every element once.
    """
    output = kernel.output
    if not is_far(output) or any(r.times_read[output] != output.size for r in readers):
        return False
    each, far = price(kernel.body_nodes), [b for b in kernel.times_read if is_far(b)]
    kept = output.size * (each + FAR_STORE_COST + len(readers) * FAR_LOAD_COST)
    kept += FAR_LOAD_COST * sum(b.size for b in far)
    fetched = sum(b.size for r in readers for b in far if b not in r.times_read)
    return len(readers) * output.size * each + FAR_LOAD_COST * fetched <= kept


def inline(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """`reader` with its loads of `kernel.output` replaced by what `kernel` computes."""
    places = [part.plain() for part in kernel.index]
    simple = all(p is not None or (not i.terms and i.const == 0)
                 for p, i in zip(places, kernel.index, strict=True))  # fmt: skip
    distinct = [p for p in places if p is not None]
    if simple and len(set(distinct)) == len(distinct) and kernel.output.fill is None:
        return _replaced(kernel, reader)
    return _resplit(kernel, reader)


def _replaced(kernel: Kernel, reader: Kernel) -> Kernel:
    """Each load at some index becomes the kernel's body at that index."""

    def body_at(load: Load, pool: Pool) -> Expr:
        mapping = {part.plain(): at for part, at in zip(kernel.index, load.index, strict=True)}
        return substitute(kernel.body, {a: at for a, at in mapping.items() if a is not None}, pool)

    return _with(reader, kernel.output, body_at)


def _with(reader: Kernel, buffer: Buffer, value: Callable[[Load, Pool], Expr]) -> Kernel:
    """`reader` with `value` in the place of every load of `buffer`."""

    def written(expr: Expr) -> Expr:
        pool = Pool()

        def rule(node: Expr) -> Expr | None:
            here = isinstance(node, Load) and node.buffer is buffer
            return value(node, pool) if here else None  # type: ignore[arg-type]

        return rewrite(expr, rule, pool)

    epilogue = None if reader.epilogue is None else written(reader.epilogue)
    return replace(reader, body=written(reader.body), epilogue=epilogue)


def _resplit(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """For a kernel that writes at merged or strided places: the reader's axes become those."""
    mapping = reading_axes(kernel.output, reader)
    if mapping is None:
        return None
    if kernel.output.fill is not None and not _skips_zero(kernel, reader):
        return None
    replaced = {axis: kernel.index[dim] for dim, axis in mapping.items()}
    split = reader.substituted(replaced, kernel.axes)
    if kernel.output.fill is not None and reader.combine == "store":
        split.output.fill = 0.0
    return _with(split, kernel.output, lambda load, pool: share(kernel.body, pool))


def reading_axes(buffer: Buffer, reader: Kernel) -> dict[int, Axis] | None:
    """By dimension, the axis along which `reader` reads `buffer`, if always one whole axis."""
    found: dict[int, Axis] | None = None
    for load in reader.reads:
        if load.buffer is not buffer:
            continue
        axes: dict[int, Axis] = {}
        for dim, part in enumerate(load.index):
            axis = part.plain()
            if axis is None and buffer.shape[dim] == 1:
                continue
            if axis is None or axis.size != buffer.shape[dim] or axis in axes.values():
                return None
            axes[dim] = axis
        if found is not None and found != axes:
            return None
        found = axes
    return found


def _skips_zero(kernel: Kernel, reader: Kernel) -> bool:
    """Whether the places that `kernel` leaves at 0 contribute nothing to `reader`."""
    if kernel.output.fill != 0 or reader.epilogue is not None or reader.combine != "store":
        return False
    if reader.output.fill:  # its own border is another number: one array, one fill
        return False
    return vanishes(reader.body, kernel.output)


def vanishes(expr: Expr, buffer: Buffer) -> bool:
    """Whether `expr` is 0 wherever `buffer` is."""
    zero: dict[int, bool] = {}
    for node in walk(expr):
        parts = [zero[id(part)] for part in node.parts]
        zero[id(node)] = (
            (isinstance(node, Load) and node.buffer is buffer)
            or (isinstance(node, Const) and node.value == 0)
            or (isinstance(node, Apply) and _vanishing(node, parts))
        )
    return zero[id(expr)]


def _vanishing(node: Apply, zero: list[bool]) -> bool:
    """Whether `node` is 0, by which of its operands are 0."""
    if node.op == "mul":  # 0 times infinity is not 0
        finite = [isinstance(a, Const) and isfinite(a.value) for a in node.args]
        return any(zero) and all(z or f for z, f in zip(zero, finite, strict=True))
    if node.op == "select":
        return zero[1] and zero[2]
    return node.op in ("neg", "add", "sub") and all(zero)


def finish(kernel: Kernel, reader: Kernel) -> Kernel | None:
    """`kernel` with its elementwise reader as epilogue, or None if the reader is not that."""
    if kernel.combine == "store":
        return None
    if kernel.accumulate or reader.accumulate or reader.combine != "store" or reader.epilogue:
        return None
    mapping = reading_axes(kernel.output, reader)
    if mapping is None or set(mapping.values()) != set(reader.parallel) or reader.reduced:
        return None
    if kernel.output.fill is not None:
        return None
    replaced: dict[Axis, Affine] = {axis: kernel.index[dim] for dim, axis in mapping.items()}
    pool = Pool()
    body, done = substitute(reader.body, replaced, pool), share(sum_of(kernel), pool)

    def rule(node: Expr) -> Expr | None:
        return done if isinstance(node, Load) and node.buffer is kernel.output else None

    index = tuple(affine(part).substitute(replaced) for part in reader.index)
    return Kernel(
        f"{kernel.name}_{reader.name.split('_', 1)[-1]}", reader.output, kernel.axes, index,
        kernel.body, kernel.combine, rewrite(body, rule, pool),
        origins=(*kernel.origins, *reader.origins),
    )  # fmt: skip
