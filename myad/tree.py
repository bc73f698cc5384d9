"""Trees of arrays: what transformations and compiled functions take and return.

Nodes are tuples, named tuples, lists, dicts (in their own order), None (a node without leaves) and
classes that are registered here; everything else is a leaf. The two `register` functions are named
as in JAX, and do the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from myad.errors import OptionError, TreeError


class Node(NamedTuple):
    """How to take a class apart: `take(node)` -> (children, their names, what else it holds)."""

    take: Callable[[Any], tuple[Sequence[Any], Sequence[str], Any]]
    make: Callable[[Any, Sequence[Any]], Any]  # (what else it holds, children) -> node


class Structure(NamedTuple):
    """A tree without its leaves, to be compared and hashed; `kind` None stands for a leaf."""

    kind: type | None
    rest: Any  # keys of a dict, static fields of a dataclass: hashable
    children: tuple[Structure, ...]

    def __str__(self) -> str:
        if self.kind is None:
            return "*"
        inside = [str(child) for child in self.children]
        if issubclass(self.kind, dict):
            pairs = zip(self.rest, inside, strict=True)
            return "{" + ", ".join(f"{key!r}: {text}" for key, text in pairs) + "}"
        if self.kind is type(None):
            return "None"
        brackets: dict[Any, Any] = {tuple: "()", list: "[]"}
        left, right = brackets.get(self.kind, (f"{self.kind.__name__}(", ")"))
        comma = "," if self.kind is tuple and len(inside) == 1 else ""
        return f"{left}{', '.join(inside)}{comma}{right}"


LEAF = Structure(None, None, ())
_make_structure = Structure._make
_NUMBERS = [str(n) for n in range(64)]
_registered: dict[type, Node] = {}
_found: dict[Any, Node | None] = {}  # what `_find_node` said of the types met so far


def register_pytree_node(
    kind: type,
    flatten_func: Callable[[Any], tuple[Iterable[Any], Any]],
    unflatten_func: Callable[[Any, Sequence[Any]], Any],
) -> None:
    """Make instances of `kind` nodes.

    Args:
        flatten_func: instance -> (children, what else it holds, which must be hashable).
        unflatten_func: (what else it held, children) -> instance. The children may be anything.
    Raises: OptionError if `kind` is a node already.
    """

    def take(node: Any) -> tuple[Sequence[Any], Sequence[str], Any]:
        children, rest = flatten_func(node)
        children = tuple(children)
        return children, _numbers(len(children)), rest

    _register(kind, Node(take, unflatten_func))


def register_dataclass(
    kind: type,
    data_fields: Sequence[str] | None = None,
    meta_fields: Sequence[str] = (),
) -> type:
    """Make instances of the dataclass `kind` nodes; may be used as a decorator.

    Args:
        data_fields: fields that hold trees; by default all that are not in `meta_fields`.
        meta_fields: fields that hold hashable settings, which are no leaves.
    Returns: `kind`. Raises: OptionError if it is no dataclass, or lacks or misses a field.
    """
    if not dataclasses.is_dataclass(kind):
        raise OptionError(f"register_dataclass: {kind.__name__} is no dataclass.")
    fields = [f.name for f in dataclasses.fields(kind) if f.init]
    data = [f for f in fields if f not in meta_fields] if data_fields is None else list(data_fields)
    meta = list(meta_fields)
    if sorted(data + meta) != sorted(fields):
        raise OptionError(
            f"register_dataclass: {kind.__name__} has the fields {', '.join(fields)};"
            f" each must be given once, got {', '.join(data + meta)}."
        )

    def take(node: Any) -> tuple[Sequence[Any], Sequence[str], Any]:
        return [getattr(node, f) for f in data], data, tuple([getattr(node, f) for f in meta])

    def make(rest: Any, children: Sequence[Any]) -> Any:
        return kind(**dict(zip(data, children, strict=True)), **dict(zip(meta, rest, strict=True)))

    _register(kind, Node(take, make))
    return kind


def _register(kind: type, node: Node) -> None:
    if kind in _registered or kind in _BUILT_IN:
        raise OptionError(f"tree: {kind.__name__} is a node already.")
    _registered[kind] = node
    _found.clear()


def _numbers(n: int) -> Sequence[str]:
    return _NUMBERS[:n] if n <= len(_NUMBERS) else [str(i) for i in range(n)]


def _take_dict(node: dict[Any, Any]) -> tuple[Sequence[Any], Sequence[str], Any]:
    return list(node.values()), [str(key) for key in node], tuple(node)


def _take_sequence(node: Any) -> tuple[Sequence[Any], Sequence[str], Any]:
    return node, _numbers(len(node)), None


_BUILT_IN: dict[type, Node] = {
    tuple: Node(_take_sequence, lambda rest, children: tuple(children)),
    list: Node(_take_sequence, lambda rest, children: list(children)),
    dict: Node(_take_dict, lambda rest, children: dict(zip(rest, children, strict=True))),
    type(None): Node(lambda node: ((), (), None), lambda rest, children: None),
}


def _node_of(kind: Any) -> Node | None:
    """How to take a `kind` apart, or None if it is a leaf."""
    try:
        return _found[kind]
    except KeyError:
        node = _found[kind] = _find_node(kind)
        return node


def _find_node(kind: Any) -> Node | None:
    node = _BUILT_IN.get(kind) or _registered.get(kind)
    if node is None and issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return Node(lambda x: (x, kind._fields, None), lambda rest, children: kind(*children))
    if node is None and issubclass(kind, tuple | list | dict):  # comes back as the plain class
        return next(_BUILT_IN[base] for base in (tuple, list, dict) if issubclass(kind, base))
    return node


def flatten(tree: Any) -> tuple[list[Any], Structure]:
    """The leaves of `tree`, in order, and its structure."""
    found: list[Any] = []
    structure = _visit(tree, found)
    return found, structure


def _visit(tree: Any, found: list[Any]) -> Structure:
    """The structure of `tree`, its leaves added to `found`. At every call of a compiled function:
    names are not made here, and leaves are not visited on their own."""
    kind = type(tree)
    if kind is tuple or kind is list:
        children, rest = tree, None
    elif kind is dict:
        children, rest = tree.values(), tuple(tree)
    else:
        node = _node_of(kind)
        if node is None:
            found.append(tree)
            return LEAF
        children, _, rest = node.take(tree)
    parts = []
    for child in children:
        if _found.get(type(child), _found) is None:  # a kind that is known to be a leaf
            found.append(child)
            parts.append(LEAF)
        else:
            parts.append(_visit(child, found))
    return _make_structure((kind, rest, tuple(parts)))


def unflatten(structure: Structure, leaves: Iterable[Any]) -> Any:
    """The tree of that structure with these leaves. Raises TreeError if their number differs."""
    rest = iter(leaves)
    try:
        tree = _build(structure, rest)
    except StopIteration:
        raise TreeError(f"tree: too few leaves for {structure}.") from None
    end = object()
    if next(rest, end) is not end:
        raise TreeError(f"tree: too many leaves for {structure}.")
    return tree


def _build(part: Structure, rest: Iterator[Any]) -> Any:
    kind = part.kind
    if kind is None:
        return next(rest)
    children = [next(rest) if child is LEAF else _build(child, rest) for child in part.children]
    if kind is tuple:  # these two make up most results
        return tuple(children)
    if kind is dict:
        return dict(zip(part.rest, children, strict=True))
    node = _node_of(kind)
    assert node is not None, kind
    return node.make(part.rest, children)


def named_leaves(tree: Any, name: str = "") -> list[tuple[str, Any]]:
    """The leaves of `tree`, each with its dotted name below `name`: "w.0.kernel"."""
    node = _node_of(type(tree))
    if node is None:
        return [(name, tree)]
    children, names, _ = node.take(tree)
    return [
        leaf
        for child, part in zip(children, names, strict=True)
        for leaf in named_leaves(child, f"{name}.{part}" if name else part)
    ]


def leaves(tree: Any) -> list[Any]:
    """The leaves of `tree`, in order; None is no leaf."""
    found: list[Any] = []
    waiting = [tree]
    while waiting:
        tree = waiting.pop()
        node = _node_of(type(tree))
        if node is None:
            found.append(tree)
        else:
            waiting.extend(reversed(node.take(tree)[0]))
    return found


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """`tree` with each leaf replaced by `function(leaf)`."""
    node = _node_of(type(tree))
    if node is None:
        return function(tree)
    children, _, rest = node.take(tree)
    return node.make(rest, [map_leaves(function, child) for child in children])


def matching_leaves(name: str, tree: Any, structure: Structure) -> list[Any]:
    """The leaves of `tree`, which must have `structure`. Raises TreeError naming both."""
    found, own = flatten(tree)
    if own != structure:
        raise TreeError(f"{name}: must be nested like {structure}, not like {own}.")
    return found
