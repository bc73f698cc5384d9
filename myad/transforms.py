"""Functions of functions: gradients, products with Jacobians, and Jacobians.

The functions given are ordinary code on tensors. Every transformation gives its arguments an alias
that is tracked by a bit of its own, and releases what it returns from that bit: transformations can
be nested in any way, and none sees the variables of another.

Arguments may be numbers, arrays, tensors, or tuples, lists and dicts of them. Where no argument is
a Tensor, results are arrays; otherwise they are Tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from myad.backward import alias, backpropagate, free_bit, is_alias, release, seed_for, take_bit
from myad.core import Tensor, thread_state
from myad.errors import DTypeError, GraphError, ShapeError
from myad.ops.shaping import reshape, stack
from myad.tree import leaves, map_leaves


def grad(function: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """The gradient of a function whose result is a scalar.

    Args: argnums: position of the argument to differentiate by, or a tuple of positions.
    Returns: a function with the same arguments; its result is nested like that argument, or a
        tuple of such. Raises when called: GraphError if the result is no scalar tensor.
    """
    both = value_and_grad(function, argnums)
    return lambda *args, **options: both(*args, **options)[1]


def value_and_grad(
    function: Callable[..., Any], argnums: Any = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """Like `grad`, with the value: a function that returns (value, gradient).

    With `has_aux`, `function` returns (scalar, anything) and the result is
    ((scalar, anything), gradient).
    """
    chosen = (argnums,) if isinstance(argnums, int) else tuple(argnums)

    def transformed(*args: Any, **options: Any) -> Any:
        boxed = _any_tensor(args)
        bit = take_bit()
        before = thread_state.active
        thread_state.active |= bit
        try:
            args = _with_aliases(args, chosen, bit)
            output = function(*args, **options)
            value, aux = output if has_aux else (output, None)
            targets = [args[i] for i in chosen]
            gradients = _gradients(value, None, targets, bit, boxed, "grad")
            value = _returned(value, bit, boxed)
            aux = map_leaves(
                lambda leaf: _returned(leaf, bit, boxed) if type(leaf) is Tensor else leaf, aux
            )
        finally:
            thread_state.active = before
            free_bit(bit)
        result = gradients[0] if isinstance(argnums, int) else tuple(gradients)
        return ((value, aux), result) if has_aux else (value, result)

    return transformed


def vjp(function: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., tuple[Any, ...]]]:
    """The value at `primals`, and the product of a vector with the Jacobian there.

    Returns: (value, pullback); `pullback(dz)`, dz shaped like the value, returns one gradient per
        primal, dzᵀ·∂value/∂primal. It may be called any number of times.
    """
    pullback = _Pullback(function, primals)
    return pullback.value, pullback


class _Pullback:
    """Keeps the record of one call, and the bit that tracks it for as long as it is alive."""

    def __init__(self, function: Callable[..., Any], primals: tuple[Any, ...]) -> None:
        self._bit = take_bit()
        self._boxed = _any_tensor(primals)
        self._targets = _with_aliases(primals, range(len(primals)), self._bit)
        with _tracking(self._bit):
            self._output = function(*self._targets)
        self.value = _returned(self._output, self._bit, self._boxed)

    def __call__(self, seed: Any) -> tuple[Any, ...]:
        boxed = self._boxed or type(seed) is Tensor
        return tuple(_gradients(self._output, seed, self._targets, self._bit, boxed, "vjp"))

    def __del__(self) -> None:
        free_bit(self._bit)


def jvp(function: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """Forward mode: the value at `primals`, and its derivative in the direction `tangents`.

    Each recorded operation pushes the tangents of its inputs on to its output, oldest first. The
    rule for that is the transpose of its gradient rule: with dx = Jᵀ·dz, linear in dz, the product
    J·t is the gradient of ⟨Jᵀ·u, t⟩ in u, whatever u is.
    Returns: (value, tangent).
    """
    boxed = _any_tensor((*primals, *tangents))
    with _own_bit() as bit:
        aliases = _with_aliases(tuple(primals), range(len(primals)), bit)
        output = function(*aliases)
        directions = {
            id(x): seed_for(x, t, "jvp")
            for x, t in zip(leaves(aliases), leaves(list(tangents)), strict=True)
        }
        tangent = _push_through(output, directions, bit)
        return _returned(output, bit, boxed), _returned(tangent, bit, boxed)


def _push_through(output: Any, tangents: dict[int, Any], bit: int) -> Any:
    nodes, waiting = {}, [output] if type(output) is Tensor else []
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
    tangent = tangents.get(id(output))
    return np.zeros(output.shape, output.dtype) if tangent is None else tangent


def _push_forward(z: Tensor, tangents: dict[int, Any], bit: int) -> Any:
    """J·t of the one operation that made `z`, or None if no tangent reaches it."""
    given = [tangents.get(id(x)) for x in z.inputs]
    if is_alias(z):
        return given[0]
    if z.op is None or all(t is None for t in given):
        return None
    inputs = [release(x, bit) for x in z.inputs]
    with _own_bit() as own:
        u = alias(np.zeros(z.shape, z.dtype), own)
        shares = z.op.vjp(u, release(z, bit), *inputs, **z.static)
        pairs = [
            (share() if callable(share) else share, t)
            for share, t in zip(shares, given, strict=True)
            if share is not None and t is not None
        ]
        pairs = [(s, t) for s, t in pairs if type(s) is Tensor and s.tracked & own]
        found = backpropagate(pairs, [u], own, record=_others(own, *[x for p in pairs for x in p]))
        return release(found[0][1], own) if found else None


def hessian_vector_product(function: Callable[..., Any], x: Any, v: Any) -> Any:
    """H·v, where H is the matrix of second derivatives of the scalar `function` at `x`.

    The Hessian is symmetric, so this is the product of v with the Jacobian of the gradient; H
    itself is never made.
    """
    _, pullback = vjp(grad(function), x)
    return pullback(v)[0]


def jacobian(function: Callable[..., Any], argnums: int = 0) -> Callable[..., Any]:
    """The matrix of first derivatives: shape of the result, then shape of the argument.

    One backward pass per element of the result.
    """

    def transformed(*args: Any) -> Any:
        def of_one(x: Any) -> Any:
            return function(*args[:argnums], x, *args[argnums + 1 :])

        value, pullback = vjp(of_one, args[argnums])
        basis = np.eye(max(1, value.size), dtype=value.dtype)[: value.size]
        rows = [pullback(row.reshape(value.shape))[0] for row in basis]
        if not rows:
            raise ShapeError(f"jacobian: the result {value.shape} has no elements.")
        return reshape(stack(rows), shape=(*value.shape, *rows[0].shape))

    return transformed


def _gradients(
    output: Any, seed: Any, targets: Sequence[Any], bit: int, boxed: bool, name: str
) -> list[Any]:
    """Gradients of `output`, nested like `targets`, released from `bit`."""
    if type(output) is not Tensor:
        if seed is None and np.shape(output) != ():
            raise GraphError(f"{name}: the function returned {np.shape(output)}, no scalar.")
        found: dict[int, Any] = {}  # a constant
    else:
        seed = seed_for(output, seed, name)
        record = _others(bit, output, seed)
        pairs = [(output, seed)] if output.tracked & bit else []
        reached = backpropagate(
            pairs,
            leaves(list(targets)),
            bit,
            record=record,
            keep=bool(record) or name == "vjp",
        )
        found = {id(x): dx for x, dx in reached}

    def read(x: Tensor) -> Any:
        dx = found.get(id(x))
        if dx is None:
            dx = np.zeros(x.shape, x.dtype)
        return _returned(dx, bit, boxed)

    return [map_leaves(read, target) for target in targets]


def _returned(z: Any, bit: int, boxed: bool) -> Any:
    """`z` as a caller gets it: without the bit, and as an array if nothing needs a Tensor."""
    if type(z) is np.ndarray:
        return Tensor(z) if boxed else z
    if type(z) is Tensor:
        if not boxed and z.tracked == bit and type(z.value) is np.ndarray:
            return z.value
        z = release(z, bit)
        plain = not boxed and not z.tracked and type(z.value) is np.ndarray
        return z.value if plain else z
    return Tensor(z) if boxed else np.asarray(z)


def _with_aliases(args: tuple[Any, ...], chosen: Sequence[int], bit: int) -> tuple[Any, ...]:
    wrong = [i for i in chosen if not 0 <= i < len(args)]
    if wrong:
        raise DTypeError(f"grad: argnums {wrong} of a call with {len(args)} positional arguments.")
    return tuple(
        [map_leaves(lambda x: alias(x, bit), a) if i in chosen else a for i, a in enumerate(args)]
    )


def _any_tensor(args: Any) -> bool:
    return any(type(leaf) is Tensor for leaf in leaves(args))


def _others(bit: int, *tensors: Any) -> int:
    """The bits, other than `bit`, of those who follow any of `tensors` at the moment."""
    mask = 0
    for x in tensors:
        if type(x) is Tensor:
            mask |= x.tracked
    return mask & thread_state.active & ~bit


@contextmanager
def _own_bit():
    bit = take_bit()
    try:
        with _tracking(bit):
            yield bit
    finally:
        free_bit(bit)


@contextmanager
def _tracking(bit: int):
    before = thread_state.active
    thread_state.active |= bit
    try:
        yield
    finally:
        thread_state.active = before
