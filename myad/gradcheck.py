"""Gradient rules against finite differences, for the tests of this package and for one's own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from myad.errors import GradientMismatch, OptionError
from myad.ops.reduce import sum as reduced_sum
from myad.transforms import grad, jvp, vjp

STEP = 1e-5  # ε^(1/3) of float64, about where rounding and truncation of the difference are equal


def check_gradient(
    function: Callable[..., Any],
    inputs: Sequence[Any],
    *,
    order: int = 1,
    tolerance: float = 1e-6,
    seed: int = 0,
    **static: Any,
) -> None:
    """Compare the derivatives of `function(*inputs, **static)` with central differences.

    Along a random direction v, with a random upstream gradient u, in float64:
        ⟨gradient of ⟨u, f⟩, v⟩  =  (⟨u, f(x + h·v)⟩ − ⟨u, f(x − h·v)⟩) / 2h.
    Every floating-point input is checked on its own, so that the message can name it. Forward mode
    must agree with reverse mode.

    Args:
        inputs: arrays; integers and booleans are passed on and not differentiated.
        order: 2 checks the gradient of ⟨gradient, v⟩ as well.
        tolerance: relative to the larger of the values compared and 1.
    Raises: GradientMismatch naming the function, the argument and both values.
    """
    if order not in (1, 2):
        raise OptionError(f"check_gradient: order must be 1 or 2, not {order}.")
    name = getattr(function, "name", getattr(function, "__name__", "function"))
    arrays = [np.asarray(x) for x in inputs]
    arrays = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays]
    moving = [i for i, x in enumerate(arrays) if x.dtype.kind == "f"]
    if not moving:
        raise OptionError(f"check_gradient: {name} was given no floating-point input.")
    rng = np.random.default_rng(seed)
    upstream = rng.standard_normal(np.shape(function(*arrays, **static)))

    def scalar(*values: Any) -> Any:
        full = list(arrays)
        for i, value in zip(moving, values, strict=True):
            full[i] = value
        return reduced_sum(function(*full, **static) * upstream)

    start = [arrays[i] for i in moving]
    _check_scalar(f"{name}: gradient", scalar, start, moving, rng, tolerance)
    _check_forward(name, scalar, start, rng, tolerance)
    if order == 2:
        directions = [rng.standard_normal(x.shape) for x in start]

        def slope(*values: Any) -> Any:
            gradients = grad(scalar, tuple(range(len(values))))(*values)
            parts = [reduced_sum(g * v) for g, v in zip(gradients, directions, strict=True)]
            return sum(parts[1:], parts[0])

        _check_scalar(f"{name}: second derivative", slope, start, moving, rng, tolerance)


def _check_scalar(
    what: str,
    scalar: Callable[..., Any],
    start: list[np.ndarray],
    moving: list[int],
    rng: np.random.Generator,
    tolerance: float,
) -> None:
    gradients = grad(scalar, tuple(range(len(start))))(*start)
    for k, i in enumerate(moving):
        direction = rng.standard_normal(start[k].shape)

        def along(h: float, k: int = k, direction: np.ndarray = direction) -> float:
            moved = [x + h * direction if j == k else x for j, x in enumerate(start)]
            return float(scalar(*moved))

        expected = (along(STEP) - along(-STEP)) / (2 * STEP)
        _compare(
            f"{what} of argument {i}", float((gradients[k] * direction).sum()), expected, tolerance
        )


def _check_forward(
    name: str,
    scalar: Callable[..., Any],
    start: list[np.ndarray],
    rng: np.random.Generator,
    tolerance: float,
) -> None:
    directions = [rng.standard_normal(x.shape) for x in start]
    _, tangent = jvp(scalar, start, directions)
    _, pullback = vjp(scalar, *start)
    gradients = pullback(1.0)
    reverse = sum(float((g * v).sum()) for g, v in zip(gradients, directions, strict=True))
    _compare(f"{name}: forward mode against reverse mode", float(tangent), reverse, tolerance)


def _compare(what: str, found: float, expected: float, tolerance: float) -> None:
    error = abs(found - expected) / max(1.0, abs(found), abs(expected))
    if not error <= tolerance:
        raise GradientMismatch(
            f"{what} is {found:.9g} along a random direction, where {expected:.9g} is right:"
            f" relative error {error:.1e}, allowed {tolerance:.0e}."
        )
