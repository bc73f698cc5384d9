"""Nested tuples, lists and dicts of arrays, as arguments and results of transformations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of `tree`, in order; None is no leaf."""
    if isinstance(tree, dict):
        for node in tree.values():
            yield from leaves(node)
    elif isinstance(tree, tuple | list):
        for node in tree:
            yield from leaves(node)
    elif tree is not None:
        yield tree


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with each leaf replaced by `function(leaf)`."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, node) for key, node in tree.items()}
    if isinstance(tree, tuple | list):
        return type(tree)([map_leaves(function, node) for node in tree])
    return None if tree is None else function(tree)
