"""The border of a transformation: how its arguments go in, and how its results come out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from myad.backward import alias, release
from myad.core import Tensor
from myad.errors import DTypeError, GraphError, OptionError, TreeError
from myad.recording import free_bit, take_bit, thread_state
from myad.tree import LEAF, Structure, flatten, leaves, map_leaves, named_leaves


def array_of(x: Any) -> Any:
    """The array in a tensor, or `x` itself."""
    return x.value if type(x) is Tensor else x


def split_aux(output: Any, has_aux: bool, name: str) -> tuple[Any, Any]:
    """What a function returned, and what else it did. Raises TreeError."""
    if not has_aux:
        return output, None
    if not isinstance(output, tuple | list) or len(output) != 2:
        raise TreeError(f"{name}: with has_aux, the function must return (result, anything).")
    return output[0], output[1]


def scalar_of(output: Any) -> Tensor:
    """The result of a function whose gradient is asked for."""
    if type(output) is Tensor:
        return output
    found, structure = as_tensors(output, "grad")
    if structure != LEAF:
        raise GraphError(
            f"grad: the function returned {structure}, which is no scalar. Return one, or"
            " (scalar, anything) with has_aux=True; jacobian and vjp take any result."
        )
    return found[0]


def as_tensors(output: Any, name: str) -> tuple[list[Tensor], Structure]:
    """The leaves of a result, constants made tensors, and its structure."""
    found, structure = flatten(output)
    tensors = []
    for leaf in found:
        z = leaf if type(leaf) is Tensor else Tensor(leaf)
        if z.dtype.kind not in "fiub":
            raise DTypeError(
                f"{name}: the function returned {leaf!r:.60}, which is no real number or array;"
                " return such things beside the result, with has_aux=True."
            )
        tensors.append(z)
    return tensors, structure


def released(tree: Any, bit: int, boxed: bool) -> Any:
    """`tree` with its tensors as `returned`; other leaves stay as they are."""
    return map_leaves(lambda x: returned(x, bit, boxed) if type(x) is Tensor else x, tree)


def returned(z: Any, bit: int, boxed: bool) -> Any:
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


def check_argnums(argnums: Any) -> None:
    """Raise OptionError unless `argnums` is an integer or several."""
    given = (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(given, tuple | list) or not all(type(i) is int for i in given):
        raise OptionError(f"argnums: must be an integer or a tuple of them, not {argnums!r}.")


def positions(argnums: Any, count: int) -> list[int]:
    """The positions to differentiate by, counted from 0."""
    given = (argnums,) if isinstance(argnums, int) else argnums
    wrong = [i for i in given if not -count <= i < count]
    if wrong:
        raise DTypeError(
            f"grad: argnums {wrong} of a call with {count} positional arguments; those given by"
            " name are not differentiated."
        )
    return [i % count for i in given]


def with_aliases(
    args: tuple[Any, ...], chosen: Sequence[int], bit: int, name: str
) -> tuple[Any, ...]:
    """`args`, those `chosen` tracked by `bit`. Raises DTypeError naming what has no gradient."""
    try:
        return tuple(
            [map_leaves(lambda x: alias(x, bit), a) if i in chosen else a
             for i, a in enumerate(args)]
        )  # fmt: skip
    except DTypeError:
        wrong = [
            f"{path} is {Tensor(leaf).dtype}"
            for i in chosen
            for path, leaf in named_leaves(args[i], f"argument {i}")
            if Tensor(leaf).dtype.kind != "f"
        ]
        raise DTypeError(
            f"{name}: only floating-point arguments have gradients, and {', '.join(wrong)}. Use"
            " astype(), or pass it in by name or in an argument outside argnums."
        ) from None


def any_tensor(args: Any, options: Any = None) -> bool:
    """Whether a leaf of `args`, or of the keyword arguments `options`, is a Tensor."""
    for leaf in leaves(args):
        if type(leaf) is Tensor:
            return True
    return bool(options) and any_tensor(options)


def others(bit: int, *tensors: Any) -> int:
    """The bits, other than `bit`, of those who follow any of `tensors` at the moment."""
    mask = 0
    for x in tensors:
        if type(x) is Tensor:
            mask |= x.tracked
    return mask & thread_state.active & ~bit


@contextmanager
def own_bit() -> Iterator[int]:
    """A bit of one's own, for whom operations are recorded inside."""
    bit = take_bit()
    try:
        with tracking(bit):
            yield bit
    finally:
        free_bit(bit)


@contextmanager
def tracking(bit: int) -> Iterator[None]:
    """Context in which operations are recorded for `bit`."""
    before = thread_state.active
    thread_state.active |= bit
    try:
        yield
    finally:
        thread_state.active = before
