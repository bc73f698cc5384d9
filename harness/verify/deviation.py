"""How far two arrays are apart, and which plain mistake would explain it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

FAR = 1e100  # stands for infinity, which JSON has not


@dataclass(frozen=True)
class Deviation:
    """The largest deviation among named arrays: its size, where, and a likely reason or ""."""

    size: float
    where: str
    hint: str = ""


def relative(found: np.ndarray, expected: np.ndarray) -> float:
    """max|found − expected| / max|expected|, in float64; FAR where nothing was expected, or beyond.

    Relative to the array's largest value, not value by value: a gradient holds values that nearly
    cancel, and no finite precision gets those right to many digits.
    """
    difference = np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0.0)
    if difference == 0.0:
        return 0.0
    scale = np.abs(expected.astype(np.float64)).max(initial=0.0)
    ratio = float(difference / scale) if scale else FAR
    return min(ratio, FAR) if np.isfinite(ratio) else FAR


def largest(
    found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray], tolerance: float
) -> Deviation:
    """The array that is furthest from what is expected; diagnosed where it exceeds `tolerance`."""
    with np.errstate(all="ignore"):  # numbers near the end of their range overflow, and are far
        sizes = {name: relative(found[name], expected[name]) for name in expected}
        where = max(sizes, key=lambda name: sizes[name])
        hint = ""
        if sizes[where] > tolerance:
            hint = explain(found[where], expected[where], tolerance)
    return Deviation(sizes[where], where, hint)


def explain(found: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    """The plain mistake that would turn `expected` into `found`, in words; "" if none is known."""
    if not np.isfinite(found).all():
        return "values that are not finite"
    if not found.any():
        return "all zero"
    close = max(10 * tolerance, 1e-3)
    for name, changed in _mistakes(expected):
        if changed.shape == found.shape and relative(found, changed) <= close:
            return name
    factor = float(np.vdot(expected, found) / np.vdot(expected, expected))
    if (
        factor
        and np.isfinite(factor)
        and relative(found, factor * expected) <= min(close, abs(factor - 1) / 10)
    ):
        return f"{factor:.4g} times what is expected"
    return ""


def _mistakes(expected: np.ndarray):
    axes = range(expected.ndim)
    for a, b in itertools.combinations(axes, 2):
        yield f"axes {a} and {b} exchanged", np.swapaxes(expected, a, b)
        if expected.shape[a] != expected.shape[b]:
            # read as if the axes were exchanged: the same numbers, rows and columns mixed up
            mixed = np.swapaxes(expected, a, b).reshape(expected.shape)
            yield f"axes {a} and {b} exchanged", mixed
    for axis in axes:
        yield f"reversed along axis {axis}", np.flip(expected, axis)
    if expected.ndim == 4:
        yield "kernel flipped", np.flip(expected, (0, 1))
