"""Elements that nobody reads are not computed.

The gradient of a padded image is read without its border, and a convolution with strides reads
every second pixel: the kernel that computes the whole of it is given smaller axes.
"""

from __future__ import annotations

from collections.abc import Collection

from myad.compile.kernels.expr import Buffer, Expr, Load
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel
from myad.compile.kernels.routine import Routine

Part = tuple[int, int, int]  # step, first place and number of places of a dimension that are read


def narrow(kernels: list[Kernel], kept: Collection[Buffer]) -> list[Kernel]:
    """The same kernels, those of which only a regular part is read computing that part alone."""
    kernels = list(kernels)
    readers: dict[Buffer, list[int]] = {}
    for number, kernel in enumerate(kernels):
        for buffer in {load.buffer for load in kernel.reads}:
            readers.setdefault(buffer, []).append(number)
    for number in reversed(range(len(kernels))):  # readers first: their parts shrink those before
        kernel = kernels[number]
        places = readers.get(kernel.output, [])
        if kernel.output in kept or len(places) != 1 or not _shrinks(kernel):
            continue
        reader = kernels[places[0]]
        if isinstance(reader, Routine):  # which reads all of it, or what only data tell
            continue
        parts = _parts(kernel.output, reader)
        if parts is not None and any(
            (step, first, count) != (1, 0, extent)
            for (step, first, count), extent in zip(parts, kernel.output.shape, strict=True)
        ):
            kernels[number], kernels[places[0]] = _narrowed(kernel, reader, parts)
    return kernels


def _shrinks(kernel: Kernel) -> bool:
    """Whether each dimension of the output is an axis of its own, all of it written."""
    axes = [part.plain() for part in kernel.index]
    whole = all(extent == (1 if axis is None else axis.size)
                for axis, extent in zip(axes, kernel.output.shape, strict=True))  # fmt: skip
    named = [axis for axis in axes if axis is not None]
    return whole and len(set(named)) == len(named) and not kernel.accumulate


def _parts(buffer: Buffer, reader: Kernel) -> list[Part] | None:
    """Which places of each dimension `reader` reads, if all its loads say the same."""
    found: list[Part] | None = None
    for load in reader.reads:
        if load.buffer is not buffer:
            continue
        parts: list[Part] = []
        for part in load.index:
            if len(part.terms) > 1:
                return None
            step, count = next(((c, axis.size) for axis, c in part.terms.items()), (1, 1))
            if step < 1:
                return None
            parts.append((step, part.const, count))
        if found is not None and found != parts:
            return None
        found = parts
    return found


def _narrowed(kernel: Kernel, reader: Kernel, parts: list[Part]) -> tuple[Kernel, Kernel]:
    old = kernel.output
    new = Buffer(old.name, tuple(count for *_, count in parts), old.dtype, old.kind)
    mapping: dict[Axis, Affine] = {}
    fresh, index = [], []
    for place, (step, first, count) in zip(kernel.index, parts, strict=True):
        axis = place.plain()
        if axis is None or (step, first, count) == (1, 0, axis.size):
            index.append(place)
            continue
        small = Axis(f"{axis.name}n", count)
        mapping[axis] = affine(small) * step + first
        fresh.append(small)
        index.append(affine(small))
    smaller = kernel.substituted(mapping, [axis for axis in fresh if axis.size > 1])
    smaller.output, smaller.index = new, tuple(index)

    def rule(node: Expr) -> Expr | None:
        if not (isinstance(node, Load) and node.buffer is old):
            return None
        places = [Affine(dict.fromkeys(part.terms, 1)) for part in node.index]
        return Load(new, tuple(places))

    return smaller, reader.rewritten(rule)
