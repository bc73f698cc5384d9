"""Run a function once on shapes and return what it did as a `Program`.

The function is ordinary code on tensors, a backward pass included; it runs with tensors that know
only shape and dtype, and every primitive it calls becomes a step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from myad.compile.program.program import Program
from myad.core import Tensor
from myad.errors import CompileError
from myad.recording import thread_state
from myad.tree import flatten as take_tree
from myad.tree import named_leaves
from myad.tree import unflatten as make_tree


class _State(threading.local):
    """`depth` counts the traces that this thread is in."""

    depth = 0


_state = _State()


def is_tracing() -> bool:
    """Whether this thread is recording a program."""
    return _state.depth > 0


@dataclass(frozen=True)
class Argument:
    """Shape, dtype and name of one traced argument."""

    shape: tuple[int, ...]
    dtype: Any
    name: str


def flatten(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of a tree (see `myad.tree`), each with a dotted name."""
    return named_leaves(tree, name)


def unflatten(tree: Any, leaves: Sequence[Any]) -> Any:
    """`leaves` in the nesting of `tree`."""
    return make_tree(take_tree(tree)[1], leaves)


def trace(
    function: Callable[..., Any], *examples: Any, names: Sequence[str] = ()
) -> tuple[Program, Any]:
    """Record `function` called with arguments like `examples`.

    Args:
        function: pure; takes and returns trees (see `myad.tree`) of arrays or tensors.
        examples: one per argument: arrays, or anything with `.shape` and `.dtype`, nested alike.
        names: one per argument, for people who read the program.
    Returns: the checked program, whose inputs are the leaves of `examples` and whose outputs are
        the leaves of the result, and the result itself (its nesting is of use to `unflatten`).
    Raises: CompileError if a leaf is not an array; TraceError if `function` asks for a number.
    """
    program = Program()
    names = names or [f"arg{n}" for n in range(len(examples))]
    arguments = []
    for label, example in zip(names, examples, strict=True):
        leaves = []
        for leaf_name, leaf in flatten(example, label):
            if not hasattr(leaf, "shape"):
                leaf = np.asarray(leaf)
            if np.dtype(leaf.dtype).kind not in "biuf":
                raise CompileError(f"trace: argument {leaf_name} is not an array: {leaf!r:.60}")
            leaves.append(Tensor(program.input(leaf.shape, leaf.dtype, leaf_name)))
        arguments.append(unflatten(example, leaves))
    _state.depth += 1
    outer, thread_state.scope = thread_state.scope, None
    try:
        result = function(*arguments)
    finally:
        _state.depth -= 1
        thread_state.scope = outer
    for leaf_name, leaf in flatten(result, "result"):
        value = leaf.value if isinstance(leaf, Tensor) else leaf
        if not hasattr(value, "record"):
            if np.asarray(value).dtype.kind not in "biuf":
                raise CompileError(f"trace: {leaf_name} is not an array: {leaf!r:.60}")
            value = program.constant(value)
        program.outputs.append(value)
    return program.check(), result
