"""Batching rules: each operation on values of which some have a batch axis in front.

A rule gets the operation, its inputs as `Item`s and its static parameters, and returns a tensor
with the batch axis. All are compositions; an operation without a rule is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from myad.core import Primitive
from myad.errors import OptionError
from myad.ops.reduce import broadcast_to
from myad.ops.shaping import getitem, reshape, stack


class Item(NamedTuple):
    """A tensor or array, and whether its first axis is the batch."""

    value: Any
    batched: bool

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one example."""
        return tuple(self.value.shape[1:] if self.batched else self.value.shape)


Rule = Callable[[Primitive, list[Item], dict[str, Any], int], Any]
RULES: dict[str, Rule] = {}


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register a batching rule `(op, items, static, size)` for the operations of these names."""

    def register(function: Rule) -> Rule:
        RULES.update(dict.fromkeys(names, function))
        return function

    return register


def apply(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Item:
    """`op` of `items`, of which some may be batches of `size` examples.

    Raises: OptionError for an operation without a rule.
    """
    if not any(item.batched for item in items):
        return Item(op(*[item.value for item in items], **static), False)
    if op.name not in RULES:
        raise OptionError(
            f"vmap: no batching rule for {op.name}; compose it of other operations, or add a rule"
            " in myad/batching/rules.py."
        )
    return Item(RULES[op.name](op, items, static, size), True)


def full(item: Item, size: int) -> Any:
    """The value of `item` with a batch axis, repeated if it had none."""
    if item.batched:
        return item.value
    x = item.value
    one = reshape(x, shape=(1, *x.shape))
    return broadcast_to(one, shape=(size, *x.shape))


def aligned(items: Iterable[Item], ndim: int | None = None) -> list[Any]:
    """Values that broadcast as their examples do: axes of length 1 behind the batch's."""
    items = list(items)
    rank = max(len(item.shape) for item in items) if ndim is None else ndim
    values = []
    for item in items:
        x, shape = item.value, item.shape
        if item.batched and len(shape) < rank:
            x = reshape(x, shape=(x.shape[0], *[1] * (rank - len(shape)), *shape))
        values.append(x)
    return values


@rule(
    "add", "subtract", "multiply", "divide", "power", "remainder", "maximum", "minimum", "equal",
    "not_equal", "less", "less_equal", "where", "negative", "absolute", "sign", "floor",
    "stop_gradient", "cast", "exp", "log", "sqrt", "sin", "cos", "tanh", "sigmoid", "softplus",
    "relu", "relu_gradient", "log1p", "expm1", "exp2", "log2", "log10", "logaddexp", "sinh", "cosh",
    "arcsinh", "arccosh", "arctanh", "arctan", "arctan2", "arcsin", "arccos", "hypot", "erf",
    "one_hot", "matmul", "solve_matrix",
)  # fmt: skip
def _elementwise(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    """Leading axes are broadcast."""
    return op(*aligned(items), **static)


@rule("determinant", "log_determinant", "determinant_sign", "cholesky_factor",
      "symmetric_spectrum", "singular_spectrum")  # fmt: skip
def _stacked(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, **static)


@rule("reduce_sum", "reduce_max", "reduce_min", "softmax")
def _over_axes(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, **{**static, "axis": tuple([a + 1 for a in static["axis"]])})


@rule("cumulative_sum", "sorted_places", "largest_place")
def _along_axis(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, **{**static, "axis": static["axis"] + 1})


@rule("reshape")
def _reshape(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, shape=(size, *static["shape"]))


@rule("broadcast_to")
def _broadcast_to(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    (x,) = aligned(items, len(static["shape"]))
    return op(x, shape=(size, *static["shape"]))


@rule("transpose")
def _transpose(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, axes=(0, *[a + 1 for a in static["axes"]]))


@rule("concatenate")
def _concatenate(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(*[full(item, size) for item in items], axis=static["axis"] + 1)


@rule("pad")
def _pad(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    return op(items[0].value, **{**static, "widths": ((0, 0), *static["widths"])})


@rule("strided_slice", "strided_embed")
def _slice(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    first = {"starts": 0, "stops": size, "steps": 1, "shape": size}
    return op(items[0].value, **{name: (first[name], *values) for name, values in static.items()})


@rule("sum_of_products")
def _sum_of_products(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    left, _, output = static["subscripts"].partition("->")
    free = next(a for a in "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                if a not in static["subscripts"])  # fmt: skip
    terms = [
        free + term if item.batched else term
        for term, item in zip(left.split(","), items, strict=True)
    ]
    values = [item.value for item in items]
    return op(*values, subscripts=f"{','.join(terms)}->{free}{output}")


def _places(items: list[Item], size: int, own: bool) -> list[Any]:
    """Indices that broadcast; with `own`, the number of the example before them."""
    rank = max(len(item.shape) for item in items)
    values = aligned(items, rank)
    return [np.arange(size).reshape(-1, *[1] * rank), *values] if own else values


@rule("gather")
def _gather(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    x, *indices = items
    return op(x.value, *_places(indices, size, own=x.batched))


@rule("scatter_add")
def _scatter_add(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    x, *indices = items
    places = _places(indices, size, own=True)
    return op(full(x, size), *places, shape=(size, *static["shape"]))


@rule("scatter_set")
def _scatter_set(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    x, values, *indices = items
    return op(full(x, size), full(values, size), *_places(indices, size, own=True))


@rule("max_pool2d", "max_pool2d_gradient", "max_pool2d_pick", "sum_pool2d", "sum_pool2d_gradient",
      "interleave2d", "sparse_softmax_cross_entropy",
      "sparse_softmax_cross_entropy_gradient")  # fmt: skip
def _merged(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    """The first axis holds examples already: more of them."""
    values = [full(item, size) for item in items]
    longer = [reshape(x, shape=(size * x.shape[1], *x.shape[2:])) for x in values]
    z = op(*longer, **static)
    return reshape(z, shape=(size, values[0].shape[1], *z.shape[1:]))


@rule("correlate2d", "correlate2d_input_gradient")
def _correlate(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    """Images are merged; of several kernels, each is applied in turn."""
    images, kernel = items
    if kernel.batched:
        return _each(op, items, static, size)
    x = images.value
    z = op(reshape(x, shape=(size * x.shape[1], *x.shape[2:])), kernel.value, **static)
    return reshape(z, shape=(size, x.shape[1], *z.shape[1:]))


@rule("correlate2d_kernel_gradient", "random_uniform", "split_key")
def _each(op: Primitive, items: list[Item], static: dict[str, Any], size: int) -> Any:
    """Example by example: these have no form with one more axis."""
    rows = []
    for n in range(size):
        values = [getitem(i.value, n) if i.batched else i.value for i in items]
        rows.append(op(*values, **static))
    if not rows:
        raise OptionError(f"vmap: {op.name} of no examples; a batch needs at least one.")
    return stack(rows)
