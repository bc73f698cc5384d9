"""Trees: what is a node, what is a leaf, and the way back."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import NamedTuple

import pytest

from myad import errors, tree


class Pair(NamedTuple):
    left: object
    right: object


@tree.register_dataclass
@dataclass(frozen=True)
class Affine:
    w: object
    b: object


@dataclass
class Scaled:
    x: object
    unit: str = "m"


tree.register_dataclass(Scaled, data_fields=["x"], meta_fields=["unit"])


class Ring:
    def __init__(self, parts, name):
        self.parts, self.name = parts, name


tree.register_pytree_node(
    Ring, lambda ring: (ring.parts, ring.name), lambda name, parts: Ring(list(parts), name)
)

NESTED = {
    "a": (1, [2, None]),
    "b": Pair(3, {"c": 4}),
    "d": Affine(5, Scaled(6, "km")),
    "e": (),
}


def test_leaves_come_in_order_and_go_back():
    leaves, structure = tree.flatten(NESTED)
    assert leaves == tree.leaves(NESTED) == [1, 2, 3, 4, 5, 6]
    assert tree.unflatten(structure, leaves) == NESTED
    assert tree.unflatten(structure, "abcdef")["b"] == Pair("c", {"c": "d"})
    assert tree.map_leaves(lambda x: 10 * x, NESTED)["d"] == Affine(50, Scaled(60, "km"))


def test_leaves_have_dotted_names():
    names = [name for name, _ in tree.named_leaves(NESTED, "p")]
    assert names == ["p.a.0", "p.a.1.0", "p.b.left", "p.b.right.c", "p.d.w", "p.d.b.x"]
    assert tree.named_leaves(7, "x") == [("x", 7)]


def test_structures_can_be_compared_hashed_and_read():
    def structure(value):
        return tree.flatten(value)[1]

    assert structure(NESTED) == structure(tree.map_leaves(str, NESTED))
    assert hash(structure(NESTED)) == hash(structure(tree.map_leaves(str, NESTED)))
    different = [(1, 2), [1, 2], Pair(1, 2), {"a": 1, "b": 2}, {"b": 1, "a": 2}, 1, (1, None)]
    assert len({structure(value) for value in different}) == len(different)
    assert structure(Scaled(1, "m")) != structure(Scaled(1, "km"))
    assert str(structure({"a": (1,), "b": [2, None]})) == "{'a': (*,), 'b': [*, None]}"
    assert str(structure(Pair(1, Affine(2, 3)))) == "Pair(*, Affine(*, *))"


def test_a_registered_class_is_taken_apart():
    ring = Ring([1, (2, 3)], "r")
    doubled = tree.map_leaves(lambda x: 2 * x, ring)
    assert (doubled.parts, doubled.name) == ([2, (4, 6)], "r")
    assert [name for name, _ in tree.named_leaves(ring)] == ["0", "1.0", "1.1"]
    assert tree.leaves(object) == [object]


def test_subclasses_come_back_plain():
    assert tree.map_leaves(lambda x: x + 1, OrderedDict(b=1, a=2)) == {"b": 2, "a": 3}


def test_wrong_uses_are_named():
    structure = tree.flatten({"a": (1, 2)})[1]
    with pytest.raises(errors.TreeError, match=r"too few leaves for \{.a.: "):
        tree.unflatten(structure, [1])
    with pytest.raises(errors.TreeError, match="too many leaves"):
        tree.unflatten(structure, [1, 2, 3])
    with pytest.raises(errors.TreeError, match=r"seed: must be nested like .*, not like \[\*, \*"):
        tree.matching_leaves("seed", [1, 2], structure)
    with pytest.raises(errors.OptionError, match="Ring is no dataclass"):
        tree.register_dataclass(Ring)
    with pytest.raises(errors.OptionError, match="Affine is a node already"):
        tree.register_dataclass(Affine)
    with pytest.raises(errors.OptionError, match="list is a node already"):
        tree.register_pytree_node(list, iter, list)
    with pytest.raises(errors.OptionError, match=r"Loose has the fields x, y; each"):
        tree.register_dataclass(Loose, data_fields=["x"], meta_fields=["z"])


@dataclass
class Loose:
    x: int
    y: int
