"""Logical operations: any number but 0 counts as true, and the result is boolean."""

from __future__ import annotations

from typing import Any

import numpy as np

from myad.ops.arithmetic import multiply
from myad.ops.compare import equal, not_equal
from myad.ops.extremes import maximum
from myad.ops.specs import BOOL, as_operand


def logical_and(x: Any, y: Any) -> Any:
    """Where both x and y are true."""
    return multiply(_truth(x), _truth(y))


def logical_or(x: Any, y: Any) -> Any:
    """Where x or y is true."""
    return maximum(_truth(x), _truth(y))


def logical_xor(x: Any, y: Any) -> Any:
    """Where one of x and y is true."""
    return not_equal(_truth(x), _truth(y))


def logical_not(x: Any) -> Any:
    """Where x is not true."""
    x = as_operand(x)
    return equal(x, np.zeros((), x.dtype))


def _truth(x: Any) -> Any:
    x = as_operand(x)
    return x if x.dtype == BOOL else not_equal(x, np.zeros((), x.dtype))
