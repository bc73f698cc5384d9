"""A machine and thresholds so small that small programs go through what is made for large ones.

Tiles, copies of transposed operands, sums in parts, sums finished apart, rows kept from colliding
and work shared among threads are all gated by size.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from unittest import mock

from myad.compile.kernels import cost, pack, parts
from myad.compile.schedule import layout, order, share
from myad.compile.schedule.layout import Machine

SMALL = Machine(16, 16, level1=256, level2=1024)
THRESHOLDS = {
    cost: {"FAR_BYTES": 512},
    layout: {"CONFLICT": 64},
    order: {"LONG_SUM": 2, "TILES": (2, 4), "ENTRY_COST": 0.1, "SUM_COST": 0.01},
    pack: {"REUSE": 2, "SHORT": 2, "LONG": 3},
    parts: {"MANY": 16, "PARTS": 8},
    share: {"WORTH": 0.0},
}


@contextmanager
def small_thresholds() -> Iterator[None]:
    """Sizes of a few numbers count as large while this lasts."""
    with ExitStack() as stack:
        for module, values in THRESHOLDS.items():
            stack.enter_context(mock.patch.multiple(module, **values))
        yield
