"""The backward pass: gradients by walking the record from the newest tensor to the oldest.

A tensor is always newer than its inputs, so the order of creation is a topological order: when a
tensor's turn comes, every consumer has added its share to its gradient. The walk is a loop around
a heap, so graphs of any depth work.

If the mask of the output shows that nobody else follows it, gradient rules run on plain arrays, at
the speed of NumPy; otherwise they run on tensors and are recorded, and can be differentiated again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from typing import Any

import numpy as np

from myad.core import Primitive, Tensor
from myad.errors import DTypeError, GraphError, ShapeError
from myad.recording import LEAF_BIT, Origin, next_order, thread_state

ndarray = np.ndarray


def _pass_on(dz: Any, z: Any, x: Any) -> tuple[Any]:
    return (dz,)


def _refuse_freed(dz: Any, z: Any, *inputs: Any, **static: Any) -> None:
    raise GraphError(
        "the record of this computation was freed by an earlier backward();"
        " call that one with keep_graph=True."
    )


class _Marker(Primitive):
    """Stands in a record where no operation took place."""

    def __init__(self, name: str, rule: Callable[..., Any]) -> None:
        self.name = name
        self.vjp = rule
        self.jvp = None


_alias = _Marker("alias", _pass_on)
_freed = _Marker("freed", _refuse_freed)


def backward(
    tensor: Tensor, seed: Any = None, *, create_graph: bool = False, keep_graph: bool = False
) -> None:
    """Add the gradient of this tensor to `.grad` of every leaf it was computed from.

    Args:
        seed: upstream gradient, shape of this tensor; left out, this must be a scalar (1).
        create_graph: record the backward pass, so that gradients can be differentiated.
        keep_graph: keep the record; otherwise it is freed, and with it its memory.
    Raises: GraphError if nothing was recorded or the record was freed; ShapeError.
    """
    if not tensor.requires_grad:
        raise GraphError(
            "backward: this tensor depends on no leaf. Make one with Tensor(...,"
            " requires_grad=True), outside of no_grad()."
        )
    seed = seed_for(tensor, seed, "backward")
    keep = keep_graph or create_graph
    record = thread_state.active | LEAF_BIT if create_graph else 0
    leaves = backpropagate([(tensor, seed)], None, LEAF_BIT, record=record, keep=keep)
    taken = {id(seed.value if type(seed) is Tensor else seed)}
    taken.update([id(leaf.value) for leaf, _ in leaves])
    for leaf, gradient in leaves:
        gradient = unshared(gradient, taken)
        gradient = gradient if type(gradient) is Tensor else Tensor(gradient)
        leaf.grad = gradient if leaf.grad is None else leaf.grad + gradient


def alias(x: Any, bit: int) -> Tensor:
    """A tensor with the value of `x` that is tracked by `bit` and by all who track `x`."""
    z = Tensor(x)
    if z.dtype.kind != "f":
        raise DTypeError(f"grad: only floating-point arguments have gradients, not {z.dtype}.")
    z.tracked = bit
    others = x.tracked & thread_state.active if type(x) is Tensor else 0
    if others:
        z.tracked |= others
        z.op, z.inputs, z.static = _alias, (x,), {}
    z.order = next_order()
    return z


def release(z: Any, bit: int) -> Any:
    """`z` as those see it who do not hold `bit`: same value, its record only if others follow."""
    if type(z) is not Tensor or not z.tracked & bit:
        return z
    result = Tensor(z.value)
    others = z.tracked & ~bit & thread_state.active
    if others:
        result.tracked = others
        result.op, result.inputs, result.static = _alias, (z,), {}
        result.order = next_order()
    return result


def unshared(dx: Any, taken: set[int]) -> Any:
    """`dx`, or a copy of it if its memory may be somebody else's.

    Rules pass arrays on as they are (`add`) or as views (`reshape`), so two gradients, or one and
    the seed, can be one array. Who gets them as results may write into them.

    Args: taken: the ids of arrays that have an owner; that of the result is added.
    """
    array = dx.value if type(dx) is Tensor else dx
    if type(array) is ndarray:
        if id(array) in taken or array.base is not None:
            dx = _copied(dx) if type(dx) is Tensor else array.copy()
        taken.add(id(array))
    return dx


def _copied(z: Tensor) -> Tensor:
    result = Tensor(z.value.copy())
    if z.tracked:
        result.tracked, result.order = z.tracked, next_order()
        result.op, result.inputs, result.static = _alias, (z,), {}
    return result


def is_alias(z: Tensor) -> bool:
    """Whether `z` is only another name of its input."""
    return z.op is _alias


def backpropagate(
    seeds: Iterable[tuple[Tensor, Any]],
    targets: Sequence[Tensor] | None,
    bit: int,
    *,
    record: int,
    keep: bool = True,
) -> list[tuple[Tensor, Any]]:
    """Walk the record from `seeds` to `targets`, from the newest tensor to the oldest.

    A tensor is always newer than its inputs, so when its turn comes every consumer has added its
    share to its gradient: the order of creation is a topological order.

    Args:
        seeds: pairs of a tensor tracked by `bit` and its upstream gradient.
        targets: where to stop; None means all leaves.
        bit: whose record to follow.
        record: the bits for which the gradients are recorded; 0: for nobody, and arrays are
            returned where the record holds arrays.
        keep: leave the record as it is; otherwise each tensor drops its inputs once it is done.
    Returns: pairs of a target and its gradient; targets that were not reached are left out.
    """
    stop = None if targets is None else {id(target) for target in targets}
    gradients: dict[int, Any] = {}
    heap: list[tuple[int, Tensor]] = []
    found = []

    def receive(x: Tensor, dx: Any) -> None:
        key = id(x)
        if key in gradients:
            gradients[key] = gradients[key] + dx
        else:
            gradients[key] = dx
            heappush(heap, (-x.order, x))

    for z, seed in seeds:
        receive(z, seed)
    before, thread_state.active = thread_state.active, record
    outer = thread_state.origin
    try:
        while heap:
            z = heappop(heap)[1]
            dz = gradients.pop(id(z))
            op = z.op
            if op is None or (stop is not None and id(z) in stop):
                found.append((z, dz))
                continue
            origin = None
            if record or type(z.value) is not ndarray:
                origin = thread_state.origin = gradient_of(z)
                shares = op.vjp(dz, z, *z.inputs, **z.static)
            else:  # plain arrays: the rule runs at the speed of NumPy
                values = [x.value if type(x) is Tensor else x for x in z.inputs]
                shares = op.vjp(dz, z.value, *values, **z.static)
            for number, (x, dx) in enumerate(zip(z.inputs, shares, strict=True)):
                if dx is None or type(x) is not Tensor or not x.tracked & bit:
                    continue
                if origin is not None:
                    thread_state.origin = origin._replace(argument=number)
                receive(x, dx() if callable(dx) else dx)
            if not keep:
                z.op, z.inputs = _freed, ()
    finally:
        thread_state.active, thread_state.origin = before, outer
    return found if stop is None else [pair for pair in found if id(pair[0]) in stop]


def gradient_of(z: Tensor) -> Origin | None:
    """Where the gradient of a recorded tensor comes from: the operation that made the tensor."""
    origin: Origin | None = getattr(z.value, "origin", None)
    return None if origin is None else Origin(origin.scope, origin.op, -1)


def seed_for(z: Tensor, seed: Any, name: str, tangent: bool = False) -> Any:
    """The upstream gradient (or tangent) of `z`: `seed` checked, or 1 for a scalar."""
    if seed is None:
        if z.shape != ():
            raise GraphError(
                f"{name}: the output has shape {z.shape}, which is no scalar. Reduce it (sum, mean)"
                f" or pass an upstream gradient of that shape."
            )
        seed = np.ones((), z.dtype)
    elif type(seed) is not Tensor:
        seed = np.asarray(seed, dtype=z.dtype if not isinstance(seed, ndarray) else None)
    if seed.shape != z.shape or seed.dtype != z.dtype:
        raise ShapeError(
            f"{name}: the {'tangent' if tangent else 'upstream gradient'} must be {z.shape}"
            f" {z.dtype} like the {'primal' if tangent else 'output'},"
            f" not {seed.shape} {seed.dtype}."
        )
    concrete = type(seed) is Tensor and not seed.tracked and type(seed.value) is ndarray
    return seed.value if concrete and type(z.value) is ndarray else seed
