"""How compiled code joins arrays: the kernel rule of `concatenate`."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from myad.core import composed
from myad.ops.compare import where
from myad.ops.index import concatenate, pad
from myad.ops.reduce import broadcast_to

FEW = 4  # arrays of which each element is chosen at less cost than they are surrounded by zeros


@concatenate.kernel
@composed
def _(*arrays, axis):
    if len(arrays) <= FEW and all(x.shape[axis] == 1 for x in arrays):
        return _chosen(arrays, axis)
    # each array surrounded by zeros to the full size, and added up
    edges = np.cumsum([0] + [x.shape[axis] for x in arrays]).tolist()
    total = None
    for x, (start, stop) in zip(arrays, pairwise(edges), strict=True):
        around = ((0, 0),) * axis, ((0, 0),) * (len(x.shape) - axis - 1)
        part = pad(x, widths=(*around[0], (start, edges[-1] - stop), *around[1]), value=0.0)
        total = part if total is None else total + part
    return total


def _chosen(arrays: tuple[Any, ...], axis: int) -> Any:
    """A stack of few: nothing is written that the reader does not want, so that it can be fused."""
    shape = tuple(len(arrays) if a == axis else n for a, n in enumerate(arrays[0].shape))
    place = np.arange(len(arrays)).reshape([-1 if a == axis else 1 for a in range(len(shape))])
    found = broadcast_to(arrays[0], shape=shape)
    for n, x in enumerate(arrays[1:], start=1):
        found = where(place == n, x, found)
    return found
