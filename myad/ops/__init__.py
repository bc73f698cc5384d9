"""The operations, one file per family; importing this installs the operators of Tensor."""

from myad.ops import (
    arithmetic,
    compare,
    conv,
    functions,
    index,
    linalg,
    loss,
    methods,
    pool,
    random,
    reduce,
)

__all__ = [
    "arithmetic",
    "compare",
    "conv",
    "functions",
    "index",
    "linalg",
    "loss",
    "methods",
    "pool",
    "random",
    "reduce",
]
