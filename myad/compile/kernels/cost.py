"""What an operation costs, in fused multiply-adds on one vector: for fusion and for schedules."""

from __future__ import annotations

from collections.abc import Iterable

from myad.compile.dtypes import BYTES
from myad.compile.kernels.expr import ARITY, Apply, Buffer, Expr, Load

# Cost of an operation on one vector, in fused multiply-adds.
COST: dict[str, float] = {
    "add": 1, "sub": 1, "mul": 0.5, "div": 4, "max": 1, "min": 1, "rem": 80, "pow": 120, "fma": 1,
    "neg": 1, "abs": 1, "floor": 1, "exp": 10, "log": 14, "sqrt": 6, "sin": 40, "cos": 40,
    "tanh": 16,
    "lt": 1, "le": 1, "gt": 1, "ge": 1, "eq": 1, "ne": 1,
    "and": 1, "or": 1, "not": 1, "xor": 1, "shr": 1, "shl": 1,
    "select": 1, "cast": 0.5,
}  # fmt: skip
# An operation nobody priced would be taken for a cheap one and repeated without end.
assert COST.keys() == ARITY.keys(), f"cost.py: price {sorted(COST.keys() ^ ARITY.keys())}"
LOAD_COST = 0.5  # of an element next to its neighbours, in a cache: two loads start per cycle
STORE_COST = 1.0
# Of what no cache holds: memory gives a vector in the time of eight multiply-adds and more, and is
# read before it is written.
FAR_BYTES, FAR_LOAD_COST, FAR_STORE_COST = 2**20, 8.0, 16.0
LINE = 64  # bytes that a cache holds together
ACROSS_COST = 6.0  # adding up the lanes of a vector
CALLED = ("pow",)  # one library call per lane


def price(nodes: Iterable[Expr]) -> float:
    """Cost of one evaluation of `nodes`, the operations and loads of an expression."""
    return sum(map(_own_cost, nodes))


def _own_cost(node: Expr) -> float:
    if isinstance(node, Apply):
        return COST[node.op]
    return LOAD_COST if isinstance(node, Load) else 0.0


def is_far(buffer: Buffer) -> bool:
    """Whether `buffer` is larger than the caches that count."""
    return buffer.size * BYTES[buffer.dtype] > FAR_BYTES
