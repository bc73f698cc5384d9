"""Axes and affine indices: the arithmetic of array subscripts.

An `Axis` is a counter that runs from 0 to its size. An `Affine` is `const + Σ coefficient·axis`;
every subscript and every address in this compiler is one, which is why each of them can be
proved to lie inside its buffer (`Affine.bounds`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Union


class Axis:
    """A counter 0 … size − 1. Two axes are equal only if they are the same object."""

    __slots__ = ("name", "size")

    def __init__(self, name: str, size: int) -> None:
        self.name = name
        self.size = size

    def __repr__(self) -> str:
        return f"{self.name}:{self.size}"

    def __add__(self, other: Index) -> Affine:
        return affine(self) + other

    __radd__ = __add__

    def __sub__(self, other: Index) -> Affine:
        return affine(self) - other

    def __mul__(self, factor: int) -> Affine:
        return affine(self) * factor

    __rmul__ = __mul__


class Affine:
    """`const + Σ terms[axis]·axis`, immutable; a term with coefficient 0 is never kept."""

    __slots__ = ("_hash", "const", "terms")

    def __init__(self, terms: Mapping[Axis, int], const: int = 0) -> None:
        # An axis of size 1 is always 0: dropping it here keeps batch 1 free of dead indices.
        self.terms = {axis: c for axis, c in terms.items() if c and axis.size > 1}
        self.const = const
        self._hash: int | None = None  # made when asked for: few are, and it costs the most

    @classmethod
    def of(cls, terms: dict[Axis, int], const: int) -> Affine:
        """An index of terms that are known to be none of axes of size 1, and not 0."""
        made = cls.__new__(cls)
        made.terms, made.const, made._hash = terms, const, None
        return made

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash((frozenset(self.terms.items()), self.const))
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Affine) and (self.const, self.terms) == (other.const, other.terms)

    def __add__(self, other: Index) -> Affine:
        other = affine(other)
        if not other.terms:  # terms are never changed, so they may be shared
            return Affine.of(self.terms, self.const + other.const) if other.const else self
        terms = dict(self.terms)
        for axis, coefficient in other.terms.items():
            total = terms.get(axis, 0) + coefficient
            if total:
                terms[axis] = total
            else:
                del terms[axis]
        return Affine.of(terms, self.const + other.const)

    __radd__ = __add__

    def __sub__(self, other: Index) -> Affine:
        return self + affine(other) * -1

    def __mul__(self, factor: int) -> Affine:
        if factor == 1:
            return self
        terms = {a: c * factor for a, c in self.terms.items()} if factor else {}
        return Affine.of(terms, self.const * factor)

    __rmul__ = __mul__

    def coefficient(self, axis: Axis) -> int:
        """The factor of `axis`, 0 if it does not occur."""
        return self.terms.get(axis, 0)

    def substitute(self, mapping: Mapping[Axis, Affine]) -> Affine:
        """This index with every axis of `mapping` replaced by its affine expression."""
        if mapping.keys().isdisjoint(self.terms):
            return self
        terms: dict[Axis, int] = {}
        const = self.const
        for axis, coefficient in self.terms.items():
            other = mapping.get(axis)
            if other is None:
                terms[axis] = terms.get(axis, 0) + coefficient
                continue
            const += other.const * coefficient
            for inner, factor in other.terms.items():
                terms[inner] = terms.get(inner, 0) + factor * coefficient
        return Affine.of({axis: c for axis, c in terms.items() if c}, const)

    def without(self, axis: Axis) -> Affine:
        """This index where `axis` is 0."""
        if axis not in self.terms:
            return self
        return Affine.of({a: c for a, c in self.terms.items() if a is not axis}, self.const)

    def bounds(self) -> tuple[int, int]:
        """The least and the greatest value over all values of the axes."""
        low = high = self.const
        for axis, coefficient in self.terms.items():
            if coefficient > 0:
                high += coefficient * (axis.size - 1)
            else:
                low += coefficient * (axis.size - 1)
        return low, high

    def plain(self) -> Axis | None:
        """The axis, if this index is just one axis, else None."""
        if self.const == 0 and len(self.terms) == 1:
            ((axis, coefficient),) = self.terms.items()
            return axis if coefficient == 1 else None
        return None

    def __repr__(self) -> str:
        parts = [f"{a.name}" if c == 1 else f"{c}*{a.name}" for a, c in self.terms.items()]
        if self.const or not parts:
            parts.append(str(self.const))
        return " + ".join(parts)


Index = Union[Affine, Axis, int]  # noqa: UP007 (the class names above are not yet bound in `X | Y`)


def affine(value: Index) -> Affine:
    """`value` as an `Affine`."""
    if isinstance(value, Affine):
        return value
    if isinstance(value, Axis):
        return Affine({value: 1})
    return Affine({}, int(value))
