"""Shapes of which one is made of another by merging and splitting axes."""

from __future__ import annotations

from collections.abc import Sequence


def common_factors(old: Sequence[int], new: Sequence[int]) -> list[int] | None:
    """Sizes of axes of which both shapes are made by merging neighbours, or None."""
    factors: list[int] = []
    left, right = [s for s in old if s > 1], [s for s in new if s > 1]
    while left and right:
        a, b = left.pop(), right.pop()
        small, large = min(a, b), max(a, b)
        if large % small:
            return None
        factors.insert(0, small)
        if large > small:
            (left if a > b else right).append(large // small)
    return factors
