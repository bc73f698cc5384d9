"""Dimensions that are only ever read as several axes become several dimensions.

A dense layer behind `flatten` reads its kernel at row 13·i + j. Seen as (13, 13, K) the kernel can
be padded and laid out like the image it meets, and both are read in whole, aligned vectors.
"""

from __future__ import annotations

from collections.abc import Iterator

from myad.compile.kernels.expr import Buffer, Expr, Load, rewrite
from myad.compile.kernels.index import Affine, Axis, affine
from myad.compile.kernels.kernel import Kernel

SHORT_ROW = 4  # a last dimension below this fills too little of a vector to be worth a row

Access = tuple[int, Affine]  # number of the kernel, index in the dimension


def split_dimensions(kernels: list[Kernel]) -> list[Kernel]:
    """The same kernels over buffers whose `shape` is finer; `Buffer.given` keeps the old one."""
    kernels = list(kernels)
    while (found := _next_split(kernels)) is not None:
        buffer, dim, factors, plain = found
        for number, axis in plain:
            fresh = [Axis(f"{axis.name}{'abcdef'[n]}", size) for n, size in enumerate(factors)]
            kernels[number] = kernels[number].substituted({axis: _merged(fresh)}, fresh)
        buffer.shape = (*buffer.shape[:dim], *factors, *buffer.shape[dim + 1 :])
        kernels = [_reindexed(kernel, buffer, dim, len(factors)) for kernel in kernels]
    return kernels


def _next_split(
    kernels: list[Kernel],
) -> tuple[Buffer, int, tuple[int, ...], list[tuple[int, Axis]]] | None:
    """A dimension to split: buffer, dimension, sizes, and the axes that run along all of it."""
    places: dict[tuple[Buffer, int], list[Access]] = {}
    for number, kernel in enumerate(kernels):
        for buffer, index in _accesses(kernel):
            if buffer.kind != "stream":
                for dim, part in enumerate(index):
                    places.setdefault((buffer, dim), []).append((number, part))
    for (buffer, dim), accesses in places.items():
        extent = buffer.shape[dim]
        forms, plain, whole = set(), set(), True
        for number, part in accesses:
            axis = part.plain()
            if axis is not None and axis.size == extent:
                plain.add((number, axis))
            elif (factors := mixed_radix(part, extent)) is not None:
                forms.add(factors)
            else:
                whole = False
        if whole and len(forms) == 1:
            ordered = sorted(plain, key=lambda pair: (pair[0], pair[1].name))
            return buffer, dim, forms.pop(), ordered
    return None


def _accesses(kernel: Kernel) -> Iterator[tuple[Buffer, tuple[Affine, ...]]]:
    yield kernel.output, kernel.index
    for load in kernel.reads:
        yield load.buffer, load.index


def mixed_radix(part: Affine, extent: int) -> tuple[int, ...] | None:
    """Sizes of the axes of an index such as 13·i + j that counts to `extent` without gaps."""
    terms = sorted(part.terms.items(), key=lambda term: -term[1])
    step = 1
    for axis, factor in reversed(terms):
        if factor != step:
            return None
        step *= axis.size
    if part.const or step != extent or len(terms) < 2 or terms[-1][0].size < SHORT_ROW:
        return None
    return tuple(axis.size for axis, _ in terms)


def _merged(axes: list[Axis]) -> Affine:
    total, step = affine(0), 1
    for axis in reversed(axes):
        total, step = total + axis * step, step * axis.size
    return total


def _reindexed(kernel: Kernel, buffer: Buffer, dim: int, count: int) -> Kernel:
    def finer(index: tuple[Affine, ...]) -> tuple[Affine, ...]:
        terms = sorted(index[dim].terms, key=lambda axis: -index[dim].terms[axis])
        assert len(terms) == count
        return (*index[:dim], *(affine(axis) for axis in terms), *index[dim + 1 :])

    def rule(node: Expr) -> Expr | None:
        if isinstance(node, Load) and node.buffer is buffer:
            return Load(buffer, finer(node.index))
        return None

    return Kernel(
        kernel.name,
        kernel.output,
        kernel.axes,
        finer(kernel.index) if kernel.output is buffer else kernel.index,
        rewrite(kernel.body, rule),
        kernel.combine,
        None if kernel.epilogue is None else rewrite(kernel.epilogue, rule),
        kernel.accumulate,
    )
