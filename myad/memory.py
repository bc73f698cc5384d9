"""Keeping freed memory for the next step."""

from __future__ import annotations

import sys

# Parameters of glibc's mallopt (malloc.h) and the largest values that help: arrays up to 32 MB
# (its own upper limit) come from the heap, and up to 256 MB of free heap are kept.
M_TRIM_THRESHOLD, KEPT_BYTES = -1, 256 * 2**20
M_MMAP_THRESHOLD, HEAP_BYTES = -3, 32 * 2**20


def keep_freed_memory() -> bool:
    """Ask the C library to keep freed arrays instead of returning them to the system.

    A training step allocates the same arrays again and again. glibc returns large ones at once,
    and the system hands out fresh pages, one fault each: LeNet-5 at batch 32 takes twice as long.
    `fit` calls this; call it before a training loop of your own. It holds for the whole process.
    Returns: whether it was possible (Linux with glibc).
    """
    if not sys.platform.startswith("linux"):
        return False
    import ctypes  # not at the top: only training needs it

    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another C library
        return False
    kept = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(mallopt(M_MMAP_THRESHOLD, HEAP_BYTES) and kept)
