"""`vmap` itself, and the batching rules of what holds bodies: loops and branches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.batching.rules import Item, apply, full, rule
from myad.control.body import Body, record
from myad.control.cond import Branch, cond
from myad.control.custom import Inline
from myad.control.nest import Nest, is_float
from myad.control.scan import Scan, operands, scan
from myad.control.while_loop import While, while_loop
from myad.core import Primitive, Spec
from myad.errors import OptionError, ShapeError
from myad.ops.compare import astype, where
from myad.ops.extremes import max as largest
from myad.ops.index import concatenate
from myad.ops.rearrange import moveaxis
from myad.ops.shaping import reshape
from myad.tree import unflatten


def vmap(function: Callable[..., Any], in_axes: Any = 0, out_axes: int = 0) -> Callable[..., Any]:
    """`function` of one example as a function of a batch: as `jax.vmap`.

    Args:
        function: pure; takes and returns trees; called once, on the shapes of one example.
        in_axes: the batch axis of the arguments: a number, None (no batch), or one per argument.
        out_axes: where the results have it.
    Returns: a function of the same arguments. It composes with `grad`, `jvp`, `jit` and itself.
    Raises when called: ShapeError for batches of unequal size; OptionError for an operation that
        has no batching rule, by name.
    """

    def transformed(*args: Any) -> Any:
        axes = in_axes if isinstance(in_axes, tuple | list) else [in_axes] * len(args)
        if len(axes) != len(args):
            raise OptionError(f"vmap: in_axes has {len(axes)} entries for {len(args)} arguments.")
        items: list[Item] = []
        given = []
        for arg, axis in zip(args, axes, strict=True):
            found, structure = operands(arg)
            own = [Item(x if axis is None else _front(x, axis), axis is not None) for x in found]
            items += own
            given.append(([Spec(i.shape, i.value.dtype) for i in own], structure))
        size = _size(items)
        body, foreign, structure = record(function, given)
        results = run(body, [*items, *[Item(x, False) for x in foreign]], size)
        whole = [moveaxis(full(z, size), 0, out_axes) for z in results]
        return unflatten(structure, whole)

    return transformed


def _front(x: Any, axis: int) -> Any:
    if not -len(x.shape) <= axis < len(x.shape):
        raise ShapeError(f"vmap: an argument of shape {tuple(x.shape)} has no axis {axis}.")
    return moveaxis(x, axis, 0)


def _size(items: Sequence[Item]) -> int:
    sizes = {item.value.shape[0] for item in items if item.batched}
    if len(sizes) != 1:
        raise ShapeError(f"vmap: needs arguments with one size of batch, got {sorted(sizes)}.")
    return int(sizes.pop())


def run(body: Body, items: Sequence[Item], size: int) -> list[Item]:
    """The outputs of `body` for inputs of which some are batches."""
    return body.replay(
        items,
        lambda op, values, static: apply(op, values, static, size),
        lambda array: Item(array, False),
    )


def _all(body: Body, items: Sequence[Item], size: int) -> list[Any]:
    """All outputs as batches."""
    return [full(z, size) for z in run(body, items, size)]


@rule("nested", "nested_integers")
def _nested(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    nest: Nest = static["nest"]
    for kind, batched in _BATCHED.items():
        if isinstance(nest, kind):
            found = batched(nest, items, size)
            break
    else:
        raise OptionError(f"vmap: no batching rule for {type(nest).__name__}.")
    floating = op.name == "nested"
    dtype = nest.results.dtype if floating else np.dtype(np.int64)
    rows = [
        astype(reshape(z, shape=(size, int(np.prod(z.shape[1:])))), dtype)
        for z in found
        if is_float(z) == floating
    ]
    return concatenate(*rows, axis=1)


def _scan(nest: Scan, items: list[Item], size: int) -> list[Any]:
    carry, xs, constants = nest.parts(items)
    rows = [moveaxis(x.value, 1, 0) if x.batched else x.value for x in xs]

    def step(carried: Any, moved: Any) -> Any:
        begun = [Item(c, True) for c in carried]
        here = [Item(x, item.batched) for x, item in zip(moved, xs, strict=True)]
        found = _all(nest.body, [*begun, *here, *constants], size)
        kept = carried if nest.keep else []
        return found[: nest.carried], [*found[nest.carried :], *kept]

    starts = [full(c, size) for c in carry]
    ends, ys = scan(step, starts, rows, nest.length, nest.reverse)
    return [*ends, *[moveaxis(y, 1, 0) for y in ys]]


def _while(nest: While, items: list[Item], size: int) -> list[Any]:
    """Turns as long as one example goes on; the others keep their carry."""
    carry, asked, constants = nest.parts(items)

    def goes_on(carried: Any) -> Any:
        begun = [Item(c, True) for c in carried]
        return _all(nest.condition, [*begun, *asked], size)[0]

    def turn(carried: Any) -> Any:
        found = _all(nest.body, [*[Item(c, True) for c in carried], *constants], size)
        still = goes_on(carried)
        return [_chosen(still, new, old) for new, old in zip(found, carried, strict=True)]

    return while_loop(lambda c: largest(goes_on(c)), turn, [full(c, size) for c in carry])


def _branch(nest: Branch, items: list[Item], size: int) -> list[Any]:
    yes, no = nest.inputs_of(items)
    chosen = items[0]
    if chosen.batched:  # both, and a choice example by example
        found = zip(_all(nest.yes, yes, size), _all(nest.no, no, size), strict=True)
        return [_chosen(chosen.value, a, b) for a, b in found]
    return cond(chosen.value, lambda: _all(nest.yes, yes, size), lambda: _all(nest.no, no, size))


def _inline(nest: Inline, items: list[Item], size: int) -> list[Any]:
    return _all(nest.body, items, size)


def _chosen(mask: Any, x: Any, y: Any) -> Any:
    return where(reshape(mask, shape=(mask.shape[0], *[1] * (len(x.shape) - 1))), x, y)


_BATCHED: dict[type, Callable[..., list[Any]]] = {
    Scan: _scan, While: _while, Branch: _branch, Inline: _inline,
}  # fmt: skip
