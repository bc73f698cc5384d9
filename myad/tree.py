"""Nested tuples, lists and dicts of arrays, as arguments and results of transformations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

SEQUENCES = (tuple, list)


def leaves(tree: Any) -> list[Any]:
    """The leaves of `tree`, in order; None is no leaf."""
    found: list[Any] = []
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            waiting.extend(reversed(node.values()))
        elif isinstance(node, SEQUENCES):
            waiting.extend(reversed(node))
        elif node is not None:
            found.append(node)
    return found


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with each leaf replaced by `function(leaf)`."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, node) for key, node in tree.items()}
    if isinstance(tree, SEQUENCES):
        return type(tree)([map_leaves(function, node) for node in tree])
    return None if tree is None else function(tree)
