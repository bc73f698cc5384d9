"""Functions of functions: gradients, products with Jacobians, and Jacobians.

The functions given are ordinary code on tensors. Every transformation gives its arguments an alias
that is tracked by a bit of its own, and releases what it returns from that bit: transformations can
be nested in any way, and none sees the variables of another.

Arguments and results are numbers, arrays, tensors, or trees of them (see `myad.tree`). Keyword
arguments are passed on and not differentiated. Where no argument is a Tensor, results are arrays;
otherwise they are Tensors. What a result does not depend on gets zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.backward import alias, backpropagate, is_alias, release, seed_for, unshared
from myad.boundary import (
    any_tensor,
    array_of,
    as_tensors,
    check_argnums,
    others,
    own_bit,
    positions,
    released,
    returned,
    scalar_of,
    split_aux,
    tracking,
    with_aliases,
)
from myad.core import Tensor
from myad.errors import TreeError
from myad.ops.shaping import reshape, stack
from myad.recording import free_bit, take_bit, thread_state
from myad.tree import LEAF, flatten, leaves, map_leaves, matching_leaves, unflatten

Function = Callable[..., Any]


def grad(function: Function, argnums: Any = 0, has_aux: bool = False) -> Function:
    """The gradient of a function whose result is a scalar.

    Args:
        argnums: position of the argument to differentiate by, from the end if negative, or a
            tuple of positions.
        has_aux: `function` returns (scalar, anything), and the result is (gradient, anything).
    Returns: a function with the same arguments; its result is nested like that argument, or a
        tuple of such. Raises when called: GraphError if the result is no scalar; DTypeError if an
        argument to differentiate by is not floating-point.
    """
    both = value_and_grad(function, argnums, has_aux)

    def transformed(*args: Any, **options: Any) -> Any:
        value, gradient = both(*args, **options)
        return (gradient, value[1]) if has_aux else gradient

    return transformed


def value_and_grad(function: Function, argnums: Any = 0, has_aux: bool = False) -> Function:
    """Like `grad`, with the value: a function that returns (value, gradient).

    With `has_aux`, `function` returns (scalar, anything) and the result is
    ((scalar, anything), gradient).
    """
    check_argnums(argnums)

    def transformed(*args: Any, **options: Any) -> Any:
        boxed = any_tensor(args, options)
        chosen = positions(argnums, len(args))
        bit = take_bit()
        before = thread_state.active
        thread_state.active |= bit
        try:
            args = with_aliases(args, chosen, bit, "grad")
            output, aux = split_aux(function(*args, **options), has_aux, "grad")
            z = scalar_of(output)
            targets = [args[i] for i in chosen]
            gradients = _gradients([z], [seed_for(z, None, "grad")], targets, bit, boxed)
            value = returned(z, bit, boxed)
            if has_aux:
                aux = released(aux, bit, boxed)
        finally:
            thread_state.active = before
            free_bit(bit)
        result = gradients[0] if isinstance(argnums, int) else tuple(gradients)
        return ((value, aux), result) if has_aux else (value, result)

    return transformed


def vjp(function: Function, *primals: Any, has_aux: bool = False, **options: Any) -> Any:
    """The value at `primals`, and the product of a vector with the Jacobian there.

    Args:
        has_aux: `function` returns (value, anything), and the result is (value, pullback,
            anything).
        options: passed on to `function`.
    Returns: (value, pullback); `pullback(dz)`, dz nested and shaped like the value, returns one
        gradient per primal, dzᵀ·∂value/∂primal. It may be called any number of times.
    """
    pullback = _Pullback(function, primals, has_aux, options)
    if has_aux:
        return pullback.value, pullback, pullback.aux
    return pullback.value, pullback


class _Pullback:
    """Keeps the record of one call, and the bit that tracks it for as long as it is alive."""

    def __init__(self, function: Function, primals: tuple[Any, ...], has_aux: bool, options: Any):
        self._bit = take_bit()
        self._boxed = any_tensor(primals, options)
        self._targets = with_aliases(primals, range(len(primals)), self._bit, "vjp")
        with tracking(self._bit):
            output, aux = split_aux(function(*self._targets, **options), has_aux, "vjp")
        self.outputs, self.structure = as_tensors(output, "vjp")
        parts = [returned(z, self._bit, self._boxed) for z in self.outputs]
        self.value = unflatten(self.structure, parts)
        self.aux = released(aux, self._bit, self._boxed)

    def __call__(self, seed: Any) -> tuple[Any, ...]:
        if self.structure == LEAF:
            seeds = [seed]
        else:
            seeds = matching_leaves("vjp: the upstream gradient", seed, self.structure)
        return self.of(self.outputs, seeds, self._boxed or any_tensor(seed))

    def of(self, outputs: list[Tensor], seeds: list[Any], boxed: bool) -> tuple[Any, ...]:
        """The gradients if only `outputs` have upstream gradients."""
        pairs = [
            (z, seed_for(z, seed, "vjp"))
            for z, seed in zip(outputs, seeds, strict=True)
            if z.dtype.kind == "f"  # nothing else has derivatives
        ]
        kept, seeds = [z for z, _ in pairs], [s for _, s in pairs]
        return tuple(_gradients(kept, seeds, self._targets, self._bit, boxed, keep=True))

    def __del__(self) -> None:
        free_bit(self._bit)


def jvp(
    function: Function, primals: Any, tangents: Any, has_aux: bool = False, **options: Any
) -> Any:
    """Forward mode: the value at `primals`, and its derivative in the direction `tangents`.

    Each recorded operation pushes the tangents of its inputs on to its output, oldest first. The
    rule for that is the transpose of its gradient rule: with dx = Jᵀ·dz, linear in dz, the product
    J·t is the gradient of ⟨Jᵀ·u, t⟩ in u, whatever u is.

    Args: tangents: one per primal, nested and shaped like it. has_aux, options: as `vjp`.
    Returns: (value, tangent), and with `has_aux` what else the function returned.
    """
    primals, tangents = _arguments("primals", primals), _arguments("tangents", tangents)
    boxed = any_tensor((primals, tangents), options)
    directions = matching_leaves("jvp: the tangents", tangents, flatten(primals)[1])
    with own_bit() as bit:
        aliases = with_aliases(primals, range(len(primals)), bit, "jvp")
        starts = leaves(aliases)
        given = [
            seed_for(x, t, "jvp", tangent=True) for x, t in zip(starts, directions, strict=True)
        ]
        output, aux = split_aux(function(*aliases, **options), has_aux, "jvp")
        outputs, structure = as_tensors(output, "jvp")
        known = {id(x): t for x, t in zip(starts, given, strict=True)}
        found = _push_through(outputs, known, bit)
        taken = {id(array_of(x)) for x in (*starts, *given)}
        values = [returned(z, bit, boxed) for z in outputs]
        pushed = [returned(unshared(t, taken), bit, boxed) for t in found]
        result = unflatten(structure, values), unflatten(structure, pushed)
        return (*result, released(aux, bit, boxed)) if has_aux else result


def _arguments(name: str, given: Any) -> tuple[Any, ...]:
    if not isinstance(given, tuple | list):
        raise TreeError(f"jvp: {name} must be a tuple, with one entry per argument: {given!r:.60}")
    return tuple(given)


def _push_through(outputs: list[Tensor], tangents: dict[int, Any], bit: int) -> list[Any]:
    nodes, waiting = {}, list(outputs)
    while waiting:
        z = waiting.pop()
        if z.tracked & bit and z.order not in nodes:
            nodes[z.order] = z
            if id(z) not in tangents:
                waiting += [x for x in z.inputs if type(x) is Tensor]
    for order in sorted(nodes):
        z = nodes[order]
        if id(z) not in tangents:
            tangents[id(z)] = _push_forward(z, tangents, bit)
    found = [tangents.get(id(z)) for z in outputs]
    return [
        np.zeros(z.shape, z.dtype) if t is None else t for z, t in zip(outputs, found, strict=True)
    ]


def _push_forward(z: Tensor, tangents: dict[int, Any], bit: int) -> Any:
    """J·t of the one operation that made `z`, or None if no tangent reaches it."""
    given = [tangents.get(id(x)) for x in z.inputs]
    if is_alias(z):
        return given[0]
    if z.op is None or all(t is None for t in given):
        return None
    inputs = [release(x, bit) for x in z.inputs]
    if z.op.jvp is not None:
        pushed = z.op.jvp(given, release(z, bit), *inputs, **z.static)
        if pushed is not NotImplemented:
            return pushed
    with own_bit() as own:
        u = alias(np.zeros(z.shape, z.dtype), own)
        shares = z.op.vjp(u, release(z, bit), *inputs, **z.static)
        pairs = [
            (share() if callable(share) else share, t)
            for share, t in zip(shares, given, strict=True)
            if share is not None and t is not None
        ]
        pairs = [(s, t) for s, t in pairs if type(s) is Tensor and s.tracked & own]
        found = backpropagate(pairs, [u], own, record=others(own, *[x for p in pairs for x in p]))
        return release(found[0][1], own) if found else None


def hessian_vector_product(function: Function, x: Any, v: Any, **options: Any) -> Any:
    """H·v, where H is the matrix of second derivatives of the scalar `function` at `x`.

    The Hessian is symmetric, so this is the product of v with the Jacobian of the gradient; H
    itself is never made. x, v and the result are nested alike; `options` go to `function`.
    """
    _, pullback = vjp(grad(function), x, **options)
    return pullback(v)[0]


def jacobian(function: Function, argnums: Any = 0, has_aux: bool = False) -> Function:
    """The matrix of first derivatives: shape of the result, then shape of the argument.

    One backward pass per element of the result. `argnums` and `has_aux` as in `grad`.
    Returns: a function with the same arguments; its result is nested like that of `function`, and
        each leaf of that holds a tree nested like the argument (a tuple of them for several).
    """
    check_argnums(argnums)

    def transformed(*args: Any, **options: Any) -> Any:
        chosen = positions(argnums, len(args))

        def of_chosen(*moving: Any) -> Any:
            full = list(args)
            for i, x in zip(chosen, moving, strict=True):
                full[i] = x
            return function(*full, **options)

        moving = [args[i] for i in chosen]
        _, pullback, *aux = vjp(of_chosen, *moving, has_aux=has_aux)
        boxed = any_tensor(args, options)
        parts = [_rows(pullback, z, moving, boxed) for z in pullback.outputs]
        single = isinstance(argnums, int)
        result = unflatten(pullback.structure, [p[0] if single else tuple(p) for p in parts])
        return (result, *aux) if has_aux else result

    return transformed


def hessian(function: Function, argnums: Any = 0) -> Function:
    """The matrix of second derivatives of a scalar function: shape of the argument, twice.

    `argnums` as in `grad`; for several arguments, a tuple of tuples.
    """
    return jacobian(grad(function, argnums), argnums)


def _rows(pullback: _Pullback, z: Tensor, moving: list[Any], boxed: bool) -> list[Any]:
    """The Jacobians of the one result `z`, nested like `moving`."""
    basis = np.eye(z.size, dtype=z.dtype)
    rows = [leaves(pullback.of([z], [row.reshape(z.shape)], boxed)) for row in basis]
    starts, structure = flatten(moving)
    if not rows:
        empty = [np.zeros((*z.shape, *np.shape(array_of(x))), z.dtype) for x in starts]
        return unflatten(structure, [Tensor(x) if boxed else x for x in empty])
    full = [
        reshape(stack(column), shape=(*z.shape, *column[0].shape))
        for column in zip(*rows, strict=True)
    ]
    return unflatten(structure, full)


def _gradients(
    outputs: list[Tensor],
    seeds: list[Any],
    targets: Sequence[Any],
    bit: int,
    boxed: bool,
    keep: bool = False,
) -> list[Any]:
    """Gradients of `outputs`, nested like `targets`, released from `bit`."""
    record = others(bit, *outputs, *seeds)
    pairs = [(z, seed) for z, seed in zip(outputs, seeds, strict=True) if z.tracked & bit]
    starts = leaves(targets)
    reached = backpropagate(pairs, starts, bit, record=record, keep=keep or bool(record))
    found = {id(x): dx for x, dx in reached}
    taken = {id(array_of(x)) for x in (*seeds, *starts)}

    def read(x: Tensor) -> Any:
        dx = found.get(id(x))
        dx = np.zeros(x.shape, x.dtype) if dx is None else unshared(dx, taken)
        return returned(dx, bit, boxed)

    return [map_leaves(read, target) for target in targets]
