"""Run a function once on shapes and return what it did as a `Program`.

The function is ordinary code on tensors, a backward pass included; it runs with tensors that know
only shape and dtype, and every primitive it calls becomes a step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from myad.compile.program.program import Program
from myad.core import Tensor
from myad.errors import CompileError


@dataclass(frozen=True)
class Argument:
    """Shape, dtype and name of one traced argument."""

    shape: tuple[int, ...]
    dtype: Any
    name: str


def flatten(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of nested tuples, lists and dicts, each with a dotted name."""
    if isinstance(tree, dict):
        parts = [(str(key), value) for key, value in tree.items()]
    elif isinstance(tree, tuple | list):
        parts = [(str(n), value) for n, value in enumerate(tree)]
    else:
        return [(name, tree)]
    return [leaf for key, value in parts
            for leaf in flatten(value, f"{name}.{key}" if name else key)]  # fmt: skip


def unflatten(tree: Any, leaves: Sequence[Any]) -> Any:
    """`leaves` in the nesting of `tree`."""
    rest = iter(leaves)

    def build(node: Any) -> Any:
        if isinstance(node, dict):
            return {key: build(value) for key, value in node.items()}
        if isinstance(node, tuple | list):
            return type(node)(build(value) for value in node)
        return next(rest)

    return build(tree)


def trace(function: Callable[..., Any], *examples: Any, name: str = "") -> tuple[Program, Any]:
    """Record `function` called with arguments like `examples`.

    Args:
        function: pure; takes and returns nested tuples, lists and dicts of arrays or tensors.
        examples: one per argument: arrays, or anything with `.shape` and `.dtype`, nested alike.
    Returns: the checked program, whose inputs are the leaves of `examples` and whose outputs are
        the leaves of the result, and the result itself (its nesting is of use to `unflatten`).
    Raises: CompileError if a leaf is not an array; TraceError if `function` asks for a number.
    """
    program = Program()
    names = name.split() or [f"arg{n}" for n in range(len(examples))]
    arguments = []
    for label, example in zip(names, examples, strict=True):
        leaves = []
        for leaf_name, leaf in flatten(example, label):
            if not hasattr(leaf, "shape"):
                leaf = np.asarray(leaf)
            if np.dtype(leaf.dtype) == object:
                raise CompileError(f"trace: argument {leaf_name} is not an array: {leaf!r:.60}")
            leaves.append(Tensor(program.input(leaf.shape, leaf.dtype, leaf_name)))
        arguments.append(unflatten(example, leaves))
    result = function(*arguments)
    for leaf_name, leaf in flatten(result, "result"):
        value = leaf.value if isinstance(leaf, Tensor) else leaf
        if not hasattr(value, "record"):
            if value is None or np.asarray(value).dtype == object:
                raise CompileError(f"trace: {leaf_name} is not an array: {leaf!r:.60}")
            value = program.constant(value)
        program.outputs.append(value)
    return program.check(), result
